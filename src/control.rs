//! The control plane: what a shard is asked beside its lane, and when its task listens.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use crate::{
    bell::Bell,
    drain::Drained,
    error::CaughtPanic,
    host::oneshot,
    live::{Key, Value},
    pump::Pump,
    shard::{Shard, Sighting},
    stats::Stats,
};

pub(crate) enum Control<K> {
    Forget { hash: u64, key: K, reply: oneshot::Sender<Forgotten<K>> },
    ForgetAll { reply: oneshot::Sender<usize> },
    Stats { reply: oneshot::Sender<Stats> },
    ResetStats { reply: oneshot::Sender<()> },
    Inspect { most: usize, reply: oneshot::Sender<Inspected> },
    Drain { deadline: Option<Instant>, reply: oneshot::Sender<Drained> },
}

pub(crate) struct Forgotten<K> {
    pub(crate) was_live: Result<bool, CaughtPanic>,
    /// Back to whose it is, to be dropped there.
    pub(crate) key: K,
}

/// The flights with the most waiters and the oldest ones, of one shard.
pub(crate) struct Inspected {
    pub(crate) crowded: Vec<Sighting>,
    pub(crate) oldest: Vec<Sighting>,
}

/// A shard and its control plane, as whoever runs its task sees them.
pub(crate) struct Inside<K: Key, V: Value> {
    pump: Pump<K, V>,
    /// The mailbox's: it is hardly ever what the task is woken for, and asking it each time is not for free.
    bell: Bell,
}

impl<K: Key, V: Value> Inside<K, V> {
    pub(crate) fn new(pump: Pump<K, V>) -> Self {
        Self { pump, bell: Bell::new() }
    }

    pub(crate) fn pump(&mut self) -> &mut Pump<K, V> {
        &mut self.pump
    }

    /// Pumps the lane for as long as the mailbox has nothing to say. `None` when the pump has been drained.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mailbox: impl FnOnce(&mut Context<'_>) -> Poll<Option<T>>,
    ) -> Poll<Option<T>> {
        if let Poll::Ready(signal) = self.bell.poll(cx, mailbox) {
            return Poll::Ready(signal);
        }
        self.pump.poll(cx).map(|()| None)
    }
}

impl<K: Key> Control<K> {
    /// Answers after everything that was in the lane when its turn came.
    pub(crate) async fn carry_out<V: Value>(self, pump: &mut Pump<K, V>) {
        pump.catch_up().await;
        // Whoever no longer waits for its reply has lost nothing but the reply.
        match self {
            Self::Forget { hash, key, reply } => {
                let was_live = pump.control(|shard, _, _| shard.forget(hash, &key));
                if let Err(unheard) = reply.send(Forgotten { was_live, key }) {
                    pump.discard(unheard.into_inner().key);
                }
            }
            Self::ForgetAll { reply } => {
                let forgotten = pump.control(|shard, _, _| shard.forget_all());
                let _ = reply.send(forgotten);
            }
            Self::Stats { reply } => {
                let stats = pump.control(Shard::stats);
                let _ = reply.send(stats);
            }
            Self::ResetStats { reply } => {
                pump.control(|shard, _, effects| shard.reset_stats(effects));
                let _ = reply.send(());
            }
            Self::Inspect { most, reply } => {
                let describe = pump.describe();
                let (crowded, oldest) =
                    pump.control(|shard, now, _| shard.inspect(most, now, describe.as_deref().map(|d| d as _)));
                let _ = reply.send(Inspected { crowded, oldest });
            }
            Self::Drain { deadline, reply } => pump.drain(deadline, reply),
        }
    }
}

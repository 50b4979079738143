//! The control plane: what a shard is asked beside its lane, and when its task listens.

use std::{
    mem,
    task::{Context, Poll},
    time::Instant,
};

use crate::{
    bell::Bell,
    drain::Drained,
    error::CaughtPanic,
    host::oneshot,
    live::{Key, Value},
    panics::Contained,
    pump::Pump,
    shard::{Shard, Sighting},
    stats::Stats,
};

pub(crate) enum Control<K> {
    /// The key is the one thing of a user's in a mailbox, and a mailbox that goes away drops all its questions in one go:
    /// of two panics there, the second would end the process (G13).
    Forget {
        hash: u64,
        key: Contained<K>,
        reply: oneshot::Sender<Forgotten<K>>,
    },
    ForgetAll {
        reply: oneshot::Sender<usize>,
    },
    Stats {
        reply: oneshot::Sender<Stats>,
    },
    /// What was counted since the shard is there, resets or not.
    Totals {
        reply: oneshot::Sender<Stats>,
    },
    ResetStats {
        reply: oneshot::Sender<()>,
    },
    Inspect {
        most: usize,
        reply: oneshot::Sender<Inspected>,
    },
    Drain {
        deadline: Option<Instant>,
        reply: oneshot::Sender<Drained>,
    },
}

pub(crate) struct Forgotten<K> {
    pub(crate) was_live: Result<bool, CaughtPanic>,
    /// Back to whose it is, to be dropped there.
    pub(crate) key: Contained<K>,
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
    /// The last poll was the mailbox's.
    heard: bool,
}

impl<K: Key, V: Value> Inside<K, V> {
    pub(crate) fn new(pump: Pump<K, V>) -> Self {
        Self { pump, bell: Bell::new(), heard: false }
    }

    pub(crate) fn pump(&mut self) -> &mut Pump<K, V> {
        &mut self.pump
    }

    /// Pumps the lane for as long as the mailbox has nothing to say, and once after each thing that it has: a mailbox that
    /// never falls silent must not keep the pump from its deadlines (G11). `None` when the pump has been drained.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mailbox: impl FnOnce(&mut Context<'_>) -> Poll<Option<T>>,
    ) -> Poll<Option<T>> {
        if mem::take(&mut self.heard) && self.pump.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(signal) = self.bell.poll(cx, mailbox) {
            self.heard = true;
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
                let was_live = pump.control(|shard, _| shard.forget(hash, key.get()));
                if let Err(unheard) = reply.send(Forgotten { was_live, key }) {
                    pump.discard(unheard.into_inner().key.into_inner());
                }
            }
            Self::ForgetAll { reply } => {
                let forgotten = pump.control(|shard, _| shard.forget_all());
                let _ = reply.send(forgotten);
            }
            Self::Stats { reply } => {
                let stats = pump.control(Shard::stats);
                let _ = reply.send(stats);
            }
            Self::Totals { reply } => {
                let totals = pump.control(Shard::totals);
                let _ = reply.send(totals);
            }
            Self::ResetStats { reply } => {
                pump.reset_stats();
                let _ = reply.send(());
            }
            Self::Inspect { most, reply } => {
                let describe = pump.describe();
                let (crowded, oldest) =
                    pump.control(|shard, now| shard.inspect(most, now, describe.as_deref().map(|d| d as _)));
                let _ = reply.send(Inspected { crowded, oldest });
            }
            Self::Drain { deadline, reply } => pump.drain(deadline, reply),
        }
    }
}

#[cfg(test)]
#[cfg(not(shardflight_shuttle))]
mod tests {
    use std::{future::pending, task::Waker, time::Duration};

    use super::*;
    use crate::{
        OnAbandon, OnExpiry,
        error::JoinError,
        live::{Lanes, post},
        shard::{Budget, Join, Message, Rules},
        ticket::Ticket,
        work::{AsyncWork, Unjudged},
    };

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_that_never_falls_silent_keeps_no_flight_past_its_time() {
        let limit = Duration::from_secs(5);
        let rules = Rules {
            max_waiters: 1,
            budget: Budget::new(1),
            max_flight_duration: Some(limit),
            on_expiry: OnExpiry::Fail,
            on_abandon: OnAbandon::Finish,
            crowd: 1,
        };
        let (lanes, runtime) = (Lanes::<u8, u8>::new(1, None), tokio::runtime::Handle::current());
        let pump = Pump::new(0, lanes.clone(), Shard::new(0, rules), runtime.clone(), runtime, None, None);
        let (mut inside, mut cx) = (Inside::new(pump), Context::from_waker(Waker::noop()));
        let (ticket, caller) = Ticket::new(AsyncWork::<_, Unjudged>::new(pending::<u8>), None, Waker::noop().clone());
        post(&lanes[0], Message::Join(Join { hash: 7, key: 7, caller, nested: false }));
        for _ in 0..4 {
            assert!(inside.poll(&mut cx, |_| Poll::Ready(Some(()))).is_ready());
        }
        tokio::time::advance(limit).await;
        for _ in 0..4 {
            assert!(inside.poll(&mut cx, |_| Poll::Ready(Some(()))).is_ready());
        }
        // The clock stands still, so this takes no time at all.
        let answer = std::future::poll_fn(|cx| ticket.poll(cx));
        let arrival = tokio::time::timeout(limit, answer).await.expect("nobody looked at the time");
        assert!(matches!(arrival.outcome, Err(JoinError::TimedOut { after }) if after == limit));
    }
}

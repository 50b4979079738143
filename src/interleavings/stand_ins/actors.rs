//! The shards' actors, in kameo's place and with kameo's order: the mailbox is asked first, then the executor.

use std::{
    future::poll_fn,
    marker::PhantomData,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{Runtime, point};
use crate::{
    actor::executor::Executor,
    engine::{Engine, Key, Value},
};

/// Stops the actors when it is dropped.
pub(crate) struct Actors<K: Key, V: Value> {
    mailboxes: Box<[Mailbox]>,
    shards: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> Actors<K, V> {
    pub(crate) fn spawn(engine: &Arc<Engine<K, V>>, timers: &Runtime) -> Self {
        let spawn = |shard| {
            let mailbox = Mailbox::default();
            let (received, mut executor) = (mailbox.clone(), Executor::new(Arc::clone(engine), shard, timers.clone()));
            engine.runtime.spawn(async move {
                poll_fn(|cx| if received.poll_closed(cx).is_ready() { Poll::Ready(()) } else { executor.poll(cx) })
                    .await;
                executor.close();
            });
            mailbox
        };
        Self { mailboxes: (0..engine.shards()).map(spawn).collect(), shards: PhantomData }
    }
}

impl<K: Key, V: Value> Drop for Actors<K, V> {
    fn drop(&mut self) {
        self.mailboxes.iter().for_each(Mailbox::close);
    }
}

/// A mailbox that no message is ever sent to. It is closed with the last reference to its actor.
#[derive(Clone, Default)]
struct Mailbox(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    closed: bool,
    actor: Option<Waker>,
}

impl Mailbox {
    fn close(&self) {
        point();
        let actor = {
            let mut state = self.state();
            state.closed = true;
            mem::take(&mut state.actor)
        };
        if let Some(actor) = actor {
            actor.wake();
        }
    }

    fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        point();
        let mut state = self.state();
        if state.closed {
            return Poll::Ready(());
        }
        state.actor = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Never held across a scheduling point.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

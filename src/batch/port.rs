//! The way to the dispatcher.

use std::{
    future::ready,
    hash::RandomState,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{counters::Counters, entry::Entry, inner::Refusal};
use crate::{
    engine::{Call, Called},
    queue::Queue,
    sync::{Runtime, boxed_task, has_many_workers, is_inside},
};

pub(super) enum Message<K, T, E> {
    Ask(Entry<K, T, E>),
    /// A key that is in no batch yet: its flight is gone.
    Left,
    /// A batch is over, and its loader is gone.
    Ended(u64),
    /// A batch's loader loads from this batcher.
    InnerBegan {
        batch: u64,
        load: u64,
        refusal: Arc<Refusal>,
    },
    /// That load is over.
    InnerEnded(u64),
    /// A batch's loader has joined a flight, which may in its turn wait for a key of this batcher.
    Joins(u64),
}

/// What asks, batches and the dispatcher share. It ends nothing when it is dropped.
pub(super) struct Channel<K, T, E> {
    queue: Queue<Message<K, T, E>>,
    call: Call,
    is_closed: AtomicBool,
    many_workers: bool,
    pub(super) runtime: Runtime,
    /// The coalescer's, so that its flights' keys need not be hashed again.
    pub(super) hasher: RandomState,
    pub(super) counters: Counters,
}

impl<K, T, E> Channel<K, T, E> {
    pub(super) fn new(runtime: Runtime, hasher: RandomState) -> Self {
        Self {
            queue: Queue::new(),
            call: Call::new(),
            is_closed: AtomicBool::new(false),
            many_workers: has_many_workers(&runtime),
            runtime,
            hasher,
            counters: Counters::default(),
        }
    }

    /// False if there is no dispatcher any more. It hears of messages that were sent before its end.
    pub(super) fn send(&self, message: Message<K, T, E>) -> bool {
        self.queue.push(message);
        self.wake()
    }

    fn wake(&self) -> bool {
        let called = self.call.wake();
        if called == Called::Woke {
            self.displace();
        }
        called != Called::Gone
    }

    /// To be called by a caller that has woken a task for which others' keys wait. A worker keeps the task that it woke last in a slot
    /// from which no other worker takes it, and a caller may block its thread. So there has to be another task in there (G4).
    pub(super) fn displace(&self) {
        if self.many_workers && is_inside(&self.runtime) {
            drop(self.runtime.spawn(boxed_task(ready(()))));
        }
    }

    pub(super) fn receive(&self) -> Option<Message<K, T, E>> {
        self.queue.pop()
    }

    /// What gives back the memory of a past burst, where the queue has run empty.
    pub(super) fn shrink(&self) -> Vec<Message<K, T, E>> {
        self.queue.shrink()
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

/// The callers' share: when the last is dropped, no key can be asked for any more, and the dispatcher ends.
pub(super) struct Port<K, T, E>(Arc<Channel<K, T, E>>);

impl<K, T, E> Port<K, T, E> {
    pub(super) fn new(channel: Arc<Channel<K, T, E>>) -> Self {
        Self(channel)
    }

    pub(super) fn channel(&self) -> &Arc<Channel<K, T, E>> {
        &self.0
    }
}

impl<K, T, E> Drop for Port<K, T, E> {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.wake();
    }
}

//! The work of a batcher's flights: to ask the dispatcher for the key, and to wait for the answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    entry::Entry,
    port::{Message, Port},
    slot::{Answer, Left, Loaded, Slot},
    trace,
};
use crate::{error::JoinError, task::current, unwind::Contained};

pub(super) struct Ask<K, T, E> {
    port: Arc<Port<K, T, E>>,
    /// The coalescer's, to tell its flights from others.
    coalescer: u64,
    stage: Stage<K, T, E>,
}

enum Stage<K, T, E> {
    New(Contained<K>),
    Waiting(Arc<Slot<T, E>>),
    Over,
}

/// The key is moved out before anything refers to it.
impl<K, T, E> Unpin for Ask<K, T, E> {}

impl<K, T, E> Ask<K, T, E> {
    pub(super) fn new(port: Arc<Port<K, T, E>>, coalescer: u64, key: Contained<K>) -> Self {
        Self { port, coalescer, stage: Stage::New(key) }
    }

    fn begin(&self, key: Contained<K>, cx: &Context<'_>) -> Arc<Slot<T, E>> {
        // Without a flight where the key isn't coalesced: this is then whatever work the caller runs.
        let flight = current::get().filter(|current| current.coalescer == self.coalescer);
        let slot = Arc::new(Slot::new(flight.map(current::Current::node)));
        let _ = slot.poll(cx);
        let hash = flight.map(|current| current.flight.hash);
        let entry = Entry { key, hash, slot: Arc::clone(&slot), span: trace::flight() };
        if !self.port.channel().send(Message::Ask(entry)) {
            Slot::answer(Arc::clone(&slot), Answer::Join(JoinError::Closed));
        }
        slot
    }
}

impl<K, T, E> Future for Ask<K, T, E> {
    type Output = Loaded<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Loaded<T, E>> {
        let slot = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::New(key) => self.begin(key, cx),
            Stage::Waiting(slot) => slot,
            Stage::Over => panic!("polled after its end"),
        };
        if slot.poll(cx).is_pending() {
            self.stage = Stage::Waiting(slot);
            return Poll::Pending;
        }
        Poll::Ready(Loaded::new(slot))
    }
}

impl<K, T, E> Drop for Ask<K, T, E> {
    fn drop(&mut self) {
        if let Stage::Waiting(slot) = &self.stage {
            match slot.leave() {
                Left::Queue => _ = self.port.channel().send(Message::Left),
                Left::BatchEmpty => self.port.channel().displace(),
                Left::Batch => {}
            }
        }
    }
}

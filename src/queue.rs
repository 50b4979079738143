//! Messages for a value that is out of its cell, first in, first out: each shard has such a queue, and so has the wait graph.
//!
//! A flume queue carries them. Around it stands a count, so that a look at an empty queue costs one load.

use std::sync::atomic::Ordering;

use crate::sync::{AtomicUsize, bound, flume};

/// Above this many queued messages the queue's memory is given back once it has run empty.
const BURST: usize = bound(4096, 1);

pub(crate) struct Queue<T> {
    sender: flume::Sender<T>,
    receiver: flume::Receiver<T>,
    /// At least as many as can be taken. Orders nothing by itself: `Out::put_back` in the turns has the argument.
    len: AtomicUsize,
    /// The longest it has been since its memory was last given back.
    longest: AtomicUsize,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = flume::unbounded();
        Self { sender, receiver, len: AtomicUsize::new(0), longest: AtomicUsize::new(0) }
    }

    pub(crate) fn push(&self, message: T) {
        // First the count, so that it is never less than there is to take.
        let len = self.len.fetch_add(1, Ordering::Relaxed) + 1;
        if len > BURST {
            self.longest.fetch_max(len, Ordering::Relaxed);
        }
        if self.sender.send(message).is_err() {
            unreachable!("the receiver is in the same struct");
        }
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let message = self.receiver.try_recv().ok()?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(message)
    }

    /// Whether nothing is counted. If it is not, a message may be about to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Whether there is one to take. Exact, unlike the count, and takes flume's lock.
    pub(crate) fn has_message(&self) -> bool {
        !self.receiver.is_empty()
    }

    /// Gives the memory of a past burst back (G6): a queue that flume drains starts again from nothing. What came in
    /// meanwhile is handed over. To be called where it has run empty, by the owner of the value.
    pub(crate) fn shrink(&self) -> Vec<T> {
        if self.longest.load(Ordering::Relaxed) <= BURST {
            return Vec::new();
        }
        self.longest.store(0, Ordering::Relaxed);
        let messages: Vec<_> = self.receiver.drain().collect();
        self.len.fetch_sub(messages.len(), Ordering::Relaxed);
        messages
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_in_the_order_they_went_in() {
        let queue = Queue::new();
        (0..10).for_each(|message| queue.push(message));
        assert!((0..10).eq(std::iter::from_fn(|| queue.pop())));
        assert!(queue.is_empty());
    }

    #[test]
    fn the_memory_of_a_past_burst_is_given_back_without_losing_what_came_since() {
        let queue = Queue::new();
        (0..=BURST).for_each(|message| queue.push(message));
        while queue.pop().is_some() {}
        queue.push(7);
        assert_eq!(queue.shrink(), [7]);
        assert!(queue.is_empty() && queue.shrink().is_empty());
    }
}

//! The way into a shard: one FIFO queue, and how its shard is woken.
//!
//! A flume queue carries the messages. Around it stands a flag and a waker, in place of flume's own async receive,
//! which allocates at every idle wait.

use std::{future::ready, sync::atomic::Ordering, task::Waker};

use crate::host::{AtomicBool, AtomicWaker, Runtime, flume};

/// Above this many queued messages the queue's memory is given back once it has run empty.
const BURST: usize = 4096;

/// Lanes lie side by side in memory; each has its cache lines to itself.
#[repr(align(128))]
pub(crate) struct Lane<T> {
    sender: flume::Sender<T>,
    /// On this side of the shard too, so that a sender who finds the lane closed can take back what it just put in.
    receiver: flume::Receiver<T>,
    waker: AtomicWaker,
    /// Whether the shard is going to look at the queue without being woken.
    awake: AtomicBool,
    closed: AtomicBool,
    /// Where the shard's task runs, if other threads could run it too.
    runtime: Option<Runtime>,
}

/// The shard behind the lane takes no more messages. What it holds was in the lane and is the finder's to refuse.
#[must_use]
pub(crate) struct Stranded<T>(pub(crate) Vec<T>);

impl<T> Lane<T> {
    pub(crate) fn new(runtime: Option<Runtime>) -> Self {
        let (sender, receiver) = flume::unbounded();
        Self {
            sender,
            receiver,
            waker: AtomicWaker::new(),
            awake: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            runtime,
        }
    }

    /// Puts a message in and sees to it that the shard will look.
    pub(crate) fn send(&self, message: T) -> Result<(), Stranded<T>> {
        if self.sender.send(message).is_err() {
            unreachable!("the lane holds a receiver of its own queue");
        }
        // The queue's own lock orders this load: either `close` came to the queue after our message and takes it out,
        // or its flag was set before our message went in, and we see it here (G5: no message stays behind unanswered).
        if self.closed.load(Ordering::SeqCst) {
            return Err(Stranded(self.receiver.try_iter().collect()));
        }
        // The queue's lock orders the look at the flag, too: a shard that found the queue without our message had lowered
        // it before. And a swap, not a store: of all the senders that find it down, one pays for waking the shard.
        if !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst) {
            self.waker.wake();
            self.lure();
        }
        Ok(())
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Arranges for `waker` to be woken by the next message. True if one is there already, and nothing was arranged.
    pub(crate) fn sleep(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        // First the flag, then the queue. A sender does it the other way round, so at least one of us sees the other's
        // message: it finds the flag down and wakes us, or we find its message here.
        self.awake.store(false, Ordering::SeqCst);
        if self.receiver.is_empty() {
            return false;
        }
        self.awake.store(true, Ordering::SeqCst);
        true
    }

    /// Whether waking the shard costs so much that it had better look once more, after the others' turn, before it sleeps.
    pub(crate) fn is_dear_to_wake(&self) -> bool {
        self.runtime.is_some()
    }

    /// Has some other task scheduled right after the shard.
    ///
    /// A worker of Tokio's multi-thread scheduler keeps the task that it woke last in a slot of its own, from which no
    /// other worker can take it. A caller that wakes its shard and then blocks its thread would keep the shard from
    /// running, and with it all of the shard's keys (G2, G4). A task scheduled next goes into that slot, and the shard
    /// to where others find it. It has to be a new one: one that waits to be woken may be running elsewhere just then,
    /// or sit in the slot of a thread that blocks, and would not come here.
    fn lure(&self) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(ready(())));
        }
    }

    /// Refuses all messages from now on, and hands over those that are in.
    pub(crate) fn close(&self) -> Vec<T> {
        self.closed.store(true, Ordering::SeqCst);
        self.receiver.try_iter().collect()
    }

    /// Gives the memory of a past burst back: a drained queue starts again from nothing (G6). What came in meanwhile
    /// is handed over.
    pub(crate) fn relax(&self, longest: usize) -> Vec<T> {
        if longest > BURST { self.receiver.drain().collect() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_sleeping_shard_is_woken_once_by_however_many_messages() {
        let (lane, count) = (Lane::new(None), Arc::new(Count::default()));
        assert!(!lane.sleep(&Arc::clone(&count).into()));
        for message in 0..10 {
            assert!(lane.send(message).is_ok());
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_shard_does_not_sleep_over_a_message() {
        let lane = Lane::new(None);
        assert!(lane.send(1).is_ok());
        assert!(lane.sleep(Waker::noop()));
    }

    #[test]
    fn messages_come_out_in_the_order_they_went_in() {
        let lane = Lane::new(None);
        (0..10).for_each(|message| assert!(lane.send(message).is_ok()));
        assert!((0..10).eq(std::iter::from_fn(|| lane.take())));
    }

    #[test]
    fn closing_hands_over_what_is_in_and_strands_what_comes_later_with_its_sender() {
        let lane = Lane::new(None);
        assert!(lane.send(1).is_ok());
        assert_eq!(lane.close(), [1]);
        assert!(matches!(lane.send(2), Err(Stranded(messages)) if messages == [2]));
        assert_eq!(lane.len(), 0);
    }

    #[test]
    fn a_message_that_slips_in_beside_the_closing_is_found_by_one_of_the_two() {
        for _ in 0..1_000 {
            let lane = Lane::new(None);
            let found = std::thread::scope(|scope| {
                let sender = scope.spawn(|| lane.send(1).err().map_or(0, |Stranded(messages)| messages.len()));
                lane.close().len() + sender.join().unwrap()
            });
            assert_eq!(found, 1);
        }
    }

    #[test]
    fn the_queue_of_a_past_burst_is_given_back_without_losing_what_came_since() {
        let lane = Lane::new(None);
        assert!(lane.send(1).is_ok());
        assert!(lane.relax(BURST).is_empty());
        assert_eq!(lane.relax(BURST + 1), [1]);
    }
}

//! What a flight that may be taken over has in its record: work that its followers have left, and how its executions are told
//! to end.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use super::record::ParkedWork;
use crate::{
    sync::{AtomicBool, AtomicUsize, AtomicWaker, Cell},
    unwind::{Deferred, drop_contained},
};

/// One place for each execution beyond the first.
pub(crate) struct Spares<V> {
    works: Box<[Cell<ParkedWork<V>>]>,
    /// How many followers have asked for a place. More than there are find none.
    offered: AtomicUsize,
    /// The flight is over or aborted: its executions end, and nothing is kept.
    stopped: AtomicBool,
    /// The tasks of the executions, in their order. The last is the watcher's.
    tasks: Box<[AtomicWaker]>,
}

impl<V> Spares<V> {
    pub(super) fn new(at_most: usize) -> Arc<Self> {
        Arc::new(Self {
            works: (0..at_most).map(|_| Cell::empty()).collect(),
            offered: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            tasks: (0..at_most + 2).map(|_| AtomicWaker::new()).collect(),
        })
    }

    /// How many executions there may be beyond the first.
    pub(crate) fn at_most(&self) -> usize {
        self.works.len()
    }

    /// The place of the watcher among the tasks.
    pub(crate) fn watcher(&self) -> usize {
        self.tasks.len() - 1
    }

    /// A place for a follower's work. A flight never has more of them than it can use.
    pub(crate) fn reserve(&self) -> Option<usize> {
        // Relaxed: the count says which place is whose, and the place's own cell hands over what is in it.
        self.offered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < self.works.len()).then(|| taken + 1))
            .ok()
    }

    /// Leaves a follower's work in a place that was reserved for it. It comes back if the flight no longer needs it.
    #[must_use = "dropping work runs user code"]
    pub(crate) fn leave(&self, place: usize, work: ParkedWork<V>) -> Option<Box<ParkedWork<V>>> {
        drop_contained(self.works[place].put(Box::new(work)));
        if self.is_stopped() {
            // `clear` comes after the flag, and swaps this cell. If its swap came before ours, ours acquires what it released,
            // and so we see the flag; if it came after, it found the work.
            return self.works[place].take();
        }
        self.wake(self.watcher());
        None
    }

    pub(crate) fn claim(&self, place: usize) -> Option<ParkedWork<V>> {
        self.works[place].take().map(|work| *work)
    }

    /// Drops what is left, where user code may run.
    pub(crate) fn clear(&self) {
        self.works.iter().for_each(|work| drop_contained(work.take()));
    }

    /// What is left, to be dropped where no caller waits for that.
    pub(crate) fn take_left(&self) -> Option<Deferred>
    where
        V: 'static,
    {
        let left: Vec<_> = self.works.iter().filter_map(Cell::take).collect();
        (!left.is_empty()).then(|| Deferred::new(move || left.into_iter().for_each(drop_contained)))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Runs nothing of the user's: it is called while a shard is out, where the flight is aborted.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        (0..self.tasks.len()).for_each(|task| self.wake(task));
    }

    fn wake(&self, task: usize) {
        self.tasks[task].wake();
    }

    /// The task that is to hear of it when this is stopped. True if it is already.
    pub(crate) fn register(&self, task: usize, waker: &Waker) -> bool {
        self.tasks[task].register(waker);
        // `AtomicWaker` orders the two: either `stop` finds this waker, or its flag, set before, is seen here.
        self.is_stopped()
    }
}

impl<V> Drop for Spares<V> {
    fn drop(&mut self) {
        self.clear();
    }
}

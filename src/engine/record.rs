//! What the callers of one flight and its work share: the outcome, and what the work is told.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use crate::{
    error::JoinError,
    sync::{AtomicU8, AtomicWaker, Cell, OnceLock},
    unwind::drop_contained,
};

/// How a flight ended.
pub(crate) type Outcome<V> = Result<Arc<V>, JoinError>;

/// What work returns.
pub(crate) struct Output<V> {
    pub(crate) value: V,
    /// Whether it is the work's own error, where the join could tell (`try_join`).
    pub(crate) is_error: bool,
}

/// Work that its leader polls: boxed, so that it can be moved to a task between two polls.
pub(crate) struct InPlaceWork<V>(pub(crate) Pin<Box<dyn Future<Output = Result<Output<V>, JoinError>> + Send>>);

/// The flight is over and its work has to be dropped.
const ABORTED: u8 = 1;
/// A second caller waits for work that the leader polls: it has to become a task.
const SHARED: u8 = 2;

pub(crate) struct Record<V> {
    /// Set once, in the turn that unmapped the flight.
    outcome: OnceLock<Outcome<V>>,
    flags: AtomicU8,
    /// The work's task, which has to be woken to learn that it is aborted.
    task: AtomicWaker,
    /// Work that its leader polls, while it is not being polled.
    in_place: Cell<InPlaceWork<V>>,
}

impl<V> Record<V> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            outcome: OnceLock::new(),
            flags: AtomicU8::new(0),
            task: AtomicWaker::new(),
            in_place: Cell::empty(),
        })
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome<V>> {
        self.outcome.get()
    }

    pub(crate) fn error(&self) -> Option<&JoinError> {
        self.outcome()?.as_ref().err()
    }

    /// To be called in the turn that unmapped the flight, after that: a join that comes later finds no flight (G3). Runs
    /// nothing of the user's.
    pub(super) fn publish(&self, outcome: Outcome<V>) {
        if let Err(second) = self.outcome.set(outcome) {
            drop_contained(second);
            debug_assert!(false, "a flight is unmapped once, so its outcome is published once");
        }
    }

    /// The outcome of a record that only this caller still has, without a clone.
    pub(crate) fn into_outcome(mut self: Arc<Self>) -> Option<Outcome<V>> {
        match Arc::get_mut(&mut self) {
            Some(record) => record.outcome.take(),
            None => self.outcome.get().cloned(),
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        // Relaxed where it is asked between polls: `register` below makes sure of the rest.
        self.flags.load(Ordering::Relaxed) & ABORTED != 0
    }

    /// The task that is to hear of an abort. True if it is aborted already.
    pub(crate) fn register(&self, task: &Waker) -> bool {
        self.task.register(task);
        // `AtomicWaker` orders the two: either `abort` finds this waker, or its flag, set before, is seen here.
        self.is_aborted()
    }

    /// Has the work dropped by its task. Work that its leader polls comes back, for the caller to drop.
    #[must_use = "dropping work runs user code"]
    pub(super) fn abort(&self) -> Option<Box<InPlaceWork<V>>> {
        self.flags.fetch_or(ABORTED, Ordering::Relaxed);
        self.task.wake();
        self.in_place.take()
    }

    /// A second caller has come, or the leader has left: the work is to be a task. It comes back unless it is being
    /// polled just now, in which case [`park`](Self::park) gives it to the leader again.
    pub(crate) fn share(&self) -> Option<Box<InPlaceWork<V>>> {
        self.flags.fetch_or(SHARED, Ordering::Relaxed);
        self.in_place.take()
    }

    /// The leader's work, to be polled. `None` if it is no longer the leader's to poll.
    pub(crate) fn unpark(&self) -> Option<InPlaceWork<V>> {
        self.in_place.take().map(|work| *work)
    }

    /// Leaves the work for the leader's next poll, or for the caller that needs it before. It comes back if it is needed already.
    pub(crate) fn park(&self, work: InPlaceWork<V>) -> Option<(Box<InPlaceWork<V>>, Needed)> {
        drop_contained(self.in_place.put(Box::new(work)));
        // `share` and `abort` set their flag and then swap the cell. A swap of theirs that found it empty came before ours
        // in the cell's order, ours acquires what theirs released, and so we see the flag.
        match self.flags.load(Ordering::Relaxed) {
            0 => None,
            flags => {
                let needed = if flags & ABORTED == 0 { Needed::AsTask } else { Needed::Dropped };
                self.in_place.take().map(|work| (work, needed))
            }
        }
    }
}

/// What is to become of work that its leader has just polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    AsTask,
    Dropped,
}

/// The last owner drops the value: one of its callers, in nearly all cases. A panic in its `Drop` ends here (G13).
impl<V> Drop for Record<V> {
    fn drop(&mut self) {
        drop_contained(self.outcome.take());
        drop_contained(self.in_place.take());
    }
}

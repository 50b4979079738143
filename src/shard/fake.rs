//! The callers of a shard that is tested by itself: numbers, in which a test sees everything.

use std::cell::{Cell, RefCell};

use super::{Begins, FlightRef, Join, Types};
use crate::config::Priority;

#[derive(Clone)]
pub(super) struct Numbers;

impl Types for Numbers {
    type Key = Name;
    type Waker = u64;
    type Record = u64;

    fn record(_: FlightRef, _: Begins<&u64>, _: usize) -> u64 {
        NEXT_RECORD.replace(NEXT_RECORD.get() + 1)
    }

    fn forget(_: &u64) {}

    fn reclass(record: &u64, class: Priority) -> bool {
        CLASSES.with_borrow_mut(|classes| classes.push((*record, class)));
        WAITING.with_borrow(|waiting| waiting.contains(record))
    }

    fn cancel(record: &u64) -> bool {
        WAITING.with_borrow(|waiting| waiting.contains(record))
    }
}

thread_local! {
    /// The records of flights whose work has not been allowed to begin.
    pub(super) static WAITING: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// What was said of the classes of flights, by record.
    pub(super) static CLASSES: RefCell<Vec<(u64, Priority)>> = const { RefCell::new(Vec::new()) };
}

thread_local! {
    /// The record of the next flight that a shard of this thread starts.
    pub(super) static NEXT_RECORD: Cell<u64> = const { Cell::new(0) };
}

thread_local! {
    /// How often keys were compared on this thread.
    pub(super) static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    /// How often a flight's identity was looked at on this thread.
    pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// A key, one value of which panics when it is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name(pub(super) u64);

pub(super) const UNCOMPARABLE: Name = Name(666);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        COMPARISONS.set(COMPARISONS.get() + 1);
        assert!(self.0 != UNCOMPARABLE.0 && other.0 != UNCOMPARABLE.0, "compared the uncomparable");
        self.0 == other.0
    }
}

impl Eq for Name {}

/// A caller's join.
pub(super) fn join_of(hash: u64, key: Name, waker: u64) -> Join<Numbers> {
    let class = Priority::Normal;
    Join { hash, key, waker, origin: None, description: None, in_place: false, fresh: false, limit: None, class }
}

//! Atomics and the mutex, in steps.
//!
//! Not Shuttle's own, which know no quiet. As theirs, these are sequentially consistent, whatever order is asked for.

use std::sync::{
    self, MutexGuard, PoisonError,
    atomic::{self, Ordering},
};

use super::point;

pub(crate) struct AtomicBool(atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        Self(atomic::AtomicBool::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> bool {
        point();
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: bool, order: Ordering) {
        point();
        self.0.store(value, order);
    }

    pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
        point();
        self.0.swap(value, order)
    }
}

#[derive(Debug)]
pub(crate) struct AtomicUsize(atomic::AtomicUsize);

impl AtomicUsize {
    pub(crate) fn new(value: usize) -> Self {
        Self(atomic::AtomicUsize::new(value))
    }

    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        point();
        self.0.fetch_add(value, order)
    }

    /// One step: of two that update at once, the second sees what the first did, and tries again.
    pub(crate) fn try_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        update: impl FnMut(usize) -> Option<usize>,
    ) -> Result<usize, usize> {
        point();
        self.0.try_update(set_order, fetch_order, update)
    }
}

/// Nobody meets a scheduling point while it is held, so it is never waited for.
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        point();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

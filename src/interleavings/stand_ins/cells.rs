//! The shard's cell and the outcome's, in steps.

use std::sync;

use crossbeam_utils::atomic::AtomicCell;

use super::point;

pub(crate) struct Cell<T>(AtomicCell<Option<Box<T>>>);

impl<T> Cell<T> {
    pub(crate) const fn empty() -> Self {
        Self(AtomicCell::new(None))
    }

    pub(crate) fn full(value: Box<T>) -> Self {
        Self(AtomicCell::new(Some(value)))
    }

    pub(crate) fn take(&self) -> Option<Box<T>> {
        point();
        self.0.take()
    }

    pub(crate) fn put(&self, value: Box<T>) -> Option<Box<T>> {
        point();
        self.0.swap(Some(value))
    }

    /// No point: exclusive access can't be raced.
    pub(crate) fn into_inner(self) -> Option<Box<T>> {
        self.0.into_inner()
    }

    /// For scenarios alone, and in one step: no task can act between taking the value and putting it back.
    pub(crate) fn is_full(&self) -> bool {
        let value = self.0.take();
        let is_full = value.is_some();
        self.0.store(value);
        is_full
    }
}

#[derive(Debug)]
pub(crate) struct OnceLock<T>(sync::OnceLock<T>);

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self(sync::OnceLock::new())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        point();
        self.0.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        point();
        self.0.set(value)
    }

    /// One step: what `init` runs has no points.
    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        point();
        self.0.get_or_init(init)
    }

    /// No point: exclusive access can't be raced.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

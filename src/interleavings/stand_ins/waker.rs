//! `AtomicWaker`, in steps.

use std::task::Waker;

use super::point;

pub(crate) struct AtomicWaker(futures_util::task::AtomicWaker);

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self(futures_util::task::AtomicWaker::new())
    }

    pub(crate) fn register(&self, waker: &Waker) {
        point();
        self.0.register(waker);
    }

    pub(crate) fn take(&self) -> Option<Waker> {
        point();
        self.0.take()
    }

    pub(crate) fn wake(&self) {
        point();
        // Taken in one step and woken in another: a waker may be anything, and take steps of its own.
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

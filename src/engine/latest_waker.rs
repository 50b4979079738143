//! How a caller is woken whose join waits in a queue.

use std::{
    sync::Arc,
    task::{Wake, Waker},
};

use crate::sync::AtomicWaker;

/// Wakes its caller by the waker that the caller was last polled with.
///
/// A caller that waits in a queue has no slot yet, so it cannot exchange the waker that it sent along. It sends this, and
/// exchanges what is in here.
pub(crate) struct LatestWaker(AtomicWaker);

impl LatestWaker {
    /// Runs the waker's `clone`, which is user code.
    pub(crate) fn new(waker: &Waker) -> Arc<Self> {
        let latest = Self(AtomicWaker::new());
        latest.register(waker);
        Arc::new(latest)
    }

    /// What was sent before this returns is to be looked for afterwards: it may have woken the older waker.
    pub(crate) fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }
}

impl Wake for LatestWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

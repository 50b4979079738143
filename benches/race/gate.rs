//! Work that ends when every caller has been polled once.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::sync::Semaphore;

/// Work waits here until every caller's first poll is over, so that no contender finishes part of a burst before the rest.
///
/// An open gate stays open: a contender that runs the work twice takes longer, and doesn't hang.
pub(crate) struct Gate {
    missing: AtomicUsize,
    opened: Semaphore,
}

impl Gate {
    pub(crate) fn new(callers: usize) -> Arc<Self> {
        Arc::new(Self { missing: AtomicUsize::new(callers), opened: Semaphore::new(0) })
    }

    pub(crate) async fn passed(&self) {
        // The semaphore never has a permit. Closing it opens the gate, and the error is expected.
        let _closed = self.opened.acquire().await;
    }

    pub(crate) fn count_in(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open();
        }
    }

    pub(crate) fn open(&self) {
        self.opened.close();
    }

    /// Counts its caller in after the first poll. That poll is the call's only one until it is woken, as without a gate.
    pub(crate) fn counting<C>(&self, call: C) -> Counting<'_, C> {
        Counting { call, gate: self, is_counted: false }
    }
}

pin_project! {
    /// Not an `async` block, which would keep a second copy of the call: calls differ in size.
    pub(crate) struct Counting<'gate, C> {
        #[pin]
        call: C,
        gate: &'gate Gate,
        is_counted: bool,
    }
}

impl<C: Future> Future for Counting<'_, C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.project();
        let answer = this.call.poll(context);
        if !*this.is_counted {
            *this.is_counted = true;
            this.gate.count_in();
        }
        answer
    }
}

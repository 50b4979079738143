//! Work that ends when everybody has come.

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

/// Where work waits until every caller's first poll is over, so that a herd is one herd with any contender.
///
/// It lets through whoever comes later, too: a contender that runs the work twice takes longer, and doesn't hang.
pub(crate) struct Gate {
    missing: AtomicUsize,
    turnstile: Semaphore,
}

impl Gate {
    pub(crate) fn new(callers: usize) -> Arc<Self> {
        Arc::new(Self { missing: AtomicUsize::new(callers), turnstile: Semaphore::new(0) })
    }

    pub(crate) async fn passed(&self) {
        // Closing is how it opens, so an error is a passage.
        let _closed = self.turnstile.acquire().await;
    }

    pub(crate) fn count_in(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open();
        }
    }

    pub(crate) fn open(&self) {
        self.turnstile.close();
    }

    /// Counts its caller in after the first poll. That poll is the call's only one until it is woken, as without a gate.
    pub(crate) fn counting<C>(&self, call: C) -> Counting<'_, C> {
        Counting { call, gate: self, is_counted: false }
    }
}

pin_project! {
    /// A call and no second copy of it, which an `async` block would keep: calls differ in size.
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

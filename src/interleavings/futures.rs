//! What callers and works wait for.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use ::futures::future::lazy;
use shuttle::future::JoinHandle;

/// Pending once.
pub(super) async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Ready at once.
pub(super) async fn ready() {}

/// The future after its first poll, by a waker that wakes no task.
pub(super) fn begun<F: Future>(future: F) -> Begun<F> {
    let mut begun = Begun { future: Box::pin(future), ended: None };
    begun.poll_again();
    begun
}

/// A task that polls the future once, and gives it back.
pub(super) fn begun_beside<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<Begun<F>> {
    shuttle::future::spawn(lazy(|_| begun(future)))
}

/// A poll may have ended it: other tasks go on while it lasts.
pub(super) struct Begun<F: Future> {
    future: Pin<Box<F>>,
    ended: Option<F::Output>,
}

impl<F: Future> Begun<F> {
    /// Polls it once more, for no reason.
    pub(super) fn poll_again(&mut self) {
        if self.ended.is_none()
            && let Poll::Ready(output) = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            self.ended = Some(output);
        }
    }
}

impl<F: Future<Output: Unpin>> Future for Begun<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.ended.take() {
            Some(output) => Poll::Ready(output),
            None => self.future.as_mut().poll(cx),
        }
    }
}

/// What works wait at until a scenario opens it.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    pub(super) fn open(&self) {
        let waiting = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.open = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) async fn pass(self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.open {
                return Poll::Ready(());
            }
            state.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Work that waits at this gate.
    pub(super) fn work(&self) -> impl FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static {
        let gate = self.clone();
        move || Box::pin(gate.pass())
    }
}

//! A caller's work: how it travels, and the task that runs it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tracing::Instrument;

use crate::{
    error::JoinError,
    live::{Key, LiveLane, Product, Value, Work, post},
    panics,
    shard::{Complete, FlightId, Message},
};

/// Boxes a closure and the future it will return into one allocation, to run under the span it is boxed in.
pub(crate) fn pack<V, F, Fut>(work: F, is_error: fn(&V) -> bool) -> Work<V>
where
    V: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    let errand = Errand { stage: Stage::Packed { work: Some(work) }, is_error };
    let span = tracing::Span::current();
    // Without a subscriber there is no span, and work need not carry the room for one.
    if span.is_none() { Box::pin(errand) } else { Box::pin(errand.instrument(span)) }
}

pin_project! {
    /// The closure until the first poll, its future from then on: never room for both.
    struct Errand<V, F, Fut> {
        #[pin]
        stage: Stage<F, Fut>,
        is_error: fn(&V) -> bool,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Fut> {
        Packed { work: Option<F> },
        Running { #[pin] future: Fut },
    }
}

impl<V, F, Fut> Future for Errand<V, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = V>,
{
    type Output = Product<V>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StageProjection::Packed { work } = this.stage.as_mut().project() {
            let work = work.take().expect("a closure that panicked is not called again: its task is over");
            this.stage.set(Stage::Running { future: work() });
        }
        let StageProjection::Running { future } = this.stage.project() else {
            unreachable!("the closure was called above")
        };
        let value = ready!(future.poll(cx));
        let is_error = (this.is_error)(&value);
        Poll::Ready(Product { value: Arc::new(value), is_error })
    }
}

/// The task of one flight. Whatever becomes of it, its shard hears of its end exactly once.
pub(crate) struct Execution<K: Key, V: Value> {
    /// Before `work`, hence dropped before it: if the runtime drops the task, the callers learn of it even if the
    /// work's own `Drop` never returns (G5).
    report: Report<K, V>,
    work: Option<Work<V>>,
}

impl<K: Key, V: Value> Execution<K, V> {
    pub(crate) fn new(lane: Arc<LiveLane<K, V>>, hash: u64, flight: FlightId, work: Work<V>) -> Self {
        Self { report: Report { lane, hash, flight, sent: false }, work: Some(work) }
    }
}

impl<K: Key, V: Value> Future for Execution<K, V> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.work else { return Poll::Ready(()) };
        let product = match panics::catch(|| work.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(product)) => Ok(product),
            Err(panic) => Err(JoinError::Panicked(panic)),
        };
        // What the work held (connections, permits) is free again before anyone hears of the result.
        panics::drop_contained(self.work.take());
        self.report.send(product);
        Poll::Ready(())
    }
}

/// Tells the shard how the work ended; if nobody says how, that it was aborted.
struct Report<K: Key, V: Value> {
    lane: Arc<LiveLane<K, V>>,
    hash: u64,
    flight: FlightId,
    sent: bool,
}

impl<K: Key, V: Value> Report<K, V> {
    fn send(&mut self, product: Result<Product<V>, JoinError>) {
        self.sent = true;
        let (outcome, is_error) = match product {
            Ok(Product { value, is_error }) => (Ok(value), is_error),
            Err(error) => (Err(error), false),
        };
        let complete = Complete { hash: self.hash, flight: self.flight, outcome, is_error };
        post(&self.lane, Message::Complete(complete));
    }
}

impl<K: Key, V: Value> Drop for Report<K, V> {
    fn drop(&mut self) {
        if !self.sent {
            self.send(Err(JoinError::Aborted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(work: Work<u64>) -> (Execution<u64, u64>, Arc<LiveLane<u64, u64>>) {
        let lane = Arc::new(LiveLane::new());
        (Execution::new(Arc::clone(&lane), 7, FlightId::default(), work), lane)
    }

    fn reported(lane: &LiveLane<u64, u64>) -> Option<Result<u64, JoinError>> {
        match lane.take()? {
            Message::Complete(complete) => Some(complete.outcome.map(|value| *value)),
            _ => panic!("work sends nothing but completions"),
        }
    }

    #[test]
    fn work_that_is_dropped_before_its_end_is_reported_as_aborted() {
        let (execution, lane) = execution(pack(|| async { 7 }, |_| false));
        drop(execution);
        assert!(matches!(reported(&lane), Some(Err(JoinError::Aborted))));
        assert!(reported(&lane).is_none());
    }

    #[test]
    fn work_that_ended_is_reported_once() {
        let (mut execution, lane) = execution(pack(|| async { 7 }, |_| false));
        let waker = std::task::Waker::noop();
        assert!(Pin::new(&mut execution).poll(&mut Context::from_waker(waker)).is_ready());
        drop(execution);
        assert!(matches!(reported(&lane), Some(Ok(7))));
        assert!(reported(&lane).is_none());
    }

    #[test]
    fn what_work_holds_is_free_before_its_end_is_reported() {
        struct Looks(Arc<LiveLane<u64, u64>>);
        impl Drop for Looks {
            fn drop(&mut self) {
                assert_eq!(self.0.len(), 0, "reported too early");
            }
        }
        let lane = Arc::new(LiveLane::new());
        let held = Looks(Arc::clone(&lane));
        // A future of the kind that keeps what it holds until it is itself dropped.
        let work = pack(move || std::future::poll_fn(move |_| Poll::Ready(held.0.len() as u64)), |_| false);
        let mut execution = Execution::new(Arc::clone(&lane), 7, FlightId::default(), work);
        assert!(Pin::new(&mut execution).poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready());
        assert!(matches!(reported(&lane), Some(Ok(0))));
    }
}

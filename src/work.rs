//! A caller's work: how it travels, and the task that runs it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{Instrument, Span};

use crate::{
    error::JoinError,
    live::{Key, Lanes, Product, Value, Work, post},
    panics,
    running::{self, Running},
    shard::{Complete, FlightRef, Message},
    sight,
};

/// Boxes a closure and the future it will return into one allocation, to run in a flight's task under a span below the
/// one it is boxed in.
pub(crate) fn pack<V, F, Fut>(work: F, is_error: fn(&V) -> bool) -> Work<V>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    under_flight_span(Errand::new(work, is_error))
}

/// Boxes work that runs where it is, in its caller's task and under its caller's span.
pub(crate) fn pack_in_place<V, F, Fut>(work: F) -> Work<V>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    Box::pin(Errand::new(work, |_| false))
}

/// [`pack`] for a closure that blocks: it runs on the runtime's blocking pool.
pub(crate) fn pack_blocking<V, F>(work: F) -> Work<V>
where
    V: Value,
    F: FnOnce() -> V + Send + 'static,
{
    let errand = async move {
        let (running, span) = (running::current(), Span::current());
        let blocking = spawn_blocking(move || {
            let _running = running::enter(running);
            let _span = span.entered();
            work()
        });
        match AbortOnDrop(blocking).await {
            Ok(value) => Ok(Product { value: Arc::new(value), is_error: false }),
            Err(error) => Err(match error.try_into_panic() {
                Ok(payload) => JoinError::Panicked(panics::from_payload(payload)),
                Err(_) => JoinError::Aborted,
            }),
        }
    };
    under_flight_span(errand)
}

/// Has work run under a span of its flight's, below its leader's.
fn under_flight_span<V: Value>(
    errand: impl Future<Output = Result<Product<V>, JoinError>> + Send + 'static,
) -> Work<V> {
    let leader = Span::current();
    // Where nobody listens, work need not carry the room for a span.
    if leader.is_none() && !sight::hears_of_flights() {
        return Box::pin(errand);
    }
    Box::pin(async move { errand.instrument(sight::flight_span(&leader, running::current())).await })
}

/// Blocking work that has not begun when its flight is cut short never begins.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = <JoinHandle<T> as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
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

impl<V, F, Fut> Errand<V, F, Fut> {
    fn new(work: F, is_error: fn(&V) -> bool) -> Self {
        Self { stage: Stage::Packed { work: Some(work) }, is_error }
    }
}

impl<V, F, Fut> Future for Errand<V, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = V>,
{
    type Output = Result<Product<V>, JoinError>;

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
        Poll::Ready(Ok(Product { value: Arc::new(value), is_error }))
    }
}

/// Polls work where it is, catching its panics. Once it has ended, it is gone.
pub(crate) fn poll_contained<V>(
    work: &mut Option<Work<V>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Product<V>, JoinError>> {
    let Some(running) = work else { return Poll::Ready(Err(JoinError::Aborted)) };
    let product = match panics::catch(|| running.as_mut().poll(cx)) {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(product)) => product,
        Err(panic) => Err(JoinError::Panicked(panic)),
    };
    // What the work held (connections, permits) is free again before anyone hears of the result.
    panics::drop_contained(work.take());
    Poll::Ready(product)
}

/// The task of one flight. Whatever becomes of it, its shard hears of its end exactly once.
pub(crate) struct Execution<K: Key, V: Value> {
    /// Before `work`, hence dropped before it: if the runtime drops the task, the callers learn of it even if the
    /// work's own `Drop` never returns (G5).
    report: Report<K, V>,
    work: Option<Work<V>>,
}

impl<K: Key, V: Value> Execution<K, V> {
    pub(crate) fn new(lanes: Lanes<K, V>, flight: FlightRef, work: Work<V>) -> Self {
        Self { report: Report { lanes, flight, sent: false }, work: Some(work) }
    }
}

impl<K: Key, V: Value> Future for Execution<K, V> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let running = Running { coalescer: this.report.lanes.identity(), flight: this.report.flight };
        let product = {
            let _running = running::enter(Some(running));
            ready!(poll_contained(&mut this.work, cx))
        };
        this.report.send(product);
        Poll::Ready(())
    }
}

/// Tells the shard how the work ended; if nobody says how, that it was aborted.
struct Report<K: Key, V: Value> {
    lanes: Lanes<K, V>,
    flight: FlightRef,
    sent: bool,
}

impl<K: Key, V: Value> Report<K, V> {
    fn send(&mut self, product: Result<Product<V>, JoinError>) {
        self.sent = true;
        let (outcome, is_error) = match product {
            Ok(Product { value, is_error }) => (Ok(value), is_error),
            Err(error) => (Err(error), false),
        };
        let complete = Complete { flight: self.flight, outcome, is_error };
        post(&self.lanes[self.flight.id.shard()], Message::Complete(complete));
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
    use std::task::Waker;

    use super::*;

    fn execution(work: Work<u64>) -> (Execution<u64, u64>, Lanes<u64, u64>) {
        let lanes = Lanes::new(1, None);
        (Execution::new(lanes.clone(), FlightRef::default(), work), lanes)
    }

    fn reported(lanes: &Lanes<u64, u64>) -> Option<Result<u64, JoinError>> {
        match lanes[0].take()? {
            Message::Complete(complete) => Some(complete.outcome.map(|value| *value)),
            _ => panic!("work sends nothing but completions"),
        }
    }

    #[test]
    fn work_that_is_dropped_before_its_end_is_reported_as_aborted() {
        let (execution, lanes) = execution(pack(|| async { 7 }, |_| false));
        drop(execution);
        assert!(matches!(reported(&lanes), Some(Err(JoinError::Aborted))));
        assert!(reported(&lanes).is_none());
    }

    #[test]
    fn work_that_ended_is_reported_once() {
        let (mut execution, lanes) = execution(pack(|| async { 7 }, |_| false));
        assert!(Pin::new(&mut execution).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        drop(execution);
        assert!(matches!(reported(&lanes), Some(Ok(7))));
        assert!(reported(&lanes).is_none());
    }

    #[test]
    fn what_work_holds_is_free_before_its_end_is_reported() {
        struct Looks(Lanes<u64, u64>);
        impl Drop for Looks {
            fn drop(&mut self) {
                assert_eq!(self.0[0].len(), 0, "reported too early");
            }
        }
        let lanes = Lanes::new(1, None);
        let held = Looks(lanes.clone());
        // A future of the kind that keeps what it holds until it is itself dropped.
        let work = pack(move || std::future::poll_fn(move |_| Poll::Ready(held.0[0].len() as u64)), |_| false);
        let mut execution = Execution::new(lanes.clone(), FlightRef::default(), work);
        assert!(Pin::new(&mut execution).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(matches!(reported(&lanes), Some(Ok(0))));
    }
}

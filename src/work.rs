//! A caller's work: how it travels, and the task that runs it.

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{Instrument, Span};

use crate::{
    error::JoinError,
    host::{Runtime, Task},
    live::{Key, Lanes, Value, post},
    panics,
    running::{self, Running},
    shard::{Complete, FlightRef, Message},
    sight,
    ticket::Work,
};

/// Tells whether a value is the work's own error. A type and not a function, as a function would take up room in every
/// ticket and task.
pub(crate) trait Judge<V>: 'static {
    fn is_error(value: &V) -> bool;
}

/// A value is a value.
pub(crate) struct Unjudged;

impl<V> Judge<V> for Unjudged {
    fn is_error(_: &V) -> bool {
        false
    }
}

/// A value is a result.
pub(crate) struct ByResult;

impl<T, E> Judge<Result<T, E>> for ByResult {
    fn is_error(value: &Result<T, E>) -> bool {
        value.is_err()
    }
}

/// A closure that returns a future.
pub(crate) struct AsyncWork<F, J> {
    work: F,
    judge: PhantomData<fn() -> J>,
}

impl<F, J> AsyncWork<F, J> {
    pub(crate) fn new(work: F) -> Self {
        Self { work, judge: PhantomData }
    }
}

impl<K, V, F, J, Fut> Work<K, V> for AsyncWork<F, J>
where
    J: Judge<V>,
    K: Key,
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    fn launch(self, leader: Option<Span>, runtime: &Runtime, lanes: Lanes<K, V>, flight: FlightRef) -> Task {
        launch(Errand::<J, _, _>::new(self.work), leader, runtime, lanes, flight)
    }
}

/// A closure that blocks: it runs on the runtime's blocking pool.
pub(crate) struct BlockingWork<F>(pub(crate) F);

impl<K, V, F> Work<K, V> for BlockingWork<F>
where
    K: Key,
    V: Value,
    F: FnOnce() -> V + Send + 'static,
{
    fn launch(self, leader: Option<Span>, runtime: &Runtime, lanes: Lanes<K, V>, flight: FlightRef) -> Task {
        launch(run_blocking(self.0), leader, runtime, lanes, flight)
    }
}

async fn run_blocking<V: Value>(work: impl FnOnce() -> V + Send + 'static) -> Result<Product<V>, JoinError> {
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
}

/// Work that runs where it is, in its caller's task and under its caller's span.
pub(crate) type InPlace<V> = Pin<Box<dyn Future<Output = Result<Product<V>, JoinError>> + Send>>;

pub(crate) fn in_place<V, F, Fut>(work: F) -> InPlace<V>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    Box::pin(Errand::<Unjudged, _, _>::new(work))
}

/// What work ends in.
pub(crate) struct Product<V> {
    pub(crate) value: Arc<V>,
    pub(crate) is_error: bool,
}

/// Has work run as a task, under a span of its flight's if somebody listens.
fn launch<K: Key, V: Value>(
    errand: impl Future<Output = Result<Product<V>, JoinError>> + Send + 'static,
    leader: Option<Span>,
    runtime: &Runtime,
    lanes: Lanes<K, V>,
    flight: FlightRef,
) -> Task {
    let task = match leader {
        None => runtime.spawn(Execution::new(lanes, flight, errand)),
        Some(leader) => {
            let errand = async move { errand.instrument(sight::flight_span(&leader, running::current())).await };
            runtime.spawn(Execution::new(lanes, flight, errand))
        }
    };
    task.abort_handle()
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
    struct Errand<J, F, Fut> {
        #[pin]
        stage: Stage<F, Fut>,
        judge: PhantomData<fn() -> J>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Fut> {
        Packed { work: Option<F> },
        Running { #[pin] future: Fut },
    }
}

impl<J, F, Fut> Errand<J, F, Fut> {
    fn new(work: F) -> Self {
        Self { stage: Stage::Packed { work: Some(work) }, judge: PhantomData }
    }
}

impl<J, F, Fut> Future for Errand<J, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future,
    J: Judge<Fut::Output>,
{
    type Output = Result<Product<Fut::Output>, JoinError>;

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
        let is_error = J::is_error(&value);
        Poll::Ready(Ok(Product { value: Arc::new(value), is_error }))
    }
}

/// Polls work where it is, catching its panics. Once it has ended, it is gone.
pub(crate) fn poll_contained<V>(
    mut work: Pin<&mut Option<impl Future<Output = Result<Product<V>, JoinError>>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Product<V>, JoinError>> {
    let Some(running) = work.as_mut().as_pin_mut() else { return Poll::Ready(Err(JoinError::Aborted)) };
    let product = match panics::catch(|| running.poll(cx)) {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(product)) => product,
        Err(panic) => Err(JoinError::Panicked(panic)),
    };
    // What the work held (connections, permits) is free again before anyone hears of the result.
    panics::contain(|| work.set(None));
    Poll::Ready(product)
}

pin_project! {
    /// The task of one flight. Whatever becomes of it, its shard hears of its end exactly once.
    pub(crate) struct Execution<K: Key, V: Value, W> {
        // Before `work`, hence dropped before it: if the runtime drops the task, the callers learn of it even if the
        // work's own `Drop` never returns (G5).
        report: Report<K, V>,
        #[pin]
        work: Option<W>,
    }
}

impl<K: Key, V: Value, W> Execution<K, V, W> {
    pub(crate) fn new(lanes: Lanes<K, V>, flight: FlightRef, work: W) -> Self {
        Self { report: Report { lanes: Some(lanes), flight }, work: Some(work) }
    }
}

impl<K, V, W> Future for Execution<K, V, W>
where
    K: Key,
    V: Value,
    W: Future<Output = Result<Product<V>, JoinError>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let product = {
            let _running = running::enter(this.report.running());
            ready!(poll_contained(this.work, cx))
        };
        this.report.send(product);
        Poll::Ready(())
    }
}

/// Tells the shard how the work ended; if nobody says how, that it was aborted.
struct Report<K: Key, V: Value> {
    /// `None` once it is told.
    lanes: Option<Lanes<K, V>>,
    flight: FlightRef,
}

impl<K: Key, V: Value> Report<K, V> {
    fn running(&self) -> Option<Running> {
        self.lanes.as_ref().map(|lanes| Running { coalescer: lanes.identity(), flight: self.flight })
    }

    fn send(&mut self, product: Result<Product<V>, JoinError>) {
        let Some(lanes) = self.lanes.take() else { return };
        let (outcome, is_error) = match product {
            Ok(Product { value, is_error }) => (Ok(value), is_error),
            Err(error) => (Err(error), false),
        };
        let complete = Complete { flight: self.flight, outcome, is_error };
        post(&lanes[self.flight.id.shard()], Message::Complete(complete));
    }
}

impl<K: Key, V: Value> Drop for Report<K, V> {
    fn drop(&mut self) {
        self.send(Err(JoinError::Aborted));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::shard::FlightId;

    const FLIGHT: FlightRef = FlightRef { hash: 0, id: FlightId::first_of(0) };

    fn execution<W>(work: W) -> (Execution<u64, u64, W>, Lanes<u64, u64>) {
        let lanes = Lanes::new(1, None);
        (Execution::new(lanes.clone(), FLIGHT, work), lanes)
    }

    fn errand<F: FnOnce() -> Fut, Fut: Future<Output = u64>>(work: F) -> Errand<Unjudged, F, Fut> {
        Errand::new(work)
    }

    fn reported(lanes: &Lanes<u64, u64>) -> Option<Result<u64, JoinError>> {
        match lanes[0].take()? {
            Message::Complete(complete) => Some(complete.outcome.map(|value| *value)),
            _ => panic!("work sends nothing but completions"),
        }
    }

    #[test]
    fn work_that_is_dropped_before_its_end_is_reported_as_aborted() {
        let (execution, lanes) = execution(errand(|| async { 7 }));
        drop(execution);
        assert!(matches!(reported(&lanes), Some(Err(JoinError::Aborted))));
        assert!(reported(&lanes).is_none());
    }

    #[test]
    fn work_that_ended_is_reported_once() {
        let (execution, lanes) = execution(errand(|| async { 7 }));
        let mut execution = Box::pin(execution);
        assert!(execution.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
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
        let work = errand(move || std::future::poll_fn(move |_| Poll::Ready(held.0[0].len() as u64)));
        let mut execution = Box::pin(Execution::new(lanes.clone(), FLIGHT, work));
        assert!(execution.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(matches!(reported(&lanes), Some(Ok(0))));
    }
}

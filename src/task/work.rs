//! A caller's work: a closure that becomes a future when it is first polled.

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{FlightSpan, admitted::PermitWait, attempt::Offered, execution, kind::JoinKind, takeover};
use crate::{
    engine::{BoxedFuture, Completer, Ending, Key, Output, ParkedWork, Takes, Value},
    error::JoinError,
    sync::{Runtime, boxed_task},
    unwind::{catch, contain, drop_contained},
};

/// What a join brings along. Nothing of the user's runs before it is polled or launched.
pub(crate) trait Work<V: Value>: Sized + Send + 'static {
    /// A leader may poll it itself, where the policy says so.
    const IN_PLACE: bool;

    const TAKES: Takes<V>;

    /// Has it run by itself, in this span.
    fn launch<K: Key>(self, span: Option<FlightSpan>, completer: Completer<K, V>, runtime: &Runtime);

    /// For its leader to poll, or for later.
    fn park(self, span: Option<FlightSpan>) -> ParkedWork<V>;
}

/// A closure that returns a future.
pub(crate) struct AsyncWork<F, C> {
    work: F,
    kind: PhantomData<fn() -> C>,
}

impl<F, C> AsyncWork<F, C> {
    pub(crate) fn new(work: F) -> Self {
        Self { work, kind: PhantomData }
    }
}

impl<F, C> AsyncWork<F, C> {
    fn into_boxing_future<Fut>(self) -> BoxingWorkFuture<C, F, Fut>
    where
        F: FnOnce() -> Fut,
    {
        BoxingWorkFuture { work: Some(self.work), future: None, kind: PhantomData }
    }

    /// As it is moved about between its polls.
    pub(crate) fn into_boxed<V, Fut>(self) -> BoxedFuture<V>
    where
        V: Value,
        C: JoinKind<V>,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        if size_of::<Fut>() > LARGE { Box::pin(self.into_boxing_future()) } else { boxed_at_once(self) }
    }

    pub(crate) fn into_future<Fut>(self) -> WorkFuture<C, F, Fut>
    where
        F: FnOnce() -> Fut,
    {
        WorkFuture { stage: Stage::Uncalled { work: Some(self.work) }, kind: PhantomData }
    }
}

impl<V, F, C, Fut> Work<V> for AsyncWork<F, C>
where
    C: JoinKind<V>,
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    const IN_PLACE: bool = true;

    const TAKES: Takes<V> = C::TAKES;

    fn launch<K: Key>(self, span: Option<FlightSpan>, completer: Completer<K, V>, runtime: &Runtime) {
        // A type of task is some five hundred functions of Tokio's to compile. So each kind of work has one at most, and
        // what is boxed or traced shares those of its value's type.
        if span.is_some() || size_of::<Fut>() > LARGE || completer.record().spares().is_some() {
            execution::launch_boxed(execution::in_span(self.into_boxed(), span), completer, runtime);
        } else {
            launch_unboxed(self, completer, runtime);
        }
    }

    fn park(self, span: Option<FlightSpan>) -> ParkedWork<V> {
        ParkedWork::Async(execution::in_span(self.into_boxed(), span))
    }
}

// In functions of their own: unoptimised, a frame has room for what is in branches not taken.

fn launch_unboxed<K, V, F, C, Fut>(work: AsyncWork<F, C>, completer: Completer<K, V>, runtime: &Runtime)
where
    K: Key,
    V: Value,
    C: JoinKind<V>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    execution::launch(work.into_future(), completer, runtime);
}

fn boxed_at_once<V, F, C, Fut>(work: AsyncWork<F, C>) -> BoxedFuture<V>
where
    V: Value,
    C: JoinKind<V>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
{
    Box::pin(work.into_future())
}

/// A future of more bytes is moved into a box of its own when its closure has made it. Inside of its task's future it would
/// be moved from call to call until that is spawned, each time over the stack, where a large one may not fit.
const LARGE: usize = 2048;

/// The closure until the first poll, the box with its future from then on.
pub(crate) struct BoxingWorkFuture<C, F, Fut> {
    work: Option<F>,
    future: Option<Pin<Box<Fut>>>,
    kind: PhantomData<fn() -> C>,
}

// The closure is not pinned, and the future is in its box.
impl<C, F, Fut> Unpin for BoxingWorkFuture<C, F, Fut> {}

impl<C, F, Fut> Future for BoxingWorkFuture<C, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future,
    C: JoinKind<Fut::Output>,
{
    type Output = Result<Output<Fut::Output>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(work) = self.work.take() {
            self.future = Some(boxed(work));
        }
        let future = self.future.as_mut().expect("a closure that panicked is not called again: its task is over");
        let value = ready!(future.as_mut().poll(cx));
        let is_error = C::is_error(&value);
        Poll::Ready(Ok(Output { value, is_error }))
    }
}

/// On its own, so that no frame below the future's poll keeps room for it.
#[inline(never)]
fn boxed<Fut>(work: impl FnOnce() -> Fut) -> Pin<Box<Fut>> {
    Box::into_pin(Box::new(work()))
}

pin_project! {
    /// The closure until the first poll, its future from then on: never room for both.
    pub(crate) struct WorkFuture<C, F, Fut> {
        #[pin]
        stage: Stage<F, Fut>,
        kind: PhantomData<fn() -> C>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Fut> {
        Uncalled { work: Option<F> },
        Running { #[pin] future: Fut },
    }
}

impl<C, F, Fut> Future for WorkFuture<C, F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future,
    C: JoinKind<Fut::Output>,
{
    type Output = Result<Output<Fut::Output>, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StageProjection::Uncalled { work } = this.stage.as_mut().project() {
            let work = work.take().expect("a closure that panicked is not called again: its task is over");
            this.stage.set(Stage::Running { future: work() });
        }
        let StageProjection::Running { future } = this.stage.project() else {
            unreachable!("the closure was called above")
        };
        let value = ready!(future.poll(cx));
        let is_error = C::is_error(&value);
        Poll::Ready(Ok(Output { value, is_error }))
    }
}

/// A closure that blocks: it runs on the runtime's blocking pool, from where it completes its flight.
pub(crate) struct BlockingWork<F, C> {
    work: F,
    kind: PhantomData<fn() -> C>,
}

impl<F, C> BlockingWork<F, C> {
    pub(crate) fn new(work: F) -> Self {
        Self { work, kind: PhantomData }
    }

    fn into_closure<V>(self) -> impl FnOnce() -> Output<V>
    where
        C: JoinKind<V>,
        F: FnOnce() -> V,
    {
        move || {
            let value = (self.work)();
            Output { is_error: C::is_error(&value), value }
        }
    }
}

impl<V, F, C> Work<V> for BlockingWork<F, C>
where
    V: Value,
    C: JoinKind<V>,
    F: FnOnce() -> V + Send + 'static,
{
    const IN_PLACE: bool = false;

    const TAKES: Takes<V> = C::TAKES;

    fn launch<K: Key>(self, span: Option<FlightSpan>, completer: Completer<K, V>, runtime: &Runtime) {
        launch_blocking(self.into_closure(), span, completer, runtime);
    }

    fn park(self, span: Option<FlightSpan>) -> ParkedWork<V> {
        let work = self.into_closure();
        ParkedWork::Blocking(match span {
            None => Box::new(work),
            Some(span) => Box::new(move || span.run(work)),
        })
    }
}

/// Has a closure run by a thread of the blocking pool, or by a caller that waits for it.
pub(super) fn launch_blocking<K: Key, V: Value>(
    work: impl FnOnce() -> Output<V> + Send + 'static,
    span: Option<FlightSpan>,
    completer: Completer<K, V>,
    runtime: &Runtime,
) {
    if let Some(spares) = completer.record().spares() {
        let work: Box<dyn FnOnce() -> Output<V> + Send> = match span {
            None => Box::new(work),
            Some(span) => Box::new(move || span.run(work)),
        };
        return takeover::launch(ParkedWork::Blocking(work), Arc::clone(spares), completer);
    }
    let begins = completer.request();
    let execution = BlockingExecution { completer, work: Some(work) };
    if begins {
        offer(execution, span, runtime);
    } else {
        offer_when_admitted(execution, span, runtime);
    }
}

fn offer<K, V, F>(execution: BlockingExecution<K, V, F>, span: Option<FlightSpan>, runtime: &Runtime)
where
    K: Key,
    V: Value,
    F: FnOnce() -> Output<V> + Send + 'static,
{
    let record = execution.completer.share_record();
    record.offer(Box::new(move || execution.run(span)));
    let offered = Offered::new(&record);
    drop(runtime.spawn_blocking(move || offered.run()));
}

/// A thread is taken when there is a permit.
#[cold]
fn offer_when_admitted<K, V, F>(execution: BlockingExecution<K, V, F>, span: Option<FlightSpan>, runtime: &Runtime)
where
    K: Key,
    V: Value,
    F: FnOnce() -> Output<V> + Send + 'static,
{
    let wait = async move {
        match PermitWait::of(&execution.completer).await {
            Err(error) => execution.refuse(error),
            // It only drops the work.
            Ok(()) if execution.completer.record().is_aborted() => execution.run(span),
            Ok(()) => {
                let runtime = execution.completer.engine().runtime.clone();
                offer(execution, span, &runtime);
            }
        }
    };
    drop(runtime.spawn(boxed_task(wait)));
}

struct BlockingExecution<K: Key, V: Value, F> {
    // Before `work`, hence dropped before it: if the runtime drops the closure, the callers learn of it even if the closure's
    // own `Drop` never returns (G5).
    completer: Completer<K, V>,
    work: Option<F>,
}

impl<K: Key, V: Value, F: FnOnce() -> Output<V>> BlockingExecution<K, V, F> {
    /// Ends the flight of work that was not called.
    fn refuse(self, error: JoinError) {
        let Self { completer, work } = self;
        let engine = Arc::clone(completer.engine());
        if let Some(rest) = completer.complete(Err(error)) {
            rest.hand_over(&engine);
        }
        drop_contained(work);
    }

    fn run(self, span: Option<FlightSpan>) {
        let Self { mut completer, work } = self;
        // Work that has not begun when its flight is cut short never begins.
        if completer.record().is_aborted() {
            // Its callers were answered when it was cut short.
            completer.drop_first(work);
            return;
        }
        let Some(work) = work else { return };
        completer.call();
        let ending = {
            let (_, _current) = completer.enter();
            let run = || match span {
                Some(span) => span.run(work),
                None => work(),
            };
            catch(run).map_err(JoinError::Panicked)
        };
        let engine = Arc::clone(completer.engine());
        if let Some(rest) = completer.complete(ending) {
            rest.hand_over(&engine);
        }
    }
}

/// Polls work where it is, catching its panics. Once it has ended, it is gone.
pub(crate) fn poll_contained<V>(
    mut work: Pin<&mut Option<impl Future<Output = Ending<V>>>>,
    cx: &mut Context<'_>,
) -> Poll<Ending<V>> {
    let Some(running) = work.as_mut().as_pin_mut() else { return Poll::Ready(Err(JoinError::Aborted)) };
    let output = match catch(|| running.poll(cx)) {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => output,
        Err(panic) => Err(JoinError::Panicked(panic)),
    };
    // What the work held (connections, permits) is free again before any caller hears of the result.
    contain(|| work.set(None));
    Poll::Ready(output)
}

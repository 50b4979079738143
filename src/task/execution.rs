//! One execution of work: as a task, or polled by its leader.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tracing::Span;

use super::{
    admitted::Admitted,
    span::{FlightSpan, Spanned},
    takeover,
    work::{Work, launch_blocking, poll_contained},
};
use crate::{
    engine::{BoxedFuture, Completer, Ending, Key, Launch, ParkedWork, Record, Responding, Value},
    error::JoinError,
    sync::{Runtime, boxed_task},
    unwind::{Contained, catch, contain, drop_contained},
};

/// Has work run as a task of its own.
pub(crate) fn launch<K: Key, V: Value>(
    work: impl Future<Output = Ending<V>> + Send + 'static,
    completer: Completer<K, V>,
    runtime: &Runtime,
) {
    if completer.request() {
        drop(runtime.spawn(Execution::new(completer, work)));
    } else {
        launch_when_admitted(work, completer, runtime);
    }
}

#[cold]
#[inline(never)]
fn launch_when_admitted<K: Key, V: Value>(
    work: impl Future<Output = Ending<V>> + Send + 'static,
    completer: Completer<K, V>,
    runtime: &Runtime,
) {
    drop(runtime.spawn(boxed_task(Admitted::new(Execution::new(completer, work)))));
}

/// The same for work whose type is forgotten, and which may be taken over.
pub(super) fn launch_boxed<K: Key, V: Value>(work: BoxedFuture<V>, completer: Completer<K, V>, runtime: &Runtime) {
    match completer.record().spares() {
        None => launch(work, completer, runtime),
        Some(spares) => takeover::launch(ParkedWork::Async(work), Arc::clone(spares), completer),
    }
}

/// Work that runs in its flight's span, if there is one.
pub(crate) fn in_span<V: Value>(work: BoxedFuture<V>, span: Option<FlightSpan>) -> BoxedFuture<V> {
    match span {
        None => work,
        Some(span) => Box::pin(Spanned::new(work, span)),
    }
}

/// Polls work in its leader's task, on the coalescer's runtime. Once it has ended, it is gone.
pub(crate) fn poll_in_place<K: Key, V: Value>(
    work: &mut Option<ParkedWork<V>>,
    completer: &mut Completer<K, V>,
    cx: &mut Context<'_>,
) -> Poll<Ending<V>> {
    let Some(ParkedWork::Async(future)) = work.as_mut() else { return Poll::Ready(Err(JoinError::Aborted)) };
    completer.call();
    let polled = {
        let (engine, _current) = completer.enter();
        // Tokio can't be entered in the destructor of a thread-local.
        let _runtime = catch(|| engine.runtime.enter());
        catch(|| future.as_mut().poll(cx))
    };
    let output = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => output,
        Err(panic) => Err(JoinError::Panicked(panic)),
    };
    drop_contained(work.take());
    Poll::Ready(output)
}

/// Work whose type is forgotten.
pub(crate) struct BoxedWork<W> {
    pub(crate) work: W,
    /// The one that was current when its leader first polled its join.
    pub(crate) leader: Option<Contained<Span>>,
}

impl<K: Key, V: Value, W: Work<V>> Launch<K, V> for BoxedWork<W> {
    fn launch(self: Box<Self>, completer: Completer<K, V>) {
        let Self { work, leader } = *self;
        let engine = Arc::clone(completer.engine());
        let span = FlightSpan::open(leader.as_ref(), completer.record());
        drop(leader);
        work.launch(span, completer, &engine.runtime);
    }

    fn park(self: Box<Self>, record: &Record<V>) -> ParkedWork<V> {
        let Self { work, leader } = *self;
        work.park(FlightSpan::open(leader.as_ref(), record))
    }

    fn spare(self: Box<Self>) -> ParkedWork<V> {
        self.work.park(None)
    }
}

/// Work that its leader has polled so far, or that has not begun.
impl<K: Key, V: Value> Launch<K, V> for ParkedWork<V> {
    fn launch(self: Box<Self>, completer: Completer<K, V>) {
        let engine = Arc::clone(completer.engine());
        match *self {
            Self::Async(work) => launch_boxed(work, completer, &engine.runtime),
            Self::Blocking(work) => launch_blocking(work, None, completer, &engine.runtime),
        }
    }

    fn park(self: Box<Self>, _: &Record<V>) -> Self {
        *self
    }

    fn spare(self: Box<Self>) -> Self {
        *self
    }
}

pin_project! {
    /// The task of one flight. Whatever becomes of it, the flight is completed exactly once.
    pub(crate) struct Execution<K: Key, V: Value, W> {
        // Before `work`, hence dropped before it: if the runtime drops the task, the callers learn of it even if the
        // work's own `Drop` never returns (G5).
        duty: Duty<K, V>,
        #[pin]
        work: Option<W>,
    }
}

/// What a task has still to do for its flight's callers.
enum Duty<K: Key, V: Value> {
    Complete(Completer<K, V>),
    /// They were too many for one poll. `None` when all is done: with a variant of its own for that, the enum, and with it every
    /// task, would need a word more.
    Wake(Option<Box<Responding<K, V>>>),
}

impl<K: Key, V: Value, W> Execution<K, V, W> {
    pub(crate) fn new(completer: Completer<K, V>, work: W) -> Self {
        Self { duty: Duty::Complete(completer), work: Some(work) }
    }
}

impl<K, V, W> Future for Execution<K, V, W>
where
    K: Key,
    V: Value,
    W: Future<Output = Ending<V>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let completer = match this.duty {
            Duty::Complete(completer) => completer,
            Duty::Wake(None) => return Poll::Ready(()),
            Duty::Wake(Some(responding)) => return Pin::new(responding.as_mut()).poll(cx),
        };
        // Work is aborted between its polls, as a Tokio task is. Most work never suspends, so only what does registers to
        // hear of it.
        if completer.record().is_aborted() {
            drop_aborted(this.work);
            return Poll::Ready(());
        }
        completer.call();
        let polled = {
            let (_, _current) = completer.enter();
            poll_contained(this.work.as_mut(), cx)
        };
        if polled.is_pending() && completer.record().register(cx.waker()) {
            drop_aborted(this.work);
            return Poll::Ready(());
        }
        complete(this.duty, ready!(polled), cx)
    }
}

fn complete<K: Key, V: Value>(duty: &mut Duty<K, V>, ending: Ending<V>, cx: &mut Context<'_>) -> Poll<()> {
    if let Duty::Complete(completer) = mem::replace(duty, Duty::Wake(None))
        && let Some(responding) = completer.complete(ending)
    {
        *duty = Duty::Wake(Some(responding));
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    Poll::Ready(())
}

impl<K: Key, V: Value, W> Execution<K, V, W> {
    /// The duty, for as long as it is to complete the flight.
    pub(super) fn completer(&self) -> Option<&Completer<K, V>> {
        match &self.duty {
            Duty::Complete(completer) => Some(completer),
            Duty::Wake(_) => None,
        }
    }

    /// Ends the flight of work that was not called.
    pub(super) fn refuse(self: Pin<&mut Self>, error: JoinError, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let polled = complete(this.duty, Err(error), cx);
        // After its callers have their answer, as its own `Drop` may never return (G5).
        contain(|| this.work.set(None));
        polled
    }
}

/// Here the work goes before the completer: its callers were answered when it was aborted, and its execution has ended only
/// when it is gone (G7).
fn drop_aborted<W>(mut work: Pin<&mut Option<W>>) {
    contain(|| work.set(None));
}

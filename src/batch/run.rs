//! One batch: its loader, as a task.

use std::{
    hash::Hash,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tracing::Span;

use super::{
    batch::{Batch, Shared},
    cycle::BatchRecord,
    demand::{Demand, End},
    entry::Entry,
    port::{Channel, Message},
    slot::{Answer, Slot},
    trace,
};
use crate::{
    actor::Timer,
    error::{CaughtPanic, JoinError},
    sync::{Runtime, now},
    task::current,
    unwind::{Contained, catch, drop_contained},
};

pub(super) type Loading<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;
pub(super) type Loader<K, T, E> = dyn Fn(Batch<K, T, E>) -> Loading<E> + Send + Sync;

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Loaded,
    Failed,
    Panicked,
    Aborted,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "value",
            Self::Failed => "error",
            Self::Panicked => "panicked",
            Self::Aborted => "aborted",
        }
    }
}

/// What all batches of a batcher run with.
pub(super) struct Setting<K, T, E> {
    pub(super) loader: Arc<Loader<K, T, E>>,
    /// How long a loader may go on after all of its keys have their answers.
    pub(super) tail_limit: Option<Duration>,
    pub(super) timers: Runtime,
}

pub(super) struct Run<K, T, E> {
    // Before the loader, and so dropped before it: the callers hear of a lost batch even if its loader's drop never returns (G5).
    keys: Duty<K, T, E>,
    stage: Stage<K, T, E>,
    /// The loader's, and open until the batch has ended.
    span: Option<Contained<Span>>,
    record: Option<Arc<BatchRecord>>,
    current: current::Current,
    demand: Arc<Demand>,
    tail_limit: Option<Duration>,
    tail: Timer,
    // Last: the permit is free when the loader is gone.
    permit: Permit<K, T, E>,
}

enum Stage<K, T, E> {
    New(Arc<Loader<K, T, E>>),
    Loading(Loading<E>),
    /// All keys have their answers, and the loader may go on until the timer rings.
    Tail(Loading<E>),
    Over,
}

/// To answer the keys of a batch.
struct Duty<K, T, E>(ToAnswer<K, T, E>);

enum ToAnswer<K, T, E> {
    New(Vec<Entry<K, T, E>>),
    Begun(Arc<Shared<K, T, E>>),
    None,
}

/// A place among the batches that run at once.
struct Permit<K, T, E> {
    channel: Arc<Channel<K, T, E>>,
    batch: u64,
}

impl<K, T, E> Drop for Permit<K, T, E> {
    fn drop(&mut self) {
        self.channel.send(Message::Ended(self.batch));
    }
}

impl<K, T, E> Drop for Duty<K, T, E> {
    fn drop(&mut self) {
        self.do_with(|shared| shared.answer_rest(aborted), aborted);
    }
}

fn aborted<T, E>() -> Answer<T, E> {
    Answer::Join(JoinError::Aborted)
}

impl<K, T, E> Duty<K, T, E> {
    /// Answers the keys that have no answer, of a batch that has begun or of one that hasn't.
    fn do_with(&mut self, begun: impl FnOnce(&Shared<K, T, E>) -> u64, new: impl Fn() -> Answer<T, E>) -> u64 {
        match mem::replace(&mut self.0, ToAnswer::None) {
            ToAnswer::New(entries) => entries.into_iter().map(|entry| u64::from(Slot::answer(entry.slot, new()))).sum(),
            ToAnswer::Begun(shared) => begun(&shared),
            ToAnswer::None => 0,
        }
    }
}

impl<K, T, E> Unpin for Run<K, T, E> {}

impl<K, T, E> Run<K, T, E> {
    pub(super) fn new(
        entries: Vec<Entry<K, T, E>>,
        demand: Arc<Demand>,
        record: BatchRecord,
        batch: u64,
        channel: Arc<Channel<K, T, E>>,
        setting: &Setting<K, T, E>,
    ) -> Self {
        Self {
            keys: Duty(ToAnswer::New(entries)),
            stage: Stage::New(Arc::clone(&setting.loader)),
            span: None,
            current: record.current(),
            record: Some(Arc::new(record)),
            demand,
            tail_limit: setting.tail_limit,
            tail: Timer::new(setting.timers.clone()),
            permit: Permit { channel, batch },
        }
    }

    fn channel(&self) -> &Arc<Channel<K, T, E>> {
        &self.permit.channel
    }

    /// Answers the keys that have no answer, and drops the loader.
    fn end(&mut self, outcome: Outcome, answer: impl FnOnce(&Shared<K, T, E>) -> u64) {
        let missing = self.keys.do_with(answer, aborted);
        let counters = &self.channel().counters;
        match outcome {
            Outcome::Loaded => counters.missing.add(missing),
            Outcome::Failed => counters.batch_errors.up(),
            Outcome::Panicked => counters.batch_panics.up(),
            Outcome::Aborted => counters.batch_aborts.up(),
        }
        let missing = if outcome == Outcome::Loaded { missing } else { 0 };
        trace::ended(self.span.as_ref(), outcome, missing);
        drop_contained(mem::replace(&mut self.stage, Stage::Over));
    }

    fn end_with(&mut self, polled: Result<Result<(), E>, CaughtPanic>) {
        match polled {
            Ok(Ok(())) => self.end(Outcome::Loaded, Shared::answer_missing),
            Ok(Err(error)) => {
                let error = Arc::new(error);
                self.end(Outcome::Failed, |shared| shared.answer_rest(|| Answer::Batch(Arc::clone(&error))));
                drop_contained(error);
            }
            Err(panic) => self.end(Outcome::Panicked, |shared| {
                shared.answer_rest(|| Answer::Join(JoinError::Panicked(panic.clone())))
            }),
        }
    }

    fn abort(&mut self) {
        if let ToAnswer::New(entries) = &self.keys.0 {
            // Its last key left before its loader was called: no batch, and keys that nothing was asked for (G14).
            self.channel().counters.abandoned.add(entries.len() as u64);
            self.keys.do_with(|_| 0, aborted);
            drop_contained(mem::replace(&mut self.stage, Stage::Over));
            return;
        }
        self.end(Outcome::Aborted, |shared| shared.answer_rest(aborted));
    }
}

impl<K, T, E> Run<K, T, E>
where
    K: Hash + Eq + Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// `None` if no key is left.
    fn begin(&mut self, loader: &Loader<K, T, E>) -> Option<Result<Loading<E>, CaughtPanic>> {
        let ToAnswer::New(mut entries) = mem::replace(&mut self.keys.0, ToAnswer::None) else { return None };
        let spans: Vec<_> = entries.iter_mut().filter_map(|entry| entry.span.take()).collect();
        let shared = Arc::new(Shared::new(entries, Arc::clone(self.channel())));
        self.keys.0 = ToAnswer::Begun(Arc::clone(&shared));
        if shared.is_empty() {
            return None;
        }
        let batch = Batch::new(&shared);
        self.channel().counters.began(batch.len());
        self.span = trace::batch(batch.len(), spans.into_iter()).map(Contained::new);
        let _current = current::enter(self.current, &mut self.record);
        Some(catch(|| in_span(self.span.as_ref(), || loader(batch))))
    }

    fn poll_loader(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<(), E>, CaughtPanic>> {
        let (Stage::Loading(loading) | Stage::Tail(loading)) = &mut self.stage else { return Poll::Pending };
        let _current = current::enter(self.current, &mut self.record);
        match catch(|| in_span(self.span.as_ref(), || loading.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

fn in_span<T>(span: Option<&Contained<Span>>, action: impl FnOnce() -> T) -> T {
    match span {
        None => action(),
        Some(span) => span.get().in_scope(action),
    }
}

impl<K, T, E> Future for Run<K, T, E>
where
    K: Hash + Eq + Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // A loader is aborted between its polls, as a Tokio task is.
        let mut ended = this.demand.poll(cx.waker());
        if ended == Some(End::Left) {
            this.abort();
            return Poll::Ready(());
        }
        if let Stage::New(loader) = &this.stage {
            let loader = Arc::clone(loader);
            match this.begin(&*loader) {
                Some(Ok(loading)) => this.stage = Stage::Loading(loading),
                Some(Err(panic)) => {
                    this.end_with(Err(panic));
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
        if let Poll::Ready(loaded) = this.poll_loader(cx) {
            this.end_with(loaded);
            return Poll::Ready(());
        }
        // It may have answered the last key in this poll.
        ended = ended.or_else(|| this.demand.poll(cx.waker()));
        if ended.is_none() {
            return Poll::Pending;
        }
        match mem::replace(&mut this.stage, Stage::Over) {
            Stage::Loading(loading) => {
                this.tail.set(this.tail_limit.and_then(|limit| now().checked_add(limit)));
                this.stage = Stage::Tail(loading);
            }
            other => this.stage = other,
        }
        if ended == Some(End::Left) || this.tail.poll(cx).is_ready() {
            this.abort();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

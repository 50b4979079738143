//! Every option of a batcher, with its default.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use super::{
    batch::Batch,
    batcher::Batcher,
    collector::Limits,
    dispatcher::Dispatcher,
    error::BatchBuildError,
    observer::{BatchObserver, BatchReporter},
    port::{Channel, Port},
    run::{Loader, Setting},
    slot::Loaded,
};
use crate::{
    builder::Builder,
    coalescer::Coalescer,
    config::{OnAbandon, RunWork},
    error::BuildError,
    sync::{Runtime, boxed_task, clock, sleep},
};

/// Builds a [`Batcher`].
///
/// [`build`](Self::build) refuses values that make no sense, with the value and the limit in the error.
///
/// # Examples
///
/// ```
/// use shardflight::batch::{Batch, Batcher};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::batch::BatchBuildError> {
/// let squares = Batcher::builder(|keys: Batch<u64, u64, String>| async move {
///     for key in keys.keys() {
///         keys.fulfil(key, Ok(key * key));
///     }
///     Ok(())
/// })
/// .max_batch(500)
/// .max_concurrent(8)
/// .coalescer(|coalescer| coalescer.max_flight_duration(Duration::from_secs(5)))
/// .build()?;
/// # Ok(()) }
/// ```
#[must_use = "there is no batcher before `build`"]
pub struct BatcherBuilder<K, T, E> {
    loader: Arc<Loader<K, T, E>>,
    max_batch: usize,
    min_batch: Option<usize>,
    max_concurrent: usize,
    window: Duration,
    coalescer: Builder<K, Loaded<T, E>>,
    observer: Option<Arc<dyn BatchObserver>>,
}

const MIN_BATCH: usize = 16;

impl<K, T, E> BatcherBuilder<K, T, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// The most that [`max_batch`](Self::max_batch) may be.
    pub const MAX_BATCH: usize = 65_536;
    /// The most that [`max_concurrent`](Self::max_concurrent) may be.
    pub const MAX_CONCURRENT: usize = 65_536;

    pub(super) fn new<F, Fut>(loader: F) -> Self
    where
        F: Fn(Batch<K, T, E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        Self {
            loader: Arc::new(move |batch| Box::pin(loader(batch))),
            max_batch: 100,
            min_batch: None,
            max_concurrent: 4,
            window: Duration::ZERO,
            coalescer: Coalescer::builder().run_work(RunWork::InPlace).on_abandon(OnAbandon::Abort),
            observer: None,
        }
    }

    /// The most keys of a batch. More that are asked for together are split.
    ///
    /// # Default
    ///
    /// 100.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and more than [`MAX_BATCH`](Self::MAX_BATCH).
    pub fn max_batch(mut self, keys: usize) -> Self {
        self.max_batch = keys;
        self
    }

    /// While batches are under way, the next begins when so many keys wait, or when one of those ends.
    ///
    /// 1 has each key begin as soon as a place is free: more and smaller batches. With `max_concurrent(1)` it has no effect.
    ///
    /// # Default
    ///
    /// 16, or [`max_batch`](Self::max_batch) if that is less.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and more than [`max_batch`](Self::max_batch).
    pub fn min_batch(mut self, keys: usize) -> Self {
        self.min_batch = Some(keys);
        self
    }

    /// The most batches that are under way at once. Exact: a batch counts until its loader is gone.
    ///
    /// # Default
    ///
    /// 4.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and more than [`MAX_CONCURRENT`](Self::MAX_CONCURRENT).
    pub fn max_concurrent(mut self, batches: usize) -> Self {
        self.max_concurrent = batches;
        self
    }

    /// How long the first key of a batch waits for others, unless the batch is full before.
    ///
    /// Every key pays for it, also where no other comes. Without it, other tasks get a few turns to bring their keys, which takes
    /// microseconds where they have none. Tokio's timers count in milliseconds, so a window takes up to one more.
    ///
    /// # Default
    ///
    /// [`Duration::ZERO`]: none.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Options of the coalescer that the keys' flights are of: their deadline, caps, policies and metrics.
    ///
    /// - [`max_flight_duration`](Builder::max_flight_duration) is the deadline of a key, its wait for a batch included, and how long
    ///   a loader may go on when all its keys have their answers.
    /// - [`max_flights`](Builder::max_flights) bounds the keys that wait or are being loaded.
    /// - Under [`OnAbandon::Finish`], keys without callers are asked for all the same.
    /// - Under [`RunWork::InPlace`], the task of a loader wakes the callers themselves. A waker of a caller's own making that blocks
    ///   then holds up its batch; [`RunWork::Detached`] puts a task for each key in between.
    ///
    /// # Default
    ///
    /// Those of [`Coalescer::builder`], but with [`RunWork::InPlace`] and [`OnAbandon::Abort`].
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses [`max_executions`](Builder::max_executions) here: batches are limited by
    /// [`max_concurrent`](Self::max_concurrent).
    pub fn coalescer(mut self, options: impl FnOnce(Builder<K, Loaded<T, E>>) -> Builder<K, Loaded<T, E>>) -> Self {
        self.coalescer = options(self.coalescer);
        self
    }

    /// Builds it on the current Tokio runtime, on which loaders then run.
    ///
    /// # Errors
    ///
    /// Without a runtime, and where an option's value makes no sense: see [`BatchBuildError`].
    pub fn build(self) -> Result<Batcher<K, T, E>, BatchBuildError> {
        let runtime = Runtime::try_current().map_err(|_| BuildError::NoRuntime)?;
        self.build_on(&runtime)
    }

    /// [`build`](Self::build) on the runtime of this handle, from anywhere. See [`Builder::build_on`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_on(self, runtime: &Runtime) -> Result<Batcher<K, T, E>, BatchBuildError> {
        let limits = self.limits()?;
        self.check_coalescer()?;
        let tail_limit = self.coalescer.config.max_flight_duration;
        let coalescer = self.coalescer.build_on(runtime)?;
        let timers = clock::find(runtime).map_err(|error| BuildError::NoTimers { reason: error.to_string() })?;
        let router = Arc::clone(coalescer.handle().router());
        let channel = Arc::new(Channel::new(runtime.clone(), router.hasher.clone()));
        let reporter = self.observer.map(|observer| report(&*observer, &channel, &timers));
        let setting = Setting { loader: self.loader, tail_limit, timers };
        let graph = Arc::clone(&router.engine.waits);
        drop(runtime.spawn(Dispatcher::new(Arc::clone(&channel), limits, setting, graph, reporter)));
        Ok(Batcher::new(coalescer, Port::new(channel)))
    }

    fn check_coalescer(&self) -> Result<(), BatchBuildError> {
        let config = &self.coalescer.config;
        // A key would keep its permit while it waits for its batch, which may wait for another key.
        if config.max_executions.is_some() {
            return Err(BatchBuildError::ForBatches { option: "max_executions", instead: "max_concurrent" });
        }
        Ok(())
    }

    fn limits(&self) -> Result<Limits, BatchBuildError> {
        in_range("max_batch", self.max_batch, Self::MAX_BATCH)?;
        in_range("max_concurrent", self.max_concurrent, Self::MAX_CONCURRENT)?;
        let min_batch = self.min_batch.unwrap_or(MIN_BATCH.min(self.max_batch));
        in_range("min_batch", min_batch, Self::MAX_BATCH)?;
        if min_batch > self.max_batch {
            return Err(BatchBuildError::MinAboveMax { min: min_batch, max: self.max_batch });
        }
        let (max_batch, max_concurrent, window) = (self.max_batch, self.max_concurrent, self.window);
        Ok(Limits { max_batch, min_batch, max_concurrent, window })
    }
}

impl<K, T, E> BatcherBuilder<K, T, E> {
    #[cfg(feature = "metrics")]
    pub(crate) fn observed_by(
        mut self,
        observer: Arc<dyn BatchObserver>,
        observe: impl FnOnce(Builder<K, Loaded<T, E>>) -> Builder<K, Loaded<T, E>>,
    ) -> Self {
        self.observer = Some(observer);
        self.coalescer = observe(self.coalescer);
        self
    }
}

/// Spawns the task that reports a batcher's numbers. The dispatcher reports them for the last time.
fn report<K, T, E>(
    observer: &dyn BatchObserver,
    channel: &Arc<Channel<K, T, E>>,
    timers: &Runtime,
) -> Arc<dyn BatchReporter>
where
    K: Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let (reporter, every) = (observer.built(), observer.every());
    let (reports, channel, timers) = (Arc::clone(&reporter), Arc::downgrade(channel), timers.clone());
    let runtime = channel.upgrade().expect("it is the caller's").runtime.clone();
    drop(runtime.spawn(boxed_task(async move {
        loop {
            let pause = {
                // The runtime that this runs on may have no timers.
                let _inside = timers.enter();
                sleep(every)
            };
            pause.await;
            let Some(channel) = channel.upgrade().filter(|channel| !channel.is_closed()) else { return };
            reports.report(&channel.counters.snapshot(), false);
        }
    })));
    reporter
}

fn in_range(option: &'static str, value: usize, most: usize) -> Result<(), BatchBuildError> {
    if (1..=most).contains(&value) { Ok(()) } else { Err(BatchBuildError::OutOfRange { option, value, most }) }
}

impl<K, T, E> fmt::Debug for BatcherBuilder<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("max_batch", &self.max_batch)
            .field("min_batch", &self.min_batch)
            .field("max_concurrent", &self.max_concurrent)
            .field("window", &self.window)
            .field("coalescer", &self.coalescer)
            .finish_non_exhaustive()
    }
}

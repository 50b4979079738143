//! Every option of a cache, with its default.

use std::{fmt, hash::Hash, ops::RangeInclusive, sync::Arc, time::Duration};

#[cfg(feature = "metrics")]
use super::observer::CacheObserver;
use super::{
    cache::Cache,
    clock::nanos,
    config::{Config, RefreshAhead},
    error::CacheBuildError,
    handle::CacheHandle,
    outcome::LoadResult,
    state::CacheState,
    store::Bound,
};
use crate::{builder::Builder, coalescer::Coalescer, config::RunWork, error::BuildError, sync::Runtime};

/// Builds a [`Cache`].
///
/// [`build`](Self::build) refuses values that make no sense, with the value and the limit in the error.
///
/// # Examples
///
/// ```
/// use shardflight::cache::Cache;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::cache::CacheBuildError> {
/// let cache: Cache<String, Vec<u8>, std::io::ErrorKind> = Cache::builder()
///     .ttl(Duration::from_secs(60))
///     .max_weight(100 << 20)
///     .weigher(|path: &String, file: &Vec<u8>| (path.len() + file.len()) as u64)
///     .jitter(0.1)
///     .refresh_ahead(0.8)
///     .stale_if_error(Duration::from_secs(3600))
///     .negative_ttl(Duration::from_secs(5))
///     .negative_if(|error| *error == std::io::ErrorKind::NotFound)
///     .coalescer(|coalescer| coalescer.max_flight_duration(Duration::from_secs(10)))
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "there is no cache before `build`"]
pub struct CacheBuilder<K, V, E> {
    pub(super) ttl: Option<Duration>,
    pub(super) bound: Bound,
    pub(super) config: Config<K, V, E>,
    pub(super) error_backoff: RangeInclusive<Duration>,
    pub(super) coalescer: Builder<K, LoadResult<V, E>>,
}

impl<K, V, E> CacheBuilder<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            ttl: None,
            bound: Bound::Entries(10_000),
            config: Config::default(),
            error_backoff: Duration::from_secs(1)..=Duration::from_secs(30),
            coalescer: Coalescer::builder().run_work(RunWork::InPlace),
        }
    }

    /// How long a value is fresh, from the moment when it was loaded. A loader may say otherwise for one value:
    /// [`Fill::ttl`](crate::cache::Fill::ttl).
    ///
    /// # Default
    ///
    /// None: it has to be set.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero, and a cache without this option.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How many entries the cache keeps at most. It is divided among shards of at least 32 entries each, so it may begin to
    /// evict a little earlier. Takes the place of [`max_weight`](Self::max_weight).
    ///
    /// # Default
    ///
    /// 10,000.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and more than 2<sup>60</sup>.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.bound = Bound::Entries(entries);
        self
    }

    /// What the entries weigh at most together, as the [`weigher`](Self::weigher) says, or
    /// [`Fill::weight`](crate::cache::Fill::weight). Takes the place of [`max_entries`](Self::max_entries).
    ///
    /// The bound is divided among up to 16 shards, and an entry has to fit into one. One that is heavier than
    /// [`max_entry_weight`](CacheHandle::max_entry_weight) is returned, not kept, and counted as a
    /// [rejected fill](crate::cache::CacheStats::rejected_fills). So is one that is heavier than a tenth of a shard while entries in use
    /// fill the rest, when it is loaded for the first time; loaded again soon, it is kept in the place of others.
    ///
    /// # Default
    ///
    /// None: entries are counted.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and more than 2<sup>60</sup>.
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.bound = Bound::Weight(weight);
        self
    }

    /// What an entry weighs; less than 1 counts as 1. It runs once per value, in the load that brings it, outside of any lock. A
    /// panic in it is the load's.
    ///
    /// # Default
    ///
    /// Every entry weighs 1.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses this option without [`max_weight`](Self::max_weight).
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.config.weigher = Some(Arc::new(weigher));
        self
    }

    /// Shortens each entry's time to live at random, by up to this fraction of it: entries that were loaded together then don't expire
    /// together.
    ///
    /// # Default
    ///
    /// 0.0: times to live are exact.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is not from 0.0 to 1.0.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.config.jitter = fraction;
        self
    }

    /// From this fraction of an entry's time to live on, a read of it starts a load in the background, and gets the entry. So keys
    /// that are read often never expire, and those that aren't do. Takes the place of
    /// [`refresh_ahead_xfetch`](Self::refresh_ahead_xfetch).
    ///
    /// # Default
    ///
    /// Off.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is not above 0.0 and below 1.0.
    pub fn refresh_ahead(mut self, fraction: f64) -> Self {
        self.config.refresh_ahead = RefreshAhead::Fraction(fraction);
        self
    }

    /// From a random moment before an entry's expiry on, a read of it starts a load in the background, and gets the entry. For
    /// several processes that cache the same keys: they then rarely load a key at the same time. Takes the place of
    /// [`refresh_ahead`](Self::refresh_ahead).
    ///
    /// The moment lies `beta` times the entry's load time before its expiry on average, and `x` load times or more with
    /// probability `exp(-x / beta)`. So `1.0` is a good start, and more refreshes earlier. An entry that was written by
    /// [`insert`](CacheHandle::insert) has no load time, and expires.
    ///
    /// The distribution is that of `XFetch` (Vattani, Chierichetti and Lowenstein, *Optimal Probabilistic Cache Stampede
    /// Prevention*, VLDB 2015), drawn once per load and process and not at each read: here the readers of a process share a load
    /// in any case. A load reads the clock once more; a hit costs the same.
    ///
    /// # Default
    ///
    /// Off.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is not above 0.0 and finite.
    pub fn refresh_ahead_xfetch(mut self, beta: f64) -> Self {
        self.config.refresh_ahead = RefreshAhead::XFetch(beta);
        self
    }

    /// For so long after it has expired, a value is served all the same, and a load in the background takes its place. The window
    /// counts from the expiry, as that of [`stale_if_error`](Self::stale_if_error) does; where both are on, this one goes first.
    ///
    /// # Default
    ///
    /// Off.
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.config.windows.stale_while_revalidate = nanos(window);
        self
    }

    /// For so long after it has expired, a value is served if the load that is to replace it fails: if it returns an error, panics,
    /// is late or is refused. It is not served after an invalidation.
    ///
    /// # Default
    ///
    /// Off.
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.config.windows.stale_if_error = nanos(window);
        self
    }

    /// For how long an entry whose load has failed is served without another one: at first for the least, twice as long after each
    /// further failure, up to the most. It holds for each key by itself, and only while there is something to serve.
    ///
    /// # Default
    ///
    /// From 1 s to 30 s.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero, and a most that is below the least.
    pub fn error_backoff(mut self, backoff: RangeInclusive<Duration>) -> Self {
        self.error_backoff = backoff;
        self
    }

    /// How long a read waits for a load before it gets an expired value, if there is one that may be served:
    /// [`stale_if_error`](Self::stale_if_error) says how long there is. The load goes on, and reads that come meanwhile don't wait.
    /// Needs a runtime with timers.
    ///
    /// # Default
    ///
    /// Off.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero, and this option without [`stale_if_error`](Self::stale_if_error) or
    /// [`stale_while_revalidate`](Self::stale_while_revalidate).
    pub fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.config.soft_timeout = Some(timeout);
        self
    }

    /// How long an error is kept that [`negative_if`](Self::negative_if) accepts, or that the loader returned as
    /// [`Fill::negative`](crate::cache::Fill::negative) without a time of its own.
    ///
    /// # Default
    ///
    /// Off: no error is kept.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.config.negative_ttl = Some(ttl);
        self
    }

    /// Which of the loaders' errors are kept, for [`negative_ttl`](Self::negative_ttl): such as "not found". They take the place of a
    /// value that was kept.
    ///
    /// # Default
    ///
    /// None.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses this option without [`negative_ttl`](Self::negative_ttl).
    pub fn negative_if(mut self, accepts: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.config.negative_if = Some(Arc::new(accepts));
        self
    }

    /// Sets options of the coalescer that runs the loads: its limits, deadlines and policies. Its values are opaque.
    ///
    /// # Default
    ///
    /// Those of [`Builder`], but for [`run_work`](Builder::run_work): loads run [in place](RunWork::InPlace), as most have one reader,
    /// and readers that come later find the value. With [`max_executions`](Builder::max_executions) each load is a task of its own.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses [`OnStall::Takeover`](crate::OnStall::Takeover) here.
    pub fn coalescer(
        mut self,
        configure: impl FnOnce(Builder<K, LoadResult<V, E>>) -> Builder<K, LoadResult<V, E>>,
    ) -> Self {
        self.coalescer = configure(self.coalescer);
        self
    }

    /// Builds the cache, and its coalescer on the current Tokio runtime, where its background loads run, too.
    ///
    /// # Errors
    ///
    /// [`CacheBuildError`], without a Tokio runtime, without a [`ttl`](Self::ttl), and where an option's value makes no sense.
    pub fn build(self) -> Result<Cache<K, V, E>, CacheBuildError> {
        let (config, bound, coalescer) = self.check()?;
        let runtime = Runtime::try_current().map_err(|_| BuildError::NoRuntime)?;
        Ok(start(config, bound, runtime, coalescer.build()?))
    }

    /// [`build`](Self::build) on the runtime of this handle, from anywhere: see [`Builder::build_on`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), but without a runtime.
    #[cfg(not(shardflight_shuttle))]
    pub fn build_on(self, runtime: &Runtime) -> Result<Cache<K, V, E>, CacheBuildError> {
        let (config, bound, coalescer) = self.check()?;
        Ok(start(config, bound, runtime.clone(), coalescer.build_on(runtime)?))
    }
}

fn start<K, V, E>(
    config: Config<K, V, E>,
    bound: Bound,
    runtime: Runtime,
    coalescer: Coalescer<K, LoadResult<V, E>>,
) -> Cache<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    let state = Arc::new(CacheState::new(config, bound, runtime));
    if let Some(observer) = &state.config.observer {
        observer.opened(Arc::<CacheState<_, _, _>>::downgrade(&state));
    }
    let handle = CacheHandle::new(state, coalescer.handle().without_takeovers());
    Cache::with(handle, coalescer)
}

impl<K, V, E> CacheBuilder<K, V, E> {
    #[cfg(feature = "metrics")]
    pub(crate) fn observed_by(mut self, observer: Arc<dyn CacheObserver>) -> Self {
        self.config.observer = Some(observer);
        self
    }
}

impl<K, V, E> fmt::Debug for CacheBuilder<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("ttl", &self.ttl)
            .field("bound", &self.bound)
            .field("config", &self.config)
            .field("coalescer", &self.coalescer)
            .finish_non_exhaustive()
    }
}

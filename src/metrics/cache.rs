//! What a cache exports beside its coalescer, and under the same name.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use metrics::{Label, Unit};

use super::{
    Metrics,
    catalogue::{COALESCER, CounterSpec, GaugeSpec, HistogramSpec, counter, describe_totals, gauge},
    export::Layout,
    histograms::KeptHistogram,
    reporter::{Reporter, pause},
    totals::TotalInstruments,
};
use crate::{
    cache::{CacheBuilder, CacheObserver, CacheSource, CacheStats, LoadEnd, RejectReason, StaleReason},
    error::BuildError,
    observer::{Environment, Observer, ObserverFactory},
    unwind::contain,
};

static COUNTERS: [CounterSpec<CacheStats>; 16] = [
    counter("shardflight_cache_hits_total", "Reads that got a fresh value without a load.", |stats| stats.hits),
    counter("shardflight_cache_stale_hits_total", "Reads that got an expired value without waiting.", |stats| {
        stats.stale_hits
    }),
    counter("shardflight_cache_negative_hits_total", "Reads that got a kept error.", |stats| stats.negative_hits),
    counter("shardflight_cache_misses_total", "Reads that waited for a load.", |stats| stats.misses),
    counter("shardflight_cache_loads_total", "Loaders that were called.", |stats| stats.loads),
    counter("shardflight_cache_load_errors_total", "Loads that failed, panicked or were dropped.", |stats| {
        stats.load_errors
    }),
    counter("shardflight_cache_refreshes_total", "Background loads that a read started.", |stats| stats.refreshes),
    counter(
        "shardflight_cache_fail_safe_total",
        "Reads that got an expired value because a load failed, was slow or was put off.",
        |stats| stats.fail_safe,
    ),
    counter("shardflight_cache_evictions_total", "Entries that were evicted to make room.", |stats| stats.evictions),
    stale_reads(StaleReason::Revalidating, |stats| stats.stale_by(StaleReason::Revalidating)),
    stale_reads(StaleReason::LoadFailed, |stats| stats.stale_by(StaleReason::LoadFailed)),
    stale_reads(StaleReason::BackingOff, |stats| stats.stale_by(StaleReason::BackingOff)),
    stale_reads(StaleReason::LoadSlow, |stats| stats.stale_by(StaleReason::LoadSlow)),
    rejected_fills(RejectReason::Invalidated, |stats| stats.rejected_by(RejectReason::Invalidated)),
    rejected_fills(RejectReason::TooHeavy, |stats| stats.rejected_by(RejectReason::TooHeavy)),
    rejected_fills(RejectReason::NoRoom, |stats| stats.rejected_by(RejectReason::NoRoom)),
];

static GAUGES: [GaugeSpec<CacheStats>; 2] = [
    gauge("shardflight_cache_entries", Unit::Count, "Entries, expired ones included.", |stats| stats.entries as f64),
    gauge("shardflight_cache_weight", Unit::Count, "What the entries weigh together.", |stats| stats.weight as f64),
];

const LOAD_DURATION: HistogramSpec = HistogramSpec {
    name: "shardflight_cache_load_duration_seconds",
    unit: Unit::Seconds,
    description: "From the call of a loader to the end of its load.",
};

const LOAD_ENDS: [(LoadEnd, &str); 3] =
    [(LoadEnd::Value, "value"), (LoadEnd::Negative, "negative"), (LoadEnd::Failed, "failed")];

const fn stale_reads(reason: StaleReason, value: fn(&CacheStats) -> u64) -> CounterSpec<CacheStats> {
    CounterSpec {
        name: "shardflight_cache_stale_reads_total",
        reason: Some(reason.as_str()),
        description: "Reads that got an expired value, whether they waited for a load or not.",
        value,
    }
}

const fn rejected_fills(reason: RejectReason, value: fn(&CacheStats) -> u64) -> CounterSpec<CacheStats> {
    CounterSpec {
        name: "shardflight_cache_rejected_fills_total",
        reason: Some(reason.as_str()),
        description: "Loaded values that were returned and not kept.",
        value,
    }
}

/// The recorder's handles for one cache.
pub(super) struct CacheInstruments {
    totals: TotalInstruments<CacheStats>,
    /// In the order of [`LOAD_ENDS`].
    load_durations: [KeptHistogram; LOAD_ENDS.len()],
}

impl CacheInstruments {
    /// Registers all metrics with the recorder that is current on this thread.
    pub(super) fn register(name: &str) -> Self {
        contain(|| {
            describe_totals(&COUNTERS, &GAUGES);
            LOAD_DURATION.describe();
        });
        let duration = |(_, end)| KeptHistogram::register(LOAD_DURATION.name, name, Some(end));
        let labels = [Label::new(COALESCER, name.to_owned())];
        Self {
            totals: TotalInstruments::register(&COUNTERS, &GAUGES, &labels),
            load_durations: LOAD_ENDS.map(duration),
        }
    }

    pub(super) fn report(&self, totals: &CacheStats, is_final: bool) {
        self.totals.report(totals, is_final);
    }

    pub(super) fn loaded(&self, took: Duration, end: LoadEnd) {
        if let Some(index) = LOAD_ENDS.iter().position(|(known, _)| *known == end) {
            self.load_durations[index].record(took);
        }
    }

    /// As [`KeptHistogram::renew`].
    pub(super) fn renew(&self, name: &str) {
        self.load_durations.iter().for_each(|histogram| histogram.renew(name));
    }
}

/// Observes a cache, and first of all its coalescer, whose export it shares.
struct CacheMetrics {
    metrics: Metrics,
    /// Since the coalescer was built, which comes before anything of the cache.
    coalescer: OnceLock<Arc<Reporter>>,
}

impl ObserverFactory for CacheMetrics {
    fn check(&self) -> Result<(), BuildError> {
        self.metrics.check()
    }

    fn observe(&self, environment: Environment) -> Arc<dyn Observer> {
        let layout = Layout { has_cache: true, ..Layout::of(&environment) };
        let reporter = Arc::new(self.metrics.reporter(layout, environment));
        // A builder is used once.
        let _ = self.coalescer.set(Arc::clone(&reporter));
        reporter
    }
}

impl CacheObserver for CacheMetrics {
    fn name(&self) -> &str {
        &self.metrics.name
    }

    /// Spawns a task of its own: a cache serves on when the shards are closed.
    fn opened(&self, cache: Weak<dyn CacheSource>) {
        let Some(reporter) = self.coalescer.get() else { return };
        let Reporter { export, every, runtime, timers } = &**reporter;
        let (export, every, timers) = (Arc::clone(export), *every, timers.clone());
        runtime.spawn(async move {
            loop {
                pause(every, &timers).await;
                // `closed` makes the final report.
                let Some(cache) = cache.upgrade() else { return };
                export.report_cache(&cache.stats(), false);
            }
        });
    }

    fn loaded(&self, took: Duration, end: LoadEnd) {
        if let Some(reporter) = self.coalescer.get() {
            reporter.export.loaded(took, end);
        }
    }

    fn closed(&self, totals: &CacheStats) {
        if let Some(reporter) = self.coalescer.get() {
            reporter.export.report_cache(totals, true);
        }
    }
}

impl<K, V, E> CacheBuilder<K, V, E> {
    /// Exports what the cache does, and what the coalescer of its loads does, through the `metrics` facade, under this name;
    /// [`Metrics`] lists all of it. Install the recorder before [`build`](Self::build). The cache's
    /// [events](crate::cache#observing) then have the name, too.
    ///
    /// A hit costs no more with metrics than without: what it counts is exported with the next report. A load reads the clock twice
    /// and records a value, and its flight is measured as [those of every coalescer](Metrics#costs) are.
    ///
    /// It takes the place of [`Builder::metrics`](crate::Builder::metrics) in [`coalescer`](Self::coalescer), which exports the
    /// flights alone.
    ///
    /// # Default
    ///
    /// Nothing is exported.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{Metrics, cache::Cache};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::cache::CacheBuildError> {
    /// let ttl = Duration::from_secs(60);
    /// let users: Cache<u64, String, std::fmt::Error> = Cache::builder().ttl(ttl).metrics("users").build()?;
    ///
    /// let metrics = Metrics::named("rates").report_every(Duration::from_secs(5));
    /// let rates: Cache<u64, String, std::fmt::Error> = Cache::builder().ttl(ttl).metrics(metrics).build()?;
    /// # Ok(()) }
    /// ```
    pub fn metrics(self, metrics: impl Into<Metrics>) -> Self {
        self.observed_by(Arc::new(CacheMetrics { metrics: metrics.into(), coalescer: OnceLock::new() }))
    }
}

//! The builder: the name and the interval under which metrics are exported.

use std::{sync::Arc, time::Duration};

use super::{
    export::{Export, Layout},
    reporter::Reporter,
};
use crate::{
    builder::Builder,
    error::BuildError,
    observer::{Environment, Observer, ObserverFactory},
};

/// The name and the interval under which the metrics of a coalescer, or of a cache and its coalescer, are exported; the argument of
/// [`Builder::metrics`] and of `CacheBuilder::metrics`.
///
/// They go to the [`metrics`](https://docs.rs/metrics) facade, so you choose the exporter.
///
/// | name | kind | labels beside `coalescer` | |
/// | --- | --- | --- | --- |
/// | `shardflight_joins_total`, and the same for `executions`, `coalesced`, `errors`, `panics`, `timeouts`, `rejections`, `queued`, `shed`, `raised`, `departures`, `aborts`, `forgets`, `overlaps`, `bypasses`, `takeovers`, `hedges`, `hedges_won`, `hedges_denied` | counter | `shard` | [`Stats`](crate::Stats)' counters |
/// | `shardflight_passes_total` | counter | `reason` | requests of an HTTP layer, the feature `tower`, that were answered by a call of their own; of its coalescer only |
/// | `shardflight_flights` | gauge | `shard` | flights under way |
/// | `shardflight_waiters` | gauge | `shard` | live callers awaiting an answer |
/// | `shardflight_executing` | gauge | `shard` | executions that have one of the permits of [`max_executions`](Builder::max_executions) |
/// | `shardflight_queue_length` | gauge | `shard` | flights that wait for one |
/// | `shardflight_oldest_flight_age_seconds` | gauge | `shard` | age of the oldest flight; 0 if there is none |
/// | `shardflight_flight_duration_limit_seconds` | gauge | | how long a flight that starts now may take, where that is learned: the feature `adaptive` |
/// | `shardflight_flight_duration_seconds` | histogram | `outcome`: `value`, `panicked`, `timed_out`, `aborted`, `closed` | from a flight's start to its completion, as measured by its shard; not of flights that are shed in the queue, which `shardflight_shed_total` counts |
/// | `shardflight_flight_waiters` | histogram | | a flight's callers at its completion, the leader included |
/// | `shardflight_wait_duration_seconds` | histogram | `outcome`: `answered`, `bypassed`, `left` | from a join's first poll until its caller was answered, left, or reached its `max_wait` |
///
/// Each is described to the recorder, with its unit. Derive rates by queries: the hit rate is
/// `sum(rate(shardflight_coalesced_total[5m])) / sum(rate(shardflight_joins_total[5m]))`. No label contains the key.
///
/// A caller that follows a flight and then has to call for itself, as the response turns out to be its leader's only, is a bypass
/// and not coalesced, in [`Stats`](crate::Stats) as in the metrics. [`Stats`](crate::Stats) counts it as coalesced until then.
/// Exported counters never fall, so behind a layer `shardflight_coalesced_total` leaves out as many joins as there are waiters; if a
/// report comes between a response and its callers, the next coalesced joins make up for what it counted too much. Calls of the
/// backend are `executions` and `bypasses`.
///
/// [`Stats::pending`](crate::Stats::pending) and [`Stats::lingering`](crate::Stats::lingering) are not exported.
///
/// The example `observability` in this crate's repository has a dashboard and alert rules.
///
/// # Caches
///
/// With the feature `cache`, `CacheBuilder::metrics` exports a cache's numbers beside those of the coalescer of its loads. The label
/// `coalescer` is the name of both:
///
/// | name | kind | labels beside `coalescer` | |
/// | --- | --- | --- | --- |
/// | `shardflight_cache_hits_total`, and the same for `stale_hits`, `negative_hits`, `misses`, `loads`, `load_errors`, `refreshes`, `fail_safe`, `evictions` | counter | | `CacheStats`' counters |
/// | `shardflight_cache_stale_reads_total` | counter | `reason`: `revalidating`, `load_failed`, `backing_off`, `load_slow` | reads that got an expired value: `stale_hits`, and the `misses` that got one after they had waited |
/// | `shardflight_cache_rejected_fills_total` | counter | `reason`: `invalidated`, `too_heavy`, `no_room` | loaded values that were returned and not kept |
/// | `shardflight_cache_entries` | gauge | | entries, expired ones included |
/// | `shardflight_cache_weight` | gauge | | what the entries weigh together: their number, unless the cache is bounded by weight |
/// | `shardflight_cache_load_duration_seconds` | histogram | `outcome`: `value`, `negative`, `failed` | from the call of a loader to the end of its load. `negative` is an error that is kept; `failed` is any other, a panic, and a load that was dropped before its end |
///
/// Each read is in one of `hits`, `stale_hits`, `negative_hits` and `misses`, so the hit rate is the rate of the first three divided by
/// that of all four.
///
/// # Clusters
///
/// With the feature `redis`, `ClusterBuilder::metrics` exports what this process does in a cluster. The label `cluster` is its name:
///
/// | name | kind | labels beside `cluster` | |
/// | --- | --- | --- | --- |
/// | `shardflight_cluster_led_total`, and the same for `followed`, `takeovers`, `fenced_out`, `refusals`, `too_large`, `encode_errors`, `publish_failures`, `round_trips`, `renewals`, `openings` | counter | | `ClusterStats`' counters |
/// | `shardflight_cluster_fail_opens_total` | counter | `reason`: `timeout`, `error`, `open`, `wait_limit`, `undecodable`, `unshareable`, `long_key` | flights whose work ran without a lease |
/// | `shardflight_cluster_open`, `shardflight_cluster_connected` | gauge | | 1 or 0: whether the breaker is open, and whether there is a connection |
/// | `shardflight_cluster_leases`, `shardflight_cluster_waiting` | gauge | | leases that are held; flights that ask or follow |
///
/// # Batchers
///
/// With the feature `batch`, `BatcherBuilder::metrics` exports a batcher's numbers beside those of the coalescer of its keys. The label
/// `batcher` is its name:
///
/// | name | kind | |
/// | --- | --- | --- |
/// | `shardflight_batch_batches_total`, and the same for `keys`, `missing`, `key_errors`, `errors`, `panics`, `aborts`, `unasked`, `abandoned` | counter | `BatchStats`' counters |
/// | `shardflight_batch_queued`, `shardflight_batch_running` | gauge | keys that wait for a batch; batches that are under way |
///
/// # Installing the recorder
///
/// Install it **before** the coalescer is built. The recorder that is current in [`Builder::build`], global or thread-local,
/// gets the coalescer's metrics for as long as the coalescer lives. If there is none, the coalescer looks for one at each report.
/// A recorder that is found then gets the counters from their beginning, but not the durations that were measured before: the
/// tracing event `metrics recorder late` says so once, as a warning.
///
/// Give the Prometheus exporter [buckets](crate::metrics::buckets), as below. Its default makes summaries of histograms, which
/// can't be aggregated, and which the example dashboard doesn't show.
///
/// # Names
///
/// The label `coalescer` is the coalescer's name. If another coalescer has that name and exports to the same recorder, the label
/// is `name#2`, or the first number that is free: no two coalescers write to the same series. The tracing event `metrics name
/// taken` tells of it, as a warning. Building such a coalescer is no error, so a service can be built anew before its predecessor
/// is dropped.
///
/// A name is free again when the last handle of its coalescer is dropped, or when the coalescer is shut down. The next coalescer of
/// that name continues the counters. A cache keeps its name until its last handle is dropped, as it serves on after a shutdown.
///
/// # Coalescers that come and go
///
/// With a coalescer per tenant, say, the label has a value per tenant. The facade can't remove a series: those of a coalescer
/// that is gone keep their last values, gauges 0, until the exporter drops them. Set an idle timeout for that, longer than the
/// interval of reports and of scrapes:
///
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
/// use metrics_util::MetricKindMask;
/// use std::time::Duration;
///
/// let exporter = PrometheusBuilder::new().idle_timeout(MetricKindMask::ALL, Some(Duration::from_secs(600)));
/// # drop(exporter.build_recorder());
/// ```
///
/// It drops none of a coalescer that lives: all its counters and gauges are updated with every report, if only by 0. Histograms
/// can't be; those that were idle are registered anew, if the recorder is that of the process, and start again at 0, as after a
/// restart. (A recorder that was thread-local at the build can't be found again: its idle histograms stay dropped.)
///
/// Without such a timeout, one name for all tenants bounds the number of series: `tenants`, `tenants#2` and so on exist once for
/// each coalescer that lives at the same time, and are used again. Each label with a number is warned of.
///
/// # When values are updated
///
/// Counters and gauges are updated with every report, and once more when a shard stops: after a
/// [`shutdown`](crate::Coalescer::shutdown), or when the last handle was dropped, counters are exact and gauges 0. (Not for
/// callers that call for themselves after a flight that the shutdown has let end: they stay coalesced.) Histograms and pass-throughs
/// are updated at once. A cache's counters are exact and its gauges 0 when its last handle and its last load are gone; it reports until
/// then, shut down or not. [`reset_stats`](crate::Handle::reset_stats) doesn't affect exported counters, which never fall.
///
/// # Costs
///
/// With metrics, a caller reads the clock twice, allocates once and records one value; a flight's completion records two. For
/// each report, a task per shard reads that shard's totals, at the cost of [`stats`](crate::Handle::stats) for one shard; it
/// keeps no coalescer alive. There are 24 series per shard (19 counters and 5 gauges), and 9 histograms with 23 series each under
/// [`buckets`](crate::metrics::buckets()); a coalescer of an HTTP layer has a series for each reason more. A cache has 18 series and 3
/// histograms more, and a task that reads its totals for each report, under the read locks of its store's shards; a load reads the clock
/// twice and records one value, and a hit costs nothing more.
///
/// `benches/instructions` counts 380 to 630 instructions per call for it with no recorder installed; a recorder adds its own.
/// With the feature but without [`Builder::metrics`], a call takes at most 0.8 % more instructions. `benches/README.md` has the
/// table and the command.
///
/// # Panics
///
/// Panics of the recorder are caught at each call. The recorder runs in the shards' and the callers' threads, so, like a
/// tracing subscriber, it must not block.
///
/// # Examples
///
/// ```
/// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
/// use shardflight::{Coalescer, Metrics};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Before the coalescer is built.
/// let exporter = PrometheusBuilder::new()
///     .set_buckets_for_metric(Matcher::Prefix("shardflight_".into()), shardflight::metrics::buckets())?
///     .install_recorder()?;
///
/// let metrics = Metrics::named("users").report_every(Duration::from_secs(5));
/// let coalescer = Coalescer::<u64, u64>::builder().shards(1).metrics(metrics).build()?;
/// coalescer.handle().join(7_u64, || async { 7 }).await?;
/// coalescer.shutdown(Duration::from_secs(1)).await;
///
/// let exported = exporter.render();
/// assert!(exported.contains(r#"shardflight_joins_total{coalescer="users",shard="0"} 1"#), "{exported}");
/// assert!(exported.contains("shardflight_wait_duration_seconds_bucket"), "{exported}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is exported unless a builder gets it"]
pub struct Metrics {
    pub(super) name: String,
    pub(super) every: Duration,
}

impl Metrics {
    /// Exports under this name, such as `users`: the label `coalescer` of all metrics. [`Builder::metrics`] also takes the name
    /// itself, a `&str` or a `String`.
    ///
    /// [`Builder::build`] fails if the name is blank.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), every: Duration::from_secs(1) }
    }

    /// The time between two reports of counters and gauges. It need not be shorter than the interval at which they are scraped.
    ///
    /// [`Builder::build`] fails if it is zero.
    ///
    /// # Default
    ///
    /// One second.
    pub fn report_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }
}

impl Metrics {
    pub(super) fn reporter(&self, layout: Layout, environment: Environment) -> Reporter {
        let Environment { runtime, timers, .. } = environment;
        let export = Arc::new(Export::new(&self.name, layout));
        Reporter { export, every: self.every, runtime, timers }
    }
}

impl From<&str> for Metrics {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

impl From<String> for Metrics {
    fn from(name: String) -> Self {
        Self::named(name)
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// Exports counters, gauges and histograms through the `metrics` facade, under this name; [`Metrics`] lists them. Install
    /// the recorder before [`build`](Self::build).
    ///
    /// # Default
    ///
    /// Nothing is exported.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
    /// let users = shardflight::Coalescer::<u64, String>::builder().metrics("users").build()?;
    /// # Ok(()) }
    /// ```
    pub fn metrics(mut self, metrics: impl Into<Metrics>) -> Self {
        self.config.observer = Some(Arc::new(metrics.into()));
        self
    }
}

impl ObserverFactory for Metrics {
    fn check(&self) -> Result<(), BuildError> {
        if self.name.trim().is_empty() {
            return Err(BuildError::UnnamedMetrics);
        }
        if self.every.is_zero() {
            return Err(BuildError::ZeroReportInterval);
        }
        Ok(())
    }

    fn observe(&self, environment: Environment) -> Arc<dyn Observer> {
        let layout = Layout::of(&environment);
        Arc::new(self.reporter(layout, environment))
    }
}

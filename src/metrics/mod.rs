//! Counters, gauges and histograms for the `metrics` facade: the feature `metrics`.
//!
//! Sits on the seam of [`watch`](crate::watch); the core knows nothing of it.

mod catalogue;
mod instruments;
mod reporter;

use std::{sync::Arc, time::Duration};

use self::{instruments::Instruments, reporter::Reporter};
use crate::{
    builder::Builder,
    error::BuildError,
    watch::{Surroundings, Watch, Watcher},
};

/// Under which name a coalescer's metrics are exported, and how often: what [`Builder::metrics`] takes.
///
/// They go to the [`metrics`](https://docs.rs/metrics) facade, so the exporter is your choice.
///
/// | name | kind | labels beside `coalescer` | |
/// | --- | --- | --- | --- |
/// | `shardflight_joins_total` and the like for `executions`, `coalesced`, `errors`, `panics`, `timeouts`, `rejections`, `departures`, `aborts`, `forgets`, `bypasses` | counter | `shard` | [`Stats`](crate::Stats)' counters |
/// | `shardflight_flights` | gauge | `shard` | flights under way |
/// | `shardflight_waiters` | gauge | `shard` | live callers awaiting an answer |
/// | `shardflight_oldest_flight_age_seconds` | gauge | `shard` | 0 where there is no flight |
/// | `shardflight_flight_duration_seconds` | histogram | `outcome`: `value`, `panicked`, `timed_out`, `aborted`, `closed` | from a flight's launch to its landing, as its shard's turns see them |
/// | `shardflight_flight_waiters` | histogram | | callers aboard a flight when it landed, its leader included |
/// | `shardflight_wait_duration_seconds` | histogram | `outcome`: `answered`, `bypassed`, `left` | from a join's first poll to its caller's answer, or until it left or gave up |
///
/// Each is described to the recorder, with its unit. Rates are for queries to derive: the hit rate is
/// `sum(rate(shardflight_coalesced_total[5m])) / sum(rate(shardflight_joins_total[5m]))`. The key is in no label. The example
/// `observability` in this crate's repository has a dashboard and alert rules.
///
/// # Installing the recorder
///
/// Install it **before** the coalescer is built: what is current in [`Builder::build`], be it the global recorder or the
/// thread's own, is where everything goes for as long as the coalescer lives. Without any, nothing is heard of it, even if one
/// is installed later.
///
/// Give each coalescer of a process a name of its own. Two of one name add up in counters and histograms, and overwrite each
/// other's gauges. One that is built anew under its old name goes on counting where the other ended.
///
/// An exporter that forgets what is idle forgets a histogram for good if nothing lands for long; counters and gauges are told
/// with every report.
///
/// # When figures are told
///
/// Counters and gauges with every report, and once more when a shard stops: after a
/// [`shutdown`](crate::Coalescer::shutdown), or when the last handle is gone, counters are exact and gauges 0. Histograms as it
/// happens. [`reset_stats`](crate::Handle::reset_stats) is no matter of theirs: exported counters never fall.
///
/// # Costs
///
/// A caller of a coalescer with metrics reads the clock twice, allocates once and makes a record; a landing makes two. A
/// shard's figures are asked for as [`stats`](crate::Handle::stats) asks, once per report, by a task that keeps nothing alive.
/// There are 14 series for each shard, and 9 histograms.
///
/// Counted by `benches/instructions` with no recorder installed, that is 380 to 630 instructions per call, to which a recorder
/// adds its own. A coalescer that isn't given metrics pays at most 0.8 % more in the same count; `benches/README.md` has the table
/// and the command.
///
/// # Panics
///
/// A recorder's panics end where it is called. It runs in shards and in callers, so it must not block, no more than a
/// tracing subscriber may.
///
/// # Examples
///
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
/// use shardflight::{Coalescer, Metrics};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let exporter = PrometheusBuilder::new().install_recorder()?; // before the coalescer
///
/// let metrics = Metrics::named("users").report_every(Duration::from_secs(5));
/// let coalescer = Coalescer::<u64, u64>::builder().shards(1).metrics(metrics).build()?;
/// coalescer.handle().join(7_u64, || async { 7 }).await?;
/// coalescer.shutdown(Duration::from_secs(1)).await;
///
/// let exported = exporter.render();
/// assert!(exported.contains(r#"shardflight_joins_total{coalescer="users",shard="0"} 1"#), "{exported}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is exported before a builder is given it"]
pub struct Metrics {
    name: String,
    every: Duration,
}

impl Metrics {
    /// Under this name: the label `coalescer` of everything, such as `users`. A `&str` or a `String` will do in its place
    /// where a builder wants metrics.
    ///
    /// A blank name is refused when the coalescer is built.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), every: Duration::from_secs(1) }
    }

    /// How long after one report of counters and gauges the next one follows. More often than they are collected is more
    /// often than needed.
    ///
    /// Zero is refused when the coalescer is built.
    ///
    /// # Default
    ///
    /// One second.
    pub fn report_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
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
    /// Exports counters, gauges and histograms through the `metrics` facade, under this name: [`Metrics`] has the list of
    /// them. Install the recorder before [`build`](Self::build).
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
        self.choices.watcher = Some(Arc::new(metrics.into()));
        self
    }
}

impl Watcher for Metrics {
    fn check(&self) -> Result<(), BuildError> {
        if self.name.trim().is_empty() {
            return Err(BuildError::UnnamedMetrics);
        }
        if self.every.is_zero() {
            return Err(BuildError::ZeroReportInterval);
        }
        Ok(())
    }

    fn watch(&self, surroundings: Surroundings) -> Arc<dyn Watch> {
        let Surroundings { bypasses, runtime, timers } = surroundings;
        let instruments = Arc::new(Instruments::register(&self.name, bypasses));
        Arc::new(Reporter { instruments, every: self.every, runtime, timers })
    }
}

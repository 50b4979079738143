//! What a batcher exports.

use std::{sync::Arc, time::Duration};

use metrics::{Label, Unit};

use super::{
    Metrics,
    catalogue::{CounterSpec, GaugeSpec, counter, describe_totals, gauge},
    totals::TotalInstruments,
};
use crate::{
    batch::{BatchObserver, BatchReporter, BatchStats, BatcherBuilder},
    unwind::contain,
};

/// The label with the batcher's name, on all of these.
const BATCHER: &str = "batcher";

static COUNTERS: [CounterSpec<BatchStats>; 9] = [
    counter("shardflight_batch_batches_total", "Calls of the loader.", |stats| stats.batches),
    counter("shardflight_batch_keys_total", "Keys that loaders were asked for.", |stats| stats.keys),
    counter("shardflight_batch_missing_total", "Keys that a loader had no answer for.", |stats| stats.missing),
    counter("shardflight_batch_key_errors_total", "Keys that were answered with an error of their own.", |stats| {
        stats.key_errors
    }),
    counter("shardflight_batch_errors_total", "Batches whose loader returned an error.", |stats| stats.batch_errors),
    counter("shardflight_batch_panics_total", "Batches whose loader panicked.", |stats| stats.batch_panics),
    counter("shardflight_batch_aborts_total", "Batches whose loader was dropped before its end.", |stats| {
        stats.batch_aborts
    }),
    counter("shardflight_batch_unasked_total", "Answers that were ignored.", |stats| stats.unasked),
    counter("shardflight_batch_abandoned_total", "Keys that were not asked for, as their callers had left.", |stats| {
        stats.abandoned
    }),
];

static GAUGES: [GaugeSpec<BatchStats>; 2] = [
    gauge("shardflight_batch_queued", Unit::Count, "Keys that wait for a batch.", |stats| stats.queued as f64),
    gauge("shardflight_batch_running", Unit::Count, "Batches that are under way.", |stats| stats.running as f64),
];

struct Instruments(TotalInstruments<BatchStats>);

impl BatchReporter for Instruments {
    fn report(&self, totals: &BatchStats, is_final: bool) {
        self.0.report(totals, is_final);
    }
}

impl BatchObserver for Metrics {
    fn built(&self) -> Arc<dyn BatchReporter> {
        contain(|| describe_totals(&COUNTERS, &GAUGES));
        let labels = [Label::new(BATCHER, self.name.clone())];
        Arc::new(Instruments(TotalInstruments::register(&COUNTERS, &GAUGES, &labels)))
    }

    fn every(&self) -> Duration {
        self.every
    }
}

impl<K, T, E> BatcherBuilder<K, T, E> {
    /// Exports what the batcher does through the `metrics` facade, under this name as the label `batcher`, and what the coalescer of its
    /// keys does, under the label `coalescer`; [`Metrics`] lists all of it. Install the recorder before [`build`](Self::build).
    /// Batchers of one process that share a name share their series: counters add up, and gauges are the last one's.
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
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::batch::BatchBuildError> {
    /// use shardflight::batch::{Batch, Batcher};
    ///
    /// let builder = Batcher::builder(|_: Batch<u64, u64, String>| async { Ok(()) });
    /// let users = builder.metrics("users").build()?;
    /// # Ok(()) }
    /// ```
    pub fn metrics(self, metrics: impl Into<Metrics>) -> Self {
        let metrics = metrics.into();
        self.observed_by(Arc::new(metrics.clone()), |coalescer| coalescer.metrics(metrics))
    }
}

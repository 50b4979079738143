//! The recorder's handles for one coalescer.
//!
//! A recorder is user code. A panic is caught around each single call, so that a metric that panics doesn't suppress the
//! others.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use metrics::{Counter, Label, counter};

#[cfg(feature = "cache")]
use super::cache::CacheInstruments;
use super::{
    catalogue::{
        self, COALESCER, COUNTERS, FLIGHT_DURATION, FLIGHT_WAITERS, GAUGES, LIMIT, PASSES, REASON, SHARD,
        WAIT_DURATION, describe_totals,
    },
    export::Layout,
    histograms::KeptHistogram,
    totals::TotalInstruments,
};
use crate::{
    error::JoinError,
    observer::WaitEnd,
    stats::Stats,
    unwind::{catch, contain},
};

const VALUE: &str = "value";

/// The outcomes of flights, as in [`JoinErrorKind`](crate::JoinErrorKind). The other kinds are those of refused joins, and of
/// flights that were shed in the queue, whose work was never called.
const OUTCOMES: [&str; 5] = [VALUE, "panicked", "timed_out", "aborted", "closed"];

const WAIT_ENDS: [(WaitEnd, &str); 3] =
    [(WaitEnd::Answered, "answered"), (WaitEnd::Bypassed, "bypassed"), (WaitEnd::Left, "left")];

pub(super) struct Instruments {
    shards: Box<[TotalInstruments<Stats>]>,
    passes: Box<[PassInstrument]>,
    /// Where the limit of flights is learned.
    limit: Option<TotalInstruments<Duration>>,
    /// In the order of [`OUTCOMES`].
    flight_durations: [KeptHistogram; OUTCOMES.len()],
    flight_waiters: KeptHistogram,
    /// In the order of [`WAIT_ENDS`].
    wait_durations: [KeptHistogram; WAIT_ENDS.len()],
    #[cfg(feature = "cache")]
    pub(super) cache: Option<CacheInstruments>,
}

struct PassInstrument {
    counter: Counter,
    reported: AtomicU64,
}

impl Instruments {
    /// Registers all metrics with the recorder that is current on this thread.
    pub(super) fn register(name: &str, layout: &Layout) -> Self {
        let Layout { shards, reasons, .. } = layout;
        contain(|| catalogue::describe(!reasons.is_empty()));
        let register_limit = || {
            contain(|| describe_totals(&[], &LIMIT));
            TotalInstruments::register(&[], &LIMIT, &[Label::new(COALESCER, name.to_owned())])
        };
        let duration = |metric, outcome| KeptHistogram::register(metric, name, Some(outcome));
        Self {
            shards: (0..*shards).map(|shard| register_shard(name, shard)).collect(),
            limit: layout.flight_limit.as_ref().map(|_| register_limit()),
            passes: reasons.iter().map(|reason| PassInstrument::register(name, reason)).collect(),
            flight_durations: OUTCOMES.map(|outcome| duration(FLIGHT_DURATION.name, outcome)),
            flight_waiters: KeptHistogram::register(FLIGHT_WAITERS.name, name, None),
            wait_durations: WAIT_ENDS.map(|(_, end)| duration(WAIT_DURATION.name, end)),
            #[cfg(feature = "cache")]
            cache: layout.has_cache.then(|| CacheInstruments::register(name)),
        }
    }

    /// Whether there was a recorder to register with.
    pub(super) fn are_live(&self) -> bool {
        self.flight_waiters.has_recorder()
    }

    /// Keeps the histograms alive that were idle. To be called where the recorder of the registration is current.
    pub(super) fn renew(&self, name: &str) {
        let durations = self.flight_durations.iter().chain(&self.wait_durations);
        durations.chain([&self.flight_waiters]).for_each(|histogram| histogram.renew(name));
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.cache {
            cache.renew(name);
        }
    }

    /// Reports a shard's counters and gauges. After the last report, later ones are ignored.
    pub(super) fn report(&self, shard: usize, totals: &Stats, is_final: bool) {
        self.shards[shard].report(totals, is_final);
    }

    /// Reports how long flights may take. After the last report, later ones are ignored.
    pub(super) fn report_limit(&self, limit: Duration, is_final: bool) {
        self.limit.iter().for_each(|gauge| gauge.report(&limit, is_final));
    }

    /// Reports how many requests there have been in all that passed through for this reason.
    pub(super) fn report_passes(&self, reason: usize, total: u64) {
        let PassInstrument { counter, reported } = &self.passes[reason];
        // Of reports at the same time, each increments by what is its own.
        let new = total.saturating_sub(reported.fetch_max(total, Ordering::Relaxed));
        // Also by 0, as below.
        contain(|| counter.increment(new));
    }

    pub(super) fn completed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize) {
        let outcome = outcome.map_or(VALUE, |error| error.kind().as_str());
        if let Some(index) = OUTCOMES.iter().position(|known| *known == outcome) {
            self.flight_durations[index].record(latency);
        }
        self.flight_waiters.record(waiters as f64);
    }

    pub(super) fn waited(&self, wait: Duration, end: WaitEnd) {
        if let Some(index) = WAIT_ENDS.iter().position(|(known, _)| *known == end) {
            self.wait_durations[index].record(wait);
        }
    }
}

fn register_shard(name: &str, shard: usize) -> TotalInstruments<Stats> {
    let labels = [Label::new(COALESCER, name.to_owned()), Label::new(SHARD, shard.to_string())];
    TotalInstruments::register(&COUNTERS, &GAUGES, &labels)
}

impl PassInstrument {
    fn register(name: &str, reason: &'static str) -> Self {
        let register = || counter!(PASSES.0, COALESCER => name.to_owned(), REASON => reason);
        Self { counter: catch(register).unwrap_or_else(|_| Counter::noop()), reported: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    use super::*;

    fn instruments() -> (Instruments, PrometheusHandle) {
        let recorder = PrometheusBuilder::new().build_recorder();
        (
            with_local_recorder(&recorder, || Instruments::register("users", &Layout::fixed(1, TypeId::of::<()>()))),
            recorder.handle(),
        )
    }

    fn exported(exporter: &PrometheusHandle, name: &str) -> String {
        let text = exporter.render();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('{')).expect("a metric of that name");
        line.rsplit(' ').next().expect("a value").to_owned()
    }

    #[test]
    fn exported_counters_never_fall() {
        let (instruments, exporter) = instruments();
        for (coalesced, expected) in [(2, "2"), (1, "2"), (3, "3")] {
            let mut totals = Stats::default();
            totals.coalesced = coalesced;
            instruments.report(0, &totals, false);
            assert_eq!(exported(&exporter, "shardflight_coalesced_total"), expected);
        }
    }
}

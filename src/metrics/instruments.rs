//! The recorder's handles for one coalescer.
//!
//! A recorder is user code. A panic is caught around each single call, so that a metric that panics doesn't suppress the
//! others.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::catalogue::{
    self, COALESCER, COUNTERS, FLIGHT_DURATION, FLIGHT_WAITERS, GAUGES, OUTCOME, SHARD, WAIT_DURATION,
};
use crate::{
    error::JoinError,
    observer::WaitEnd,
    stats::Stats,
    unwind::{catch, contain},
};

const VALUE: &str = "value";

/// The outcomes of flights, as in [`JoinErrorKind`](crate::JoinErrorKind). The other kinds are those of rejected joins.
const OUTCOMES: [&str; 5] = [VALUE, "panicked", "timed_out", "aborted", "closed"];

const WAIT_ENDS: [(WaitEnd, &str); 3] =
    [(WaitEnd::Answered, "answered"), (WaitEnd::Bypassed, "bypassed"), (WaitEnd::Left, "left")];

pub(super) struct Instruments {
    shards: Box<[ShardInstruments]>,
    /// By shard. The router counts them, as bypasses never reach a shard.
    /// In the order of [`OUTCOMES`].
    flight_durations: [Histogram; OUTCOMES.len()],
    flight_waiters: Histogram,
    /// In the order of [`WAIT_ENDS`].
    wait_durations: [Histogram; WAIT_ENDS.len()],
}

struct ShardInstruments {
    counters: [Counter; COUNTERS.len()],
    gauges: [Gauge; GAUGES.len()],
    /// Locked during a report, so that no older one can overwrite the final report.
    reported: Mutex<Reported>,
}

#[derive(Default)]
struct Reported {
    /// In the order of [`COUNTERS`].
    totals: [u64; COUNTERS.len()],
    is_final: bool,
}

impl Instruments {
    /// Registers all metrics with the recorder that is current on this thread.
    pub(super) fn register(name: &str, shards: usize) -> Self {
        contain(catalogue::describe);
        let duration = |metric: &'static str, outcome: &'static str| {
            let register = || histogram!(metric, COALESCER => name.to_owned(), OUTCOME => outcome);
            catch(register).unwrap_or_else(|_| Histogram::noop())
        };
        Self {
            shards: (0..shards).map(|shard| ShardInstruments::register(name, shard)).collect(),
            flight_durations: OUTCOMES.map(|outcome| duration(FLIGHT_DURATION.name, outcome)),
            flight_waiters: catch(|| histogram!(FLIGHT_WAITERS.name, COALESCER => name.to_owned()))
                .unwrap_or_else(|_| Histogram::noop()),
            wait_durations: WAIT_ENDS.map(|(_, end)| duration(WAIT_DURATION.name, end)),
        }
    }

    /// Reports a shard's counters and gauges.
    pub(super) fn report(&self, shard: usize, totals: &Stats) {
        self.shards[shard].report(totals, false);
    }

    /// Reports them for the last time: later reports of this shard are ignored.
    pub(super) fn report_last(&self, shard: usize, totals: &Stats) {
        self.shards[shard].report(totals, true);
    }

    pub(super) fn completed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize) {
        let outcome = outcome.map_or(VALUE, |error| error.kind().as_str());
        if let Some(index) = OUTCOMES.iter().position(|known| *known == outcome) {
            contain(|| self.flight_durations[index].record(latency));
        }
        contain(|| self.flight_waiters.record(waiters as f64));
    }

    pub(super) fn waited(&self, wait: Duration, end: WaitEnd) {
        if let Some(index) = WAIT_ENDS.iter().position(|(known, _)| *known == end) {
            contain(|| self.wait_durations[index].record(wait));
        }
    }
}

impl ShardInstruments {
    fn register(name: &str, shard: usize) -> Self {
        let register_counter = |metric: &'static str| {
            let register = || counter!(metric, COALESCER => name.to_owned(), SHARD => shard.to_string());
            catch(register).unwrap_or_else(|_| Counter::noop())
        };
        let register_gauge = |metric: &'static str| {
            let register = || gauge!(metric, COALESCER => name.to_owned(), SHARD => shard.to_string());
            catch(register).unwrap_or_else(|_| Gauge::noop())
        };
        Self {
            counters: COUNTERS.map(|counter| register_counter(counter.name)),
            gauges: GAUGES.map(|gauge| register_gauge(gauge.name)),
            reported: Mutex::default(),
        }
    }

    fn report(&self, totals: &Stats, is_final: bool) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_final {
            return;
        }
        reported.is_final = is_final;
        for ((counter, handle), reported) in COUNTERS.iter().zip(&self.counters).zip(&mut reported.totals) {
            // Saturating, as `coalesced` falls when a follower turns out to be reentrant and is rejected (G12). An increment
            // instead of a total, so that a new coalescer with the same name continues the counter of the previous one.
            let new = (counter.value)(totals).saturating_sub(*reported);
            *reported += new;
            // Also by 0: exporters with an idle timeout would otherwise drop the metric.
            contain(|| handle.increment(new));
        }
        for (gauge, handle) in GAUGES.iter().zip(&self.gauges) {
            contain(|| handle.set((gauge.value)(totals)));
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    use super::*;

    fn instruments() -> (Instruments, PrometheusHandle) {
        let recorder = PrometheusBuilder::new().build_recorder();
        (with_local_recorder(&recorder, || Instruments::register("users", 1)), recorder.handle())
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
            instruments.report(0, &totals);
            assert_eq!(exported(&exporter, "shardflight_coalesced_total"), expected);
        }
    }
}

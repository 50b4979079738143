//! The recorder's handles for one coalescer.
//!
//! A recorder is somebody else's code. Each call into it runs under guard, one by one, so that one metric that panics
//! keeps none of the others from being told.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::catalogue::{
    self, COALESCER, COUNTERS, FLIGHT_DURATION, FLIGHT_WAITERS, GAUGES, OUTCOME, SHARD, WAIT_DURATION,
};
use crate::{
    error::JoinError,
    panics::{catch, contain},
    router::Bypasses,
    stats::Stats,
    watch::Ending,
};

const VALUE: &str = "value";

/// What a flight can end in: see [`JoinError::kind`]. The rest of the kinds are refusals.
const OUTCOMES: [&str; 5] = [VALUE, "panicked", "timed_out", "aborted", "closed"];

const ENDINGS: [(Ending, &str); 3] =
    [(Ending::Answered, "answered"), (Ending::Bypassed, "bypassed"), (Ending::Left, "left")];

pub(super) struct Instruments {
    shards: Box<[OfShard]>,
    /// By shard, as no shard counts them.
    bypasses: Arc<[Bypasses]>,
    /// In the order of [`OUTCOMES`].
    flight_durations: [Histogram; OUTCOMES.len()],
    flight_waiters: Histogram,
    /// In the order of [`ENDINGS`].
    wait_durations: [Histogram; ENDINGS.len()],
}

struct OfShard {
    counters: [Counter; COUNTERS.len()],
    gauges: [Gauge; GAUGES.len()],
    /// Held while the recorder is told, so that nothing older comes after a last word.
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// In the order of [`COUNTERS`].
    totals: [u64; COUNTERS.len()],
    last_word: bool,
}

impl Instruments {
    /// Registers everything with the recorder that is the current one here.
    pub(super) fn register(name: &str, bypasses: Arc<[Bypasses]>) -> Self {
        contain(catalogue::describe);
        let measured = |metric: &'static str, outcome: &'static str| {
            let register = || histogram!(metric, COALESCER => name.to_owned(), OUTCOME => outcome);
            catch(register).unwrap_or_else(|_| Histogram::noop())
        };
        Self {
            shards: (0..bypasses.len()).map(|shard| OfShard::register(name, shard)).collect(),
            bypasses,
            flight_durations: OUTCOMES.map(|outcome| measured(FLIGHT_DURATION.name, outcome)),
            flight_waiters: catch(|| histogram!(FLIGHT_WAITERS.name, COALESCER => name.to_owned()))
                .unwrap_or_else(|_| Histogram::noop()),
            wait_durations: ENDINGS.map(|(_, ending)| measured(WAIT_DURATION.name, ending)),
        }
    }

    /// What a shard has counted so far, and what it is doing.
    pub(super) fn report(&self, shard: usize, totals: Stats) {
        self.tell(shard, totals, false);
    }

    /// The same, after which the shard is heard of no more.
    pub(super) fn report_last(&self, shard: usize, totals: Stats) {
        self.tell(shard, totals, true);
    }

    fn tell(&self, shard: usize, mut totals: Stats, last: bool) {
        totals.bypasses = self.bypasses[shard].total();
        totals.joins += totals.bypasses;
        self.shards[shard].tell(&totals, last);
    }

    pub(super) fn landed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize) {
        let outcome = outcome.map_or(VALUE, JoinError::kind);
        if let Some(nth) = OUTCOMES.iter().position(|known| *known == outcome) {
            contain(|| self.flight_durations[nth].record(latency));
        }
        contain(|| self.flight_waiters.record(waiters as f64));
    }

    pub(super) fn waited(&self, wait: Duration, ending: Ending) {
        if let Some(nth) = ENDINGS.iter().position(|(known, _)| *known == ending) {
            contain(|| self.wait_durations[nth].record(wait));
        }
    }
}

impl OfShard {
    fn register(name: &str, shard: usize) -> Self {
        let counted = |metric: &'static str| {
            let register = || counter!(metric, COALESCER => name.to_owned(), SHARD => shard.to_string());
            catch(register).unwrap_or_else(|_| Counter::noop())
        };
        let gauged = |metric: &'static str| {
            let register = || gauge!(metric, COALESCER => name.to_owned(), SHARD => shard.to_string());
            catch(register).unwrap_or_else(|_| Gauge::noop())
        };
        Self {
            counters: COUNTERS.map(|counter| counted(counter.name)),
            gauges: GAUGES.map(|gauge| gauged(gauge.name)),
            told: Mutex::default(),
        }
    }

    fn tell(&self, totals: &Stats, last: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last_word {
            return;
        }
        told.last_word = last;
        for ((counter, handle), told) in COUNTERS.iter().zip(&self.counters).zip(&mut told.totals) {
            // Never downwards: a join that was counted as coalesced may turn out to be a rejection (G12). By what is new,
            // and not as a total, so that a coalescer that is built anew under its old name goes on where that one ended.
            let new = (counter.of)(totals).saturating_sub(*told);
            *told += new;
            // Of nothing new as well, or exporters with an idle timeout would take the metric for dead.
            contain(|| handle.increment(new));
        }
        for (gauge, handle) in GAUGES.iter().zip(&self.gauges) {
            contain(|| handle.set((gauge.of)(totals)));
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
        let bypasses: Arc<[_]> = Arc::new([Bypasses::default()]);
        (with_local_recorder(&recorder, || Instruments::register("users", bypasses)), recorder.handle())
    }

    fn exported(exporter: &PrometheusHandle, name: &str) -> String {
        let text = exporter.render();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('{')).expect("a metric of that name");
        line.rsplit(' ').next().expect("a value").to_owned()
    }

    #[test]
    fn a_join_that_turns_out_not_to_be_coalesced_makes_no_counter_fall() {
        let (instruments, exporter) = instruments();
        for (coalesced, expected) in [(2, "2"), (1, "2"), (3, "3")] {
            let mut totals = Stats::default();
            totals.coalesced = coalesced;
            instruments.report(0, totals);
            assert_eq!(exported(&exporter, "shardflight_coalesced_total"), expected);
        }
    }
}

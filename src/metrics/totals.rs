//! Counters and gauges that are made of the totals of one source, as a shard is.

use std::sync::{Mutex, PoisonError};

use metrics::{Counter, Gauge, Label, counter, gauge};

use super::catalogue::{CounterSpec, GaugeSpec, REASON};
use crate::unwind::{catch, contain};

pub(super) struct TotalInstruments<S: 'static> {
    counters: Box<[(&'static CounterSpec<S>, Counter)]>,
    gauges: Box<[(&'static GaugeSpec<S>, Gauge)]>,
    /// Locked during a report, so that no older one can overwrite the final report.
    reported: Mutex<Reported>,
}

struct Reported {
    /// In the order of the counters.
    totals: Box<[u64]>,
    is_final: bool,
}

impl<S> TotalInstruments<S> {
    /// Registers them with the recorder that is current on this thread.
    pub(super) fn register(
        counters: &'static [CounterSpec<S>],
        gauges: &'static [GaugeSpec<S>],
        labels: &[Label],
    ) -> Self {
        let register_counter = |spec: &'static CounterSpec<S>| {
            let reason = spec.reason.map(|reason| Label::from_static_parts(REASON, reason));
            let registered = catch(|| counter!(spec.name, labels.iter().cloned().chain(reason).collect::<Vec<_>>()));
            (spec, registered.unwrap_or_else(|_| Counter::noop()))
        };
        let register_gauge = |spec: &'static GaugeSpec<S>| {
            let registered = catch(|| gauge!(spec.name, labels.to_vec()));
            (spec, registered.unwrap_or_else(|_| Gauge::noop()))
        };
        Self {
            counters: counters.iter().map(register_counter).collect(),
            gauges: gauges.iter().map(register_gauge).collect(),
            reported: Mutex::new(Reported { totals: counters.iter().map(|_| 0).collect(), is_final: false }),
        }
    }

    /// After the last report, later ones are ignored.
    pub(super) fn report(&self, totals: &S, is_final: bool) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_final {
            return;
        }
        reported.is_final = is_final;
        for ((spec, handle), reported) in self.counters.iter().zip(&mut reported.totals) {
            // Saturating, as `coalesced` falls when a follower turns out to be reentrant (G12) or to call for itself; what was
            // reported too much is made up for by the next ones. An increment
            // instead of a total, so that a new coalescer with the same name continues the counter of the previous one.
            let new = (spec.value)(totals).saturating_sub(*reported);
            *reported += new;
            // Also by 0: exporters with an idle timeout would otherwise drop the metric.
            contain(|| handle.increment(new));
        }
        for (spec, handle) in &self.gauges {
            contain(|| handle.set((spec.value)(totals)));
        }
    }
}

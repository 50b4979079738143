//! The exported metrics, with their names, units and descriptions. Names and labels are stable.

use std::{any::TypeId, cell::Cell, time::Duration};

use metrics::{Histogram, IntoF64, Unit, describe_counter, describe_gauge, describe_histogram, histogram};

use crate::{stats::Stats, unwind::catch};

/// The label with the coalescer's name, on all metrics.
pub(super) const COALESCER: &str = "coalescer";
/// The label with the shard's index, on counters and gauges.
pub(super) const SHARD: &str = "shard";
/// The label with how a flight or a wait ended, on durations.
pub(super) const OUTCOME: &str = "outcome";

/// The label with the reason why a request isn't coalesced, on pass-throughs.
pub(super) const REASON: &str = "reason";

/// A counter of a source whose totals are an `S`.
pub(super) struct CounterSpec<S: 'static> {
    pub(super) name: &'static str,
    /// The value of the label [`REASON`], for one of the counters of this name.
    pub(super) reason: Option<&'static str>,
    pub(super) description: &'static str,
    pub(super) value: fn(&S) -> u64,
}

/// A gauge of a source whose totals are an `S`.
pub(super) struct GaugeSpec<S: 'static> {
    pub(super) name: &'static str,
    unit: Unit,
    description: &'static str,
    pub(super) value: fn(&S) -> f64,
}

pub(super) struct HistogramSpec {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) description: &'static str,
}

pub(super) static COUNTERS: [CounterSpec<Stats>; 19] = [
    counter("shardflight_joins_total", "Joins that a shard counted, and bypasses.", |stats| stats.joins),
    counter("shardflight_executions_total", "Works that were called for a flight.", |stats| stats.executions),
    counter("shardflight_coalesced_total", "Joins that shared another caller's flight.", |stats| stats.coalesced),
    counter("shardflight_errors_total", "Flights led by try_join whose work returned an error.", |stats| stats.errors),
    counter("shardflight_panics_total", "Flights whose work panicked.", |stats| stats.panics),
    counter("shardflight_timeouts_total", "Flights that exceeded their deadline.", |stats| stats.timeouts),
    counter("shardflight_rejections_total", "Joins that were rejected.", |stats| stats.rejections),
    counter("shardflight_queued_total", "Flights that had to wait for a permit.", |stats| stats.queued),
    counter("shardflight_shed_total", "Flights given up while they waited for a permit.", |stats| stats.shed),
    counter("shardflight_raised_total", "Raises of waiting flights by callers of a higher class.", |stats| {
        stats.raised
    }),
    counter("shardflight_departures_total", "Callers that left before their answer.", |stats| stats.departures),
    counter("shardflight_aborts_total", "Flights whose work was dropped before it ended.", |stats| stats.aborts),
    counter("shardflight_forgets_total", "Flights detached by forget or forget_all.", |stats| stats.forgets),
    counter(
        "shardflight_overlaps_total",
        "Flights that began while aborted work of their key was not gone.",
        |stats| stats.overlaps,
    ),
    counter(
        "shardflight_bypasses_total",
        "Joins that ran their own work, beside the shards or after a flight without a response for them.",
        |stats| stats.bypasses,
    ),
    counter(
        "shardflight_takeovers_total",
        "Works of followers that were called, as their flight had stalled.",
        |stats| stats.takeovers,
    ),
    counter("shardflight_hedges_total", "Second calls of hedged work.", |stats| stats.hedges),
    counter("shardflight_hedges_won_total", "Second calls of hedged work whose value was the flight's.", |stats| {
        stats.hedges_won
    }),
    counter("shardflight_hedges_denied_total", "Second calls of hedged work that its budget denied.", |stats| {
        stats.hedges_denied
    }),
];

pub(super) static GAUGES: [GaugeSpec<Stats>; 5] = [
    gauge("shardflight_flights", Unit::Count, "Flights under way, detached ones included.", |stats| {
        stats.flights as f64
    }),
    gauge("shardflight_waiters", Unit::Count, "Live callers awaiting an answer, leaders included.", |stats| {
        stats.waiters as f64
    }),
    gauge("shardflight_executing", Unit::Count, "Executions that have a permit; 0 without a limit.", |stats| {
        stats.executing as f64
    }),
    gauge("shardflight_queue_length", Unit::Count, "Flights that wait for a permit.", |stats| stats.queue_len as f64),
    gauge(
        "shardflight_oldest_flight_age_seconds",
        Unit::Seconds,
        "Age of the oldest flight under way; 0 if there is none.",
        |stats| stats.oldest_flight.as_ref().map_or(0.0, Duration::as_secs_f64),
    ),
];

/// Of coalescers that learn the limit of their flights.
pub(super) static LIMIT: [GaugeSpec<Duration>; 1] = [gauge(
    "shardflight_flight_duration_limit_seconds",
    Unit::Seconds,
    "How long a flight that starts now may take, where that is learned.",
    Duration::as_secs_f64,
)];

pub(super) const FLIGHT_DURATION: HistogramSpec = HistogramSpec {
    name: "shardflight_flight_duration_seconds",
    unit: Unit::Seconds,
    description: "From a flight's start to its completion.",
};

pub(super) const FLIGHT_WAITERS: HistogramSpec = HistogramSpec {
    name: "shardflight_flight_waiters",
    unit: Unit::Count,
    description: "A flight's callers at its completion, the leader included.",
};

pub(super) const WAIT_DURATION: HistogramSpec = HistogramSpec {
    name: "shardflight_wait_duration_seconds",
    unit: Unit::Seconds,
    description: "From a join's first poll until its caller was answered or left.",
};

/// Of the coalescers of HTTP layers alone.
pub(super) const PASSES: (&str, &str) =
    ("shardflight_passes_total", "Requests of an HTTP layer that were answered by a call of their own.");

/// The reasons for which an adapter with this type of values passes requests through, by number.
pub(super) fn pass_reasons(value: TypeId) -> Vec<&'static str> {
    #[cfg(feature = "tower")]
    if value == TypeId::of::<crate::tower::Answer>() {
        return crate::tower::Reason::ALL.into_iter().map(crate::tower::Reason::as_str).collect();
    }
    let _ = value;
    Vec::new()
}

/// Whether this thread's current recorder records anything of a coalescer of this name.
pub(super) fn has_recorder(name: &str) -> bool {
    catch(|| histogram!(FLIGHT_WAITERS.name, COALESCER => name.to_owned()))
        .map_or(true, |histogram| is_live(&histogram))
}

/// Whether there is a recorder behind a histogram. The facade doesn't tell; but only then it converts what it is given.
pub(super) fn is_live(histogram: &Histogram) -> bool {
    struct Probe<'a>(&'a Cell<bool>);
    impl IntoF64 for Probe<'_> {
        fn into_f64(self) -> f64 {
            self.0.set(true);
            0.0
        }
    }
    let converted = Cell::new(false);
    // No times, so nothing is recorded.
    let _ = catch(|| histogram.record_many(Probe(&converted), 0));
    converted.get()
}

pub(super) const fn counter<S>(name: &'static str, description: &'static str, value: fn(&S) -> u64) -> CounterSpec<S> {
    CounterSpec { name, reason: None, description, value }
}

pub(super) const fn gauge<S>(
    name: &'static str,
    unit: Unit,
    description: &'static str,
    value: fn(&S) -> f64,
) -> GaugeSpec<S> {
    GaugeSpec { name, unit, description, value }
}

/// Describes a coalescer's metrics to the current recorder.
pub(super) fn describe(has_passes: bool) {
    describe_totals(&COUNTERS, &GAUGES);
    if has_passes {
        let (name, description) = PASSES;
        describe_counter!(name, Unit::Count, description);
    }
    [FLIGHT_DURATION, FLIGHT_WAITERS, WAIT_DURATION].iter().for_each(HistogramSpec::describe);
}

pub(super) fn describe_totals<S>(counters: &[CounterSpec<S>], gauges: &[GaugeSpec<S>]) {
    for CounterSpec { name, description, .. } in counters {
        describe_counter!(*name, Unit::Count, *description);
    }
    for GaugeSpec { name, unit, description, .. } in gauges {
        describe_gauge!(*name, *unit, *description);
    }
}

impl HistogramSpec {
    pub(super) fn describe(&self) {
        describe_histogram!(self.name, self.unit, self.description);
    }
}

//! What is exported: every name, its unit and what it says. Names and labels are stable.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use crate::stats::Stats;

/// The coalescer's name, on everything.
pub(super) const COALESCER: &str = "coalescer";
/// A number from 0, on counters and gauges.
pub(super) const SHARD: &str = "shard";
/// How it ended, on durations.
pub(super) const OUTCOME: &str = "outcome";

pub(super) struct Counted {
    pub(super) name: &'static str,
    says: &'static str,
    pub(super) of: fn(&Stats) -> u64,
}

pub(super) struct Gauged {
    pub(super) name: &'static str,
    unit: Unit,
    says: &'static str,
    pub(super) of: fn(&Stats) -> f64,
}

pub(super) struct Measured {
    pub(super) name: &'static str,
    unit: Unit,
    says: &'static str,
}

pub(super) const COUNTERS: [Counted; 11] = [
    counted("shardflight_joins_total", "Joins that a shard took note of, and bypasses.", |stats| stats.joins),
    counted("shardflight_executions_total", "Flights started: how often work really ran.", |stats| stats.executions),
    counted("shardflight_coalesced_total", "Joins that shared a flight somebody else led.", |stats| stats.coalesced),
    counted("shardflight_errors_total", "Flights led by try_join whose work returned an error.", |stats| stats.errors),
    counted("shardflight_panics_total", "Flights whose work panicked.", |stats| stats.panics),
    counted("shardflight_timeouts_total", "Flights that outlived their deadline.", |stats| stats.timeouts),
    counted("shardflight_rejections_total", "Joins that were refused.", |stats| stats.rejections),
    counted("shardflight_departures_total", "Callers that left before their answer.", |stats| stats.departures),
    counted("shardflight_aborts_total", "Flights whose work was dropped before it ended.", |stats| stats.aborts),
    counted("shardflight_forgets_total", "Flights detached by forget or forget_all.", |stats| stats.forgets),
    counted("shardflight_bypasses_total", "Joins that ran their own work beside the shards.", |stats| stats.bypasses),
];

pub(super) const GAUGES: [Gauged; 3] = [
    gauged("shardflight_flights", Unit::Count, "Flights under way, detached ones included.", |stats| {
        stats.flights as f64
    }),
    gauged("shardflight_waiters", Unit::Count, "Live callers awaiting an answer, leaders included.", |stats| {
        stats.waiters as f64
    }),
    gauged(
        "shardflight_oldest_flight_age_seconds",
        Unit::Seconds,
        "Age of the oldest flight under way; 0 if there is none.",
        |stats| stats.oldest_flight.as_ref().map_or(0.0, Duration::as_secs_f64),
    ),
];

pub(super) const FLIGHT_DURATION: Measured = Measured {
    name: "shardflight_flight_duration_seconds",
    unit: Unit::Seconds,
    says: "From a flight's launch to its landing.",
};

pub(super) const FLIGHT_WAITERS: Measured = Measured {
    name: "shardflight_flight_waiters",
    unit: Unit::Count,
    says: "Callers aboard a flight when it landed, its leader included.",
};

pub(super) const WAIT_DURATION: Measured = Measured {
    name: "shardflight_wait_duration_seconds",
    unit: Unit::Seconds,
    says: "From a join's first poll to its caller's answer or leaving.",
};

const fn counted(name: &'static str, says: &'static str, of: fn(&Stats) -> u64) -> Counted {
    Counted { name, says, of }
}

const fn gauged(name: &'static str, unit: Unit, says: &'static str, of: fn(&Stats) -> f64) -> Gauged {
    Gauged { name, unit, says, of }
}

/// Tells the recorder what everything is.
pub(super) fn describe() {
    for Counted { name, says, .. } in COUNTERS {
        describe_counter!(name, Unit::Count, says);
    }
    for Gauged { name, unit, says, .. } in GAUGES {
        describe_gauge!(name, unit, says);
    }
    for Measured { name, unit, says } in [FLIGHT_DURATION, FLIGHT_WAITERS, WAIT_DURATION] {
        describe_histogram!(name, unit, says);
    }
}

//! What is told to tracing: `shardflight` is the target of everything, and the names here are stable.
//!
//! A subscriber is user code. What a shard tells runs under guard, and nothing is put together without a listener.

#[cfg(all(test, not(shardflight_shuttle)))]
pub(crate) mod listening;
#[cfg(all(test, not(shardflight_shuttle)))]
pub(crate) mod recoveries;

use std::time::Duration;

use tracing::{Level, Span, debug, debug_span, enabled, error, level_filters::LevelFilter, warn};

#[cfg(feature = "adaptive")]
use tracing::info;

use crate::{
    config::Priority,
    error::JoinError,
    shard::{FlightId, Report},
    unwind::{self, Contained},
};

const TARGET: &str = "shardflight";

/// The span that this thread is in, if a subscriber could ever see one below it. Without a subscriber, that is known at
/// the price of a load.
pub(crate) fn caller() -> Option<Contained<Span>> {
    if !is_on() {
        return None;
    }
    let span = Contained::new(unwind::catch(Span::current).ok()?);
    (!span.get().is_none() || hears_of_flights()).then_some(span)
}

/// Whether any subscriber may listen: a load, and no user code.
#[inline]
pub(crate) fn is_on() -> bool {
    LevelFilter::current() != LevelFilter::OFF
}

/// Whether anyone would see a flight's span or the events in it.
#[inline]
pub(crate) fn hears_of_flights() -> bool {
    is_on() && is_enabled()
}

#[cold]
fn is_enabled() -> bool {
    unwind::catch(|| enabled!(target: TARGET, Level::DEBUG)).unwrap_or(false)
}

/// The span that work runs under. It follows from its leader's and is no child of it: a span stays open for as long as its
/// children do, and a leader may leave its flight long before that is over.
pub(crate) fn flight_span(leader: &Span, flight: FlightId) -> Option<Span> {
    let flight = flight.number();
    let span = unwind::catch(|| {
        let span = debug_span!(target: TARGET, parent: None, "flight", flight);
        span.follows_from(leader);
        span.in_scope(|| debug!(target: TARGET, flight, "flight started"));
        span
    });
    span.ok().filter(|span| !span.is_none())
}

/// In the span of a caller that was answered by a flight that another caller led.
pub(crate) fn followed(flight: FlightId) {
    if hears_of_flights() {
        contained(|| debug!(target: TARGET, flight = flight.number(), "flight followed"));
    }
}

pub(crate) fn completed(
    flight: FlightId,
    latency: impl FnOnce() -> Duration,
    outcome: Option<&JoinError>,
    waiters: usize,
) {
    if hears_of_flights() {
        contained(|| {
            let outcome = outcome.map_or("value", |error| error.kind().as_str());
            let latency = latency().as_secs_f64();
            debug!(target: TARGET, flight = flight.number(), outcome, latency, waiters, "flight completed");
        });
    }
}

/// A flight has one execution more, from a follower's work: the `takeover`th.
pub(crate) fn taken_over(flight: FlightId, takeover: usize, age: Duration) {
    if is_on() {
        contained(|| {
            warn!(target: TARGET, flight = flight.number(), takeover, age = age.as_secs_f64(), "flight taken over");
        });
    }
}

/// Names the header that kept a request from joining a flight. Never shows values.
#[cfg(feature = "tower")]
pub(crate) fn kept_apart(header: &str) {
    contained(|| debug!(target: TARGET, header, "header kept requests apart"));
}

pub(crate) fn report(report: &Report) {
    match *report {
        Report::Crowded { flight, waiters } => {
            contained(|| warn!(target: TARGET, flight = flight.number(), waiters, "flight crowded"));
        }
        Report::Overdue { flight, age, waiters } => contained(|| {
            warn!(target: TARGET, flight = flight.number(), age = age.as_secs_f64(), waiters, "flight overdue");
        }),
        Report::Overlapping { flight, aborted, grace } => contained(|| {
            let (flight, aborted, grace) = (flight.number(), aborted.number(), grace.as_secs_f64());
            warn!(target: TARGET, flight, aborted, grace, "flight overlaps");
        }),
        Report::Raised { flight, class } => {
            contained(|| debug!(target: TARGET, flight = flight.number(), class = class.as_str(), "flight raised"));
        }
        Report::Rejected { reason } => contained(|| debug!(target: TARGET, reason, "join rejected")),
        Report::Recovered { shard, ref panic } => contained(|| {
            error!(target: TARGET, shard, panic = panic.message(), "shard recovered from a panic");
        }),
    }
}

/// The limit that flights get has moved far, or to an end of its range.
#[cfg(feature = "adaptive")]
pub(crate) fn limit_moved(limit: Duration, before: Duration, flights: u64) {
    contained(|| {
        let (limit, before) = (limit.as_secs_f64(), before.as_secs_f64());
        info!(target: TARGET, limit, before, flights, "flight limit moved");
    });
}

/// A flight's work was given up before it was called.
pub(crate) fn shed(flight: FlightId, class: Priority, reason: &'static str) {
    contained(|| debug!(target: TARGET, flight = flight.number(), class = class.as_str(), reason, "flight shed"));
}

pub(crate) fn falls_back(scope: &'static str, reason: &str) {
    warn!(target: TARGET, scope, reason, "scope falls back to the process");
}

/// Two coalescers would have written to the same series; this one has another label than its name.
#[cfg(feature = "metrics")]
pub(crate) fn metrics_name_taken(name: &str, label: &str) {
    contained(|| {
        warn!(
            target: TARGET, coalescer = name, label, remedy = "give each coalescer a name of its own", "metrics name taken"
        );
    });
}

/// The recorder was installed after the build, and has missed all durations until now.
#[cfg(feature = "metrics")]
pub(crate) fn late_recorder(name: &str) {
    contained(|| {
        warn!(
            target: TARGET, coalescer = name, remedy = "install the recorder before the coalescer is built",
            "metrics recorder late"
        );
    });
}

fn contained(tell: impl FnOnce()) {
    // The panic hook has reported it; nothing else can be told.
    let _ = unwind::catch(tell);
}

//! What is told to tracing: `shardflight` is the target of everything, and the names here are stable.
//!
//! A subscriber is user code. What a shard tells runs under guard, and nothing is put together without a listener.

use std::time::Duration;

use tracing::{Level, Span, debug, debug_span, enabled, error, level_filters::LevelFilter, warn};

use crate::{
    error::JoinError,
    shard::{FlightId, Report},
    task::current::Current,
    unwind,
};

const TARGET: &str = "shardflight";

/// The span that this thread is in, if a subscriber could ever see one below it. Without a subscriber, that is known at
/// the price of a load.
pub(crate) fn caller() -> Option<Span> {
    if LevelFilter::current() == LevelFilter::OFF {
        return None;
    }
    let span = Span::current();
    (!span.is_none() || hears_of_flights()).then_some(span)
}

/// Whether anyone would see a flight's span or the events in it.
pub(crate) fn hears_of_flights() -> bool {
    LevelFilter::current() != LevelFilter::OFF
        && unwind::catch(|| enabled!(target: TARGET, Level::DEBUG)).unwrap_or(false)
}

/// The span that work runs under.
pub(crate) fn flight_span(leader: &Span, current: Option<Current>) -> Span {
    let flight = current.map(|current| current.flight.id.number());
    let span = unwind::catch(|| {
        let span = debug_span!(target: TARGET, parent: leader, "flight", flight);
        span.in_scope(|| debug!(target: TARGET, flight, "flight started"));
        span
    });
    // A subscriber may want the leader's span and not the flight's.
    span.ok().filter(|span| !span.is_none()).unwrap_or_else(|| leader.clone())
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
            debug!(target: TARGET, flight = flight.number(), outcome, latency, waiters, "flight landed");
        });
    }
}

pub(crate) fn report(report: &Report) {
    match *report {
        Report::Crowded { flight, waiters } => {
            contained(|| warn!(target: TARGET, flight = flight.number(), waiters, "flight crowded"));
        }
        Report::Overdue { flight, age, waiters } => contained(|| {
            warn!(target: TARGET, flight = flight.number(), age = age.as_secs_f64(), waiters, "flight overdue");
        }),
        Report::Rejected { reason } => contained(|| debug!(target: TARGET, reason, "join rejected")),
        Report::Recovered { shard, ref panic } => contained(|| {
            error!(target: TARGET, shard, panic = panic.message(), "shard recovered from a panic");
        }),
    }
}

pub(crate) fn falls_back(scope: &'static str, reason: &str) {
    warn!(target: TARGET, scope, reason, "scope falls back to the process");
}

fn contained(tell: impl FnOnce()) {
    // The panic hook has reported it; nothing else can be told.
    let _ = unwind::catch(tell);
}

//! What a batcher tells tracing: under the target of the whole crate, with stable names.
//!
//! A subscriber is user code: what it panics with ends here.

use tracing::{Span, debug, debug_span};

use super::run::Outcome;
use crate::{
    trace::hears_of_flights,
    unwind::{Contained, catch},
};

const TARGET: &str = "shardflight";

/// The span of the flight whose work this thread runs.
pub(super) fn flight() -> Option<Box<Contained<Span>>> {
    if !hears_of_flights() {
        return None;
    }
    let span = Contained::new(catch(Span::current).ok()?);
    (!span.get().is_none()).then(|| Box::new(span))
}

/// The span that a loader runs in. It follows from those of its keys' flights, and keeps none of them open.
pub(super) fn batch(keys: usize, flights: impl Iterator<Item = Box<Contained<Span>>>) -> Option<Span> {
    if !hears_of_flights() {
        return None;
    }
    let span = catch(|| {
        let span = debug_span!(target: TARGET, parent: None, "batch", keys);
        flights.for_each(|flight| _ = span.follows_from(flight.get()));
        span.in_scope(|| debug!(target: TARGET, keys, "batch started"));
        span
    });
    span.ok().filter(|span| !span.is_none())
}

pub(super) fn ended(span: Option<&Contained<Span>>, outcome: Outcome, missing: u64) {
    let Some(span) = span else { return };
    let tell = || debug!(target: TARGET, outcome = outcome.as_str(), missing, "batch ended");
    let _ = catch(|| span.get().in_scope(tell));
}

pub(super) fn unasked() {
    if hears_of_flights() {
        let _ = catch(|| debug!(target: TARGET, "batch ignored an answer"));
    }
}

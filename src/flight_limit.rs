//! The seam for a time limit of flights that moves: without one, all of this is a check of an `Option`.

use std::time::{Duration, Instant};

/// Decides how long flights may take whose handle has no limit of its own. Asked and told outside of turns. Nothing in it panics.
pub(crate) trait FlightLimit: Send + Sync {
    /// For a flight that starts now.
    fn current(&self, now: Instant) -> Duration;

    /// A flight of this shard is over. Told once of each, before its callers are woken.
    fn ended(&self, shard: usize, end: FlightEnd, now: Instant);
}

/// How long a flight took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightEnd {
    /// Its work returned after this time.
    Returned(Duration),
    /// Its work would have taken longer than this: it was cut short, or panicked.
    Cut(Duration),
}

//! What became of one join, for logs and headers.

use std::time::{Duration, Instant};

/// What became of a join: from [`with_report`](crate::WithReport).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlightReport {
    /// Whether this caller's work ran, or another's.
    pub role: CallerRole,
    /// When the flight's work was given to run, on Tokio's clock, which may be before it had its permit of
    /// [`max_executions`](crate::Builder::max_executions); for a bypassed join, when it was first polled. `None` if the
    /// caller was refused, or left before the work could begin.
    pub started: Option<Instant>,
    /// From `started` until the flight's outcome was published, however much later this caller was polled. `None` if the
    /// flight went on without this caller.
    pub ran: Option<Duration>,
}

/// What a caller was to its flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallerRole {
    /// Its own work was to run, and was shared by all that followed.
    Leader,
    /// It shared a flight that another caller led.
    Follower,
    /// Its key is not coalesced: it ran its own work alone.
    Bypassed,
    /// It has had no flight: it was refused, or its own `max_wait` ended before its shard took it.
    Refused,
}

impl CallerRole {
    /// `leader`, `follower`, `bypassed` or `refused`, for logs and metrics. The names are stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Bypassed => "bypassed",
            Self::Refused => "refused",
        }
    }
}

//! What a log says: who called when and got what, what ran when, who forgot what.

use std::time::Duration;

use shardflight::{Closed, OnAbandon, OnExpiry};

/// A point on the one clock of a log. Ticks order what happened; the time beside them is for ages alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) tick: u64,
    pub(super) at: Duration,
}

/// Taken before something and after it: whatever it did, it did in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) begin: Moment,
    pub(super) end: Moment,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) key: u8,
    /// The execution whose work makes this call, if one's does.
    pub(super) inside: Option<usize>,
    pub(super) max_wait: Option<Duration>,
    /// Before its first poll; `None` if it never was polled.
    pub(super) begin: Option<Moment>,
    /// After its first poll, where the first poll is not the whole call.
    pub(super) sent: Option<Moment>,
    pub(super) answer: Option<(Moment, Answer)>,
    /// It was dropped without an answer.
    pub(super) left: Option<Span>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// What that execution returned, be it a value or an error of its own.
    Value {
        execution: usize,
    },
    Panic {
        execution: usize,
    },
    TimedOut(Duration),
    TooManyWaiters,
    TooManyFlights,
    /// The queue was full, with this limit.
    Overloaded(usize),
    QueueTimedOut(Duration),
    Reentrant,
    Aborted,
    Closed,
    Unexpected(String),
}

impl Answer {
    pub(super) fn execution(&self) -> Option<usize> {
        match self {
            Self::Value { execution } | Self::Panic { execution } => Some(*execution),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Execution {
    pub(super) key: u8,
    /// The call whose work this is.
    pub(super) leader: usize,
    /// The first thing that the work did.
    pub(super) begin: Moment,
    /// The last thing that the work did, before any caller could get its result; or its drop.
    pub(super) end: Option<(Moment, Ending)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    Returned,
    Panicked,
    Dropped,
}

#[derive(Clone, Debug)]
pub(super) struct Forget {
    /// `None`: all keys.
    pub(super) key: Option<u8>,
    pub(super) begin: Moment,
    /// When it returned and how many flights it said to have detached, or that the coalescer is closed.
    pub(super) end: Option<(Moment, Result<usize, Closed>)>,
}

impl Forget {
    pub(super) fn covers(&self, key: u8) -> bool {
        self.key.is_none_or(|own| own == key)
    }
}

/// A look at the statistics.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) begin: Moment,
    /// When they came and how many flights had expired, or that the coalescer is closed.
    pub(super) end: Option<(Moment, Result<u64, Closed>)>,
}

/// What the coalescer was built with, as far as it matters to the checker.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) on_abandon: OnAbandon,
    pub(super) on_expiry: OnExpiry,
    pub(super) deadline: Option<Duration>,
    pub(super) max_waiters: usize,
    pub(super) max_flights: usize,
    pub(super) executions: Option<Executions>,
}

/// How many executions may run at a time, and how flights wait for that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Executions {
    pub(super) most: usize,
    pub(super) max_queued: usize,
    pub(super) queue_timeout: Option<Duration>,
}

/// Whether the statistics showed no flight and no waiter when all callers were through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quiet {
    Since(Moment),
    /// The coalescer was closed under its callers, and could not be asked.
    Unasked,
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) rules: Rules,
    pub(super) calls: Vec<Call>,
    pub(super) executions: Vec<Execution>,
    pub(super) forgets: Vec<Forget>,
    pub(super) sightings: Vec<Sighting>,
    /// Before the shutdown began, or the runtime was taken away.
    pub(super) closing: Option<Moment>,
    pub(super) quiet: Quiet,
    /// The longest time for which the machine kept a ready thread waiting, as far as was measured.
    pub(super) stall: Duration,
}

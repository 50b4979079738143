//! All errors, described for the caller that has to act on them.

mod closed;
mod kind;
mod not_extended;
mod shared;
mod try_join;

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

pub use self::{
    closed::{Closed, ClosedReason},
    kind::JoinErrorKind,
    not_extended::NotExtended,
    shared::SharedError,
    try_join::TryJoinError,
};

/// Why a join ended without a value.
///
/// An error of a flight reaches all of its callers (G8). A refusal, a `max_wait` that is over, `Reentrant`, `MixedJoins` and a panic
/// of the key's `Hash` or `Eq` or the value's `Clone` reach one caller. None is remembered: the next join of the key starts afresh.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The work panicked, or the key's `Hash` or `Eq` or the value's `Clone` did (G5, G13).
    ///
    /// The panic's message is in the `Display` output. The key is usable again at once.
    Panicked(CaughtPanic),
    /// The flight has as many live callers as `max_waiters_per_flight` allows (G7). Shed this request, or retry later.
    TooManyWaiters {
        /// The cap.
        limit: usize,
    },
    /// The coalescer has as many flights under way as `max_flights` allows (G7). Shed this request, or retry later.
    TooManyFlights {
        /// The cap.
        limit: usize,
    },
    /// As many executions run as `max_executions` allows, more flights wait for one to end than `max_queued` allows, and this one
    /// is the newest of the lowest [`Priority`](crate::Priority) among them. Its work was not called. Retry later.
    Overloaded {
        /// `max_queued`.
        limit: usize,
    },
    /// As many executions run as `max_executions` allows, and the flight has waited for one to end for as long as `queue_timeout`
    /// allows. Its work was not called. Retry later.
    QueueTimedOut {
        /// `queue_timeout`.
        after: Duration,
    },
    /// The flight passed `max_flight_duration` (G11), and the next join starts afresh; or this caller passed its own
    /// [`max_wait`](crate::Handle::with_max_wait), and the next join shares what still runs.
    ///
    /// `after` is the limit that was passed, and so tells the two apart if they differ. Where they may be equal, put
    /// [`tokio::time::timeout`] around the join in place of `max_wait`: its `Elapsed` is the caller's own limit.
    TimedOut {
        /// The limit that was passed.
        after: Duration,
    },
    /// The work was dropped before it ended, as the runtime it ran on is shutting down (G5).
    Aborted,
    /// Work waited for its own flight, directly or by way of others, of other coalescers too (G12). The join that closed
    /// the cycle gets this; the others go on. Have the work compute what it wanted to join, or join a different key.
    Reentrant,
    /// The coalescer takes no more joins: it was shut down, or the runtime it was built on was (G5).
    /// [`Handle::closed_reason`](crate::Handle::closed_reason) says which.
    Closed,
    /// The work returned an error that this caller of [`try_join_shared`](crate::Handle::try_join_shared) can't have: a caller
    /// of [`join_shared`](crate::Handle::join_shared) joined the same flight, and the error is in the `Arc` of its `Result`.
    /// Use one of the two methods for a key.
    MixedJoins,
}

impl JoinError {
    /// Which variant it is, without what is in it: for logs and for the labels of metrics.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{JoinError, JoinErrorKind};
    ///
    /// let error = JoinError::TooManyFlights { limit: 100 };
    /// assert_eq!(error.kind(), JoinErrorKind::TooManyFlights);
    /// assert_eq!(error.kind().as_str(), "too_many_flights");
    /// ```
    pub fn kind(&self) -> JoinErrorKind {
        match self {
            Self::Panicked(_) => JoinErrorKind::Panicked,
            Self::TooManyWaiters { .. } => JoinErrorKind::TooManyWaiters,
            Self::TooManyFlights { .. } => JoinErrorKind::TooManyFlights,
            Self::Overloaded { .. } => JoinErrorKind::Overloaded,
            Self::QueueTimedOut { .. } => JoinErrorKind::QueueTimedOut,
            Self::TimedOut { .. } => JoinErrorKind::TimedOut,
            Self::Aborted => JoinErrorKind::Aborted,
            Self::Reentrant => JoinErrorKind::Reentrant,
            Self::Closed => JoinErrorKind::Closed,
            Self::MixedJoins => JoinErrorKind::MixedJoins,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::TooManyWaiters { limit } => {
                write!(f, "the flight already has {limit} callers, the most that max_waiters_per_flight allows")
            }
            Self::TooManyFlights { limit } => {
                write!(f, "{limit} flights are under way already, the most that max_flights allows")
            }
            Self::Overloaded { limit } => {
                write!(f, "{limit} flights of no lower priority wait to begin already, the most that max_queued allows")
            }
            Self::QueueTimedOut { after } => {
                write!(f, "the flight has not begun within {after:?}, as long as queue_timeout lets it wait for max_executions")
            }
            Self::TimedOut { after } => write!(f, "no answer within {after:?}"),
            Self::Reentrant => f.write_str("the work waits for its own flight, and neither could ever end"),
            Self::Aborted => f.write_str("the work was dropped before it ended; its runtime is shutting down"),
            Self::Closed => Closed.fmt(f),
            Self::MixedJoins => f.write_str(
                "the work failed, and its error is in the `Arc` of a caller of `join_shared`; for a key whose callers use \
                 `try_join_shared`, use `try_join_shared` alone",
            ),
        }
    }
}

impl Error for JoinError {}

/// As [`io::ErrorKind::TimedOut`] or [`io::ErrorKind::Other`], with the `JoinError` inside.
impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        let kind = match error {
            JoinError::TimedOut { .. } | JoinError::QueueTimedOut { .. } => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<Closed> for JoinError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// The message of a panic in user code that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaughtPanic {
    /// By a thin pointer: every record has room for an error, and few ever hold one.
    message: Arc<String>,
}

impl CaughtPanic {
    pub(crate) fn new(message: &str) -> Self {
        Self { message: Arc::new(message.into()) }
    }

    /// What was passed to `panic!`, or a stand-in where the payload was not a string.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for CaughtPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl Error for CaughtPanic {}

/// A flight that may take no time: every flight would be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroFlightDuration;

impl fmt::Display for ZeroFlightDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flight duration of 0 was asked for; the least is 1 ns")
    }
}

impl Error for ZeroFlightDuration {}

/// A rollout that isn't a fraction between 0.0 and 1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidRollout {
    /// What was asked for.
    pub fraction: f64,
}

impl fmt::Display for InvalidRollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a rollout of {} was asked for; it has to be between 0.0 and 1.0", self.fraction)
    }
}

impl Error for InvalidRollout {}

/// A [`Hedge::budget`](crate::Hedge::budget) that isn't a fraction between 0.0 and 1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidHedgeBudget {
    /// What was asked for.
    pub share: f64,
}

impl fmt::Display for InvalidHedgeBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hedge budget of {} was asked for; it has to be between 0.0 and 1.0", self.share)
    }
}

impl Error for InvalidHedgeBudget {}

/// Why a [`Builder`](crate::Builder) refused to build.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// `shards(0)`: with no shard, no key has an owner. Ask for at least one, or leave it at the default.
    ZeroShards,
    /// More shards than [`Builder::MAX_SHARDS`](crate::Builder::MAX_SHARDS).
    TooManyShards {
        /// What was asked for.
        shards: usize,
        /// The most there can be.
        limit: usize,
    },
    /// `max_waiters_per_flight(0)`: even the leader of a flight waits for it, so the least is 1.
    ZeroWaiters,
    /// `max_flights(0)`: nothing could ever run; the least is 1. To turn coalescing off, use
    /// [`Builder::rollout`](crate::Builder::rollout).
    ZeroFlights,
    /// `max_executions(0)`: nothing could ever run; the least is 1. For no limit, leave it out.
    ZeroExecutions,
    /// `max_queued(0)`: the least is 1.
    ZeroQueued,
    /// `queue_timeout(0)`: no flight could wait; the least is 1 ns. For no limit, leave it out.
    ZeroQueueTimeout,
    /// `max_queued` without [`max_executions`](crate::Builder::max_executions): no flight ever waits for a permit.
    QueueWithoutExecutions {
        /// What was asked for.
        max_queued: usize,
    },
    /// `queue_timeout` without [`max_executions`](crate::Builder::max_executions): no flight ever waits for a permit.
    QueueTimeoutWithoutExecutions {
        /// What was asked for.
        queue_timeout: Duration,
    },
    /// `max_flight_duration(0)`: every flight would be late. For no limit, use
    /// [`Builder::no_flight_deadline`](crate::Builder::no_flight_deadline).
    ZeroFlightDuration,
    /// A `max_extended_duration` below `max_flight_duration`: flights may take as long as the latter before they are extended.
    ExtendedBelowLimit {
        /// The `max_extended_duration` that was asked for.
        extended: Duration,
        /// `max_flight_duration`, which is the least.
        limit: Duration,
    },
    /// `OnStall::Takeover` with an `after` of zero: every flight would be called twice.
    ZeroTakeoverAfter,
    /// `OnStall::Takeover` with an `at_most` of zero, which is [`OnStall::Wait`](crate::OnStall::Wait), or above
    /// [`OnStall::MAX_TAKEOVERS`](crate::OnStall::MAX_TAKEOVERS).
    InvalidTakeovers {
        /// What was asked for.
        at_most: usize,
        /// The most there can be.
        limit: usize,
    },
    /// `OnStall::Takeover` with an `after` that is not below `max_flight_duration`: each flight's time would be up first.
    TakeoverPastDeadline {
        /// The `after` that was asked for.
        after: Duration,
        /// `max_flight_duration`, which it has to stay below.
        limit: Duration,
    },
    /// `OnStall::Takeover` with `RunWork::InPlace`: work that blocks its leader's own thread couldn't be taken over. Use
    /// [`RunWork::Detached`](crate::RunWork::Detached).
    TakeoverInPlace,
    /// `adaptive_flight_duration` with options that make no sense.
    #[cfg(feature = "adaptive")]
    InvalidAdaptive(crate::InvalidAdaptive),
    /// `crowd_threshold(0)`: no flight is empty when it starts; the least is 1.
    ZeroCrowdThreshold,
    /// A rollout that isn't a fraction between 0.0 and 1.0.
    InvalidRollout {
        /// What was asked for.
        fraction: f64,
    },
    /// `metrics` with an empty name: the `coalescer` label tells coalescers apart by it.
    #[cfg(feature = "metrics")]
    UnnamedMetrics,
    /// `report_every(0)`: reporting would never pause.
    #[cfg(feature = "metrics")]
    ZeroReportInterval,
    /// `profile` with no hot keys, or with more than [`Builder::MAX_HOT_KEYS`](crate::Builder::MAX_HOT_KEYS).
    #[cfg(feature = "dashboard")]
    InvalidHotKeys {
        /// What was asked for.
        hot_keys: usize,
        /// The most there can be.
        limit: usize,
    },
    /// The Tokio runtime here was built without its timers, and a thread to keep time in their place could not be
    /// started. Build the runtime with `enable_time` or `enable_all`.
    NoTimers {
        /// Why there is no thread.
        reason: String,
    },
    /// There is no Tokio runtime here to spawn the shards on. Build inside one, or name one with
    /// [`Builder::build_on`](crate::Builder::build_on).
    NoRuntime,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroShards => f.write_str("0 shards were asked for; the least is 1"),
            Self::TooManyShards { shards, limit } => {
                write!(f, "{shards} shards were asked for; the most is {limit}")
            }
            Self::ZeroWaiters => f.write_str("max_waiters_per_flight is 0; the least is 1, a flight's leader"),
            Self::ZeroFlights => f.write_str("max_flights is 0; the least is 1"),
            Self::ZeroExecutions => f.write_str("max_executions is 0; the least is 1"),
            Self::ZeroQueued => f.write_str("max_queued is 0; the least is 1"),
            Self::ZeroQueueTimeout => {
                f.write_str("queue_timeout is 0; the least is 1 ns, and for no limit it is left out")
            }
            Self::QueueWithoutExecutions { max_queued } => {
                write!(f, "max_queued is {max_queued}, and max_executions is not set: no flight would ever wait")
            }
            Self::QueueTimeoutWithoutExecutions { queue_timeout } => {
                write!(
                    f,
                    "queue_timeout is {queue_timeout:?}, and max_executions is not set: no flight would ever wait"
                )
            }
            Self::ZeroFlightDuration => {
                f.write_str("max_flight_duration is 0; for no limit there is no_flight_deadline")
            }
            Self::ExtendedBelowLimit { extended, limit } => {
                write!(f, "max_extended_duration is {extended:?}; the least is max_flight_duration, {limit:?}")
            }
            Self::ZeroTakeoverAfter => f.write_str("a takeover after 0 was asked for; the least is 1 ns"),
            Self::InvalidTakeovers { at_most, limit } => {
                write!(f, "{at_most} takeovers per flight were asked for; the least is 1 and the most is {limit}")
            }
            Self::TakeoverPastDeadline { after, limit } => {
                write!(f, "a takeover after {after:?} was asked for; it has to be below max_flight_duration, {limit:?}")
            }
            Self::TakeoverInPlace => {
                f.write_str("takeovers were asked for together with RunWork::InPlace; they need RunWork::Detached")
            }
            #[cfg(feature = "adaptive")]
            Self::InvalidAdaptive(invalid) => invalid.fmt(f),
            Self::ZeroCrowdThreshold => f.write_str("crowd_threshold is 0; the least is 1"),
            Self::InvalidRollout { fraction } => InvalidRollout { fraction: *fraction }.fmt(f),
            #[cfg(feature = "metrics")]
            Self::UnnamedMetrics => {
                f.write_str("metrics were given an empty name; the least is 1 character that isn't blank")
            }
            #[cfg(feature = "metrics")]
            Self::ZeroReportInterval => f.write_str("report_every is 0; the least is 1 ns, and a second will do"),
            #[cfg(feature = "dashboard")]
            Self::InvalidHotKeys { hot_keys, limit } => {
                write!(f, "profile was asked for {hot_keys} hot keys per shard; the least is 1, the most {limit}")
            }
            Self::NoTimers { reason } => {
                write!(f, "the runtime has no timers, and no thread for them could be started: {reason}")
            }
            Self::NoRuntime => f.write_str(
                "no Tokio runtime to spawn the shards on; build inside an async fn, hold `runtime.enter()`, or use \
                 `build_on(runtime.handle())`",
            ),
        }
    }
}

impl Error for BuildError {}

//! The variants of [`JoinError`](super::JoinError), by name.

use std::fmt;

/// Which variant a [`JoinError`](crate::JoinError) is; from [`JoinError::kind`](crate::JoinError::kind).
///
/// Its `Display` is the name that tracing events and metrics have for it, such as `timed_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JoinErrorKind {
    /// [`JoinError::Panicked`](crate::JoinError::Panicked): `panicked`.
    Panicked,
    /// [`JoinError::TooManyWaiters`](crate::JoinError::TooManyWaiters): `too_many_waiters`.
    TooManyWaiters,
    /// [`JoinError::TooManyFlights`](crate::JoinError::TooManyFlights): `too_many_flights`.
    TooManyFlights,
    /// [`JoinError::Overloaded`](crate::JoinError::Overloaded): `overloaded`.
    Overloaded,
    /// [`JoinError::QueueTimedOut`](crate::JoinError::QueueTimedOut): `queue_timed_out`.
    QueueTimedOut,
    /// [`JoinError::TimedOut`](crate::JoinError::TimedOut), whichever limit was passed: `timed_out`.
    TimedOut,
    /// [`JoinError::Aborted`](crate::JoinError::Aborted): `aborted`.
    Aborted,
    /// [`JoinError::Reentrant`](crate::JoinError::Reentrant): `reentrant`.
    Reentrant,
    /// [`JoinError::Closed`](crate::JoinError::Closed): `closed`.
    Closed,
    /// [`JoinError::MixedJoins`](crate::JoinError::MixedJoins): `mixed_joins`.
    MixedJoins,
}

impl JoinErrorKind {
    /// The name, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::TooManyWaiters => "too_many_waiters",
            Self::TooManyFlights => "too_many_flights",
            Self::Overloaded => "overloaded",
            Self::QueueTimedOut => "queue_timed_out",
            Self::TimedOut => "timed_out",
            Self::Aborted => "aborted",
            Self::Reentrant => "reentrant",
            Self::Closed => "closed",
            Self::MixedJoins => "mixed_joins",
        }
    }
}

impl fmt::Display for JoinErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

//! The outcomes of the calls.

use std::sync::atomic::{AtomicU64, Ordering};

use shardflight::{JoinError, TryJoinError};

use crate::payload::{Answered, Failure, Payload};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Value,
    WorkError,
    Panicked,
    TooManyWaiters,
    TooManyFlights,
    TimedOut,
    Aborted,
    Reentrant,
    Closed,
    /// Dropped its join before there was an answer.
    Left,
    /// An outcome that the crate doesn't document.
    Unknown,
}

impl Answer {
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::Value, "value"),
        (Self::WorkError, "the work's error"),
        (Self::Panicked, "panicked"),
        (Self::TooManyWaiters, "too many waiters"),
        (Self::TooManyFlights, "too many flights"),
        (Self::TimedOut, "timed out"),
        (Self::Aborted, "aborted"),
        (Self::Reentrant, "the work joined itself"),
        (Self::Closed, "closed"),
        (Self::Left, "left before an answer"),
        (Self::Unknown, "unknown"),
    ];

    pub(crate) fn of(result: &Result<Answered, JoinError>) -> Self {
        match result {
            Ok(Ok(_)) => Self::Value,
            Ok(Err(failure)) => failure.into(),
            Err(error) => error.into(),
        }
    }

    pub(crate) fn of_tried(result: &Result<Payload, TryJoinError<Failure>>) -> Self {
        match result {
            Ok(_) => Self::Value,
            Err(TryJoinError::Work(failure)) => failure.into(),
            Err(TryJoinError::Join(error)) => error.into(),
        }
    }
}

impl From<&Failure> for Answer {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Itself | Failure::Other => Self::WorkError,
            Failure::Reentrant => Self::Reentrant,
        }
    }
}

impl From<&JoinError> for Answer {
    fn from(error: &JoinError) -> Self {
        match error {
            JoinError::Panicked(_) => Self::Panicked,
            JoinError::TooManyWaiters { .. } => Self::TooManyWaiters,
            JoinError::TooManyFlights { .. } => Self::TooManyFlights,
            JoinError::TimedOut { .. } => Self::TimedOut,
            JoinError::Aborted => Self::Aborted,
            JoinError::Reentrant => Self::Reentrant,
            JoinError::Closed => Self::Closed,
            _ => Self::Unknown,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    answers: [AtomicU64; Answer::ALL.len()],
}

impl Tally {
    pub(crate) fn count(&self, answer: Answer) {
        self.answers[answer as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, answer: Answer) -> u64 {
        self.answers[answer as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn total(&self) -> u64 {
        self.answers.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

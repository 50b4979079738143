//! Why a batcher can't be built.

use std::{error::Error, fmt};

use crate::error::BuildError;

/// An option of [`BatcherBuilder`](crate::batch::BatcherBuilder) that makes no sense. Its `Display` names the value and the limit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BatchBuildError {
    /// A number is out of its range.
    OutOfRange {
        /// The option.
        option: &'static str,
        /// Its value.
        value: usize,
        /// The most that it may be. The least is 1.
        most: usize,
    },
    /// `min_batch` is more than `max_batch`.
    MinAboveMax {
        /// `min_batch`.
        min: usize,
        /// `max_batch`.
        max: usize,
    },
    /// The coalescer's option would act on keys, where the batcher has one of its own for batches.
    ForBatches {
        /// The coalescer's option.
        option: &'static str,
        /// The batcher's option.
        instead: &'static str,
    },
    /// The coalescer of its keys can't be built.
    Coalescer(BuildError),
}

impl fmt::Display for BatchBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { option, value, most } => write!(f, "{option} is {value}; it may be from 1 to {most}"),
            Self::MinAboveMax { min, max } => write!(f, "min_batch is {min}; max_batch allows at most {max}"),
            Self::ForBatches { option, instead } => {
                write!(f, "{option} is set for the coalescer of a batcher's keys; use {instead} of the batcher")
            }
            Self::Coalescer(error) => error.fmt(f),
        }
    }
}

impl Error for BatchBuildError {
    // `Display` already speaks for the inner error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Coalescer(error) => error.source(),
            _ => None,
        }
    }
}

impl From<BuildError> for BatchBuildError {
    fn from(error: BuildError) -> Self {
        Self::Coalescer(error)
    }
}

//! Why a cache can't be built.

use std::{error::Error, fmt, time::Duration};

use crate::error::BuildError;

/// An option of [`CacheBuilder`](crate::cache::CacheBuilder) that makes no sense. Its `Display` names the value and the limit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CacheBuildError {
    /// There is no [`ttl`](crate::cache::CacheBuilder::ttl), and no default that is right.
    NoTtl,
    /// A time that must not be zero is.
    ZeroDuration {
        /// The option.
        option: &'static str,
    },
    /// The cache would keep nothing, or more than can be counted.
    Bound {
        /// The option.
        option: &'static str,
        /// Its value.
        value: u64,
        /// The most that it may be.
        most: u64,
    },
    /// A fraction or a factor is out of its range.
    Fraction {
        /// The option.
        option: &'static str,
        /// Its value.
        value: f64,
        /// What it has to be.
        allowed: &'static str,
    },
    /// The error backoff's range is empty.
    ErrorBackoff {
        /// The least.
        least: Duration,
        /// The most.
        most: Duration,
    },
    /// An option has no effect without another one.
    Needs {
        /// The option.
        option: &'static str,
        /// The other one.
        needs: &'static str,
    },
    /// The coalescer's `on_stall` has no effect in a cache: two loads of a key would each store what they have read.
    Takeover,
    /// The coalescer of its loads can't be built.
    Coalescer(BuildError),
}

impl fmt::Display for CacheBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTtl => f.write_str("a cache needs a ttl: how long what it keeps is good enough is yours to say"),
            Self::ZeroDuration { option } => write!(f, "{option} is 0; the least is 1 ns"),
            Self::Bound { option, value, most } => write!(f, "{option} is {value}; it may be from 1 to {most}"),
            Self::Fraction { option, value, allowed } => write!(f, "{option} is {value}; it has to be {allowed}"),
            Self::ErrorBackoff { least, most } => {
                write!(
                    f,
                    "error_backoff is from {least:?} to {most:?}; it has to begin above 0 and not end before it begins"
                )
            }
            Self::Needs { option, needs } => write!(f, "{option} has no effect without {needs}"),
            Self::Takeover => {
                f.write_str("OnStall::Takeover is set for the coalescer of a cache; it has to be OnStall::Wait")
            }
            Self::Coalescer(error) => error.fmt(f),
        }
    }
}

impl Error for CacheBuildError {
    // `Display` already speaks for the inner error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Coalescer(error) => error.source(),
            _ => None,
        }
    }
}

impl From<BuildError> for CacheBuildError {
    fn from(error: BuildError) -> Self {
        Self::Coalescer(error)
    }
}

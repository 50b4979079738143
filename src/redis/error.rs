//! Why a cluster can't be built.

use std::{error::Error, fmt, time::Duration};

use ::redis::RedisError;

/// An option of [`ClusterBuilder`](crate::redis::ClusterBuilder) that makes no sense. Its `Display` names the value and the limit.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClusterBuildError {
    /// A URL is none, or asks for what this build doesn't have.
    Server(Box<dyn Error + Send + Sync>),
    /// There is no namespace, or it has characters that it must not have.
    Namespace {
        /// It.
        namespace: String,
    },
    /// The lease is too short: it has to outlast some operations and their renewals.
    Lease {
        /// It.
        lease: Duration,
        /// The least that it may be, given the [`op_timeout`](crate::redis::ClusterBuilder::op_timeout).
        least: Duration,
    },
    /// A time that must not be zero is.
    ZeroDuration {
        /// The option.
        option: &'static str,
    },
    /// Its metrics can't be exported.
    Metrics {
        /// Why.
        what: &'static str,
    },
    /// A size is larger than it may be.
    Size {
        /// The option.
        option: &'static str,
        /// Its value.
        value: usize,
        /// The most that it may be.
        most: usize,
    },
}

impl ClusterBuildError {
    pub(super) fn server(error: RedisError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl fmt::Display for ClusterBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => write!(f, "the Redis server's URL: {error}"),
            Self::Namespace { namespace } => write!(
                f,
                "the namespace {namespace:?} has to be of 1 to 64 printable characters, without spaces, colons and braces"
            ),
            Self::Lease { lease, least } => {
                write!(f, "lease is {lease:?}; the least is {least:?}: three times op_timeout, and 10 ms")
            }
            Self::ZeroDuration { option } => write!(f, "{option} is 0; the least is 1 ns"),
            Self::Metrics { what } => f.write_str(what),
            Self::Size { option, value, most } => write!(f, "{option} is {value}; the most is {most}"),
        }
    }
}

impl Error for ClusterBuildError {
    // `Display` already speaks for the inner error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Server(error) => error.source(),
            _ => None,
        }
    }
}

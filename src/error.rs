//! What can go wrong, in the words of the caller that has to act on it.

use std::{error::Error, fmt, sync::Arc};

/// Why a join ended without a value.
///
/// Every caller of one flight gets the same error (G8), and none is remembered: the next join of the key starts
/// afresh.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The work panicked, or the key's `Hash` or `Eq` or the value's `Clone` did (G5, G13).
    ///
    /// The panic's message is in the `Display` output. The key is usable again at once.
    Panicked(CaughtPanic),
    /// The work was dropped before it ended: the runtime it ran on is shutting down (G5).
    Aborted,
    /// The coalescer is gone: the runtime it was built on has shut down (G5).
    Closed,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::Aborted => f.write_str("the work was dropped before it ended; its runtime is shutting down"),
            Self::Closed => Closed.fmt(f),
        }
    }
}

impl Error for JoinError {}

impl From<Closed> for JoinError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// What [`Handle::try_join`](crate::Handle::try_join) returns in place of a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TryJoinError<E> {
    /// The work ran to its end and returned this error; every caller of the flight gets a clone of it (G8).
    Work(E),
    /// The coalescer itself could not answer.
    Join(JoinError),
}

impl<E: fmt::Display> fmt::Display for TryJoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(error) => error.fmt(f),
            Self::Join(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TryJoinError<E> {
    // `Display` already speaks for the inner error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Work(error) => error.source(),
            Self::Join(error) => error.source(),
        }
    }
}

impl<E> From<JoinError> for TryJoinError<E> {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}

/// A panic of user code, caught where it could have hurt others.
#[derive(Clone, Debug)]
pub struct CaughtPanic {
    message: Arc<str>,
}

impl CaughtPanic {
    pub(crate) fn new(message: &str) -> Self {
        Self { message: message.into() }
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

/// The coalescer's shards have stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the coalescer is closed; the runtime it was built on has shut down")
    }
}

impl Error for Closed {}

/// Why a [`Builder`](crate::Builder) refused to build.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// There is no Tokio runtime here to spawn the shards on. Build inside one, or within `Runtime::enter`.
    NoRuntime,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroShards => f.write_str("0 shards were asked for; the least is 1"),
            Self::TooManyShards { shards, limit } => {
                write!(f, "{shards} shards were asked for; the most is {limit}")
            }
            Self::NoRuntime => f.write_str(
                "no Tokio runtime to spawn the shards on; build inside an async fn, or hold `runtime.enter()`",
            ),
        }
    }
}

impl Error for BuildError {}

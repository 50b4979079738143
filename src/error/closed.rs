//! A coalescer that is closed.

use std::{error::Error, fmt};

/// The coalescer's shards have stopped: it was shut down, or the runtime it was built on was.
/// [`Handle::closed_reason`](crate::Handle::closed_reason) says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the coalescer is closed: it was shut down, or the runtime it was built on was")
    }
}

impl Error for Closed {}

/// Why a coalescer takes no more joins; from [`Handle::closed_reason`](crate::Handle::closed_reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClosedReason {
    /// [`Coalescer::shutdown`](crate::Coalescer::shutdown) was called.
    ShutDown,
    /// The runtime that the coalescer was built on has shut down, or does so. Build another coalescer on a runtime that lives
    /// longer; for statics in tests, see [the crate's documentation](crate#testing).
    RuntimeEnded,
}

impl fmt::Display for ClosedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShutDown => "the coalescer was shut down",
            Self::RuntimeEnded => "the runtime that the coalescer was built on has shut down",
        })
    }
}

//! What a read got, and how.

use std::{fmt, time::Duration};

/// The answer of [`lookup`](crate::cache::CacheHandle::lookup).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served<V, E> {
    /// The value, or the error of a negative entry.
    pub value: Result<V, E>,
    /// Where it came from.
    pub state: Lookup,
    /// How long ago it was loaded.
    pub age: Duration,
}

impl<V, E> Served<V, E> {
    pub(super) fn new(value: Result<V, E>, state: Lookup, age: Duration) -> Self {
        Self { value, state, age }
    }

    /// Whether the value had expired.
    pub fn is_stale(&self) -> bool {
        matches!(self.state, Lookup::Stale { .. })
    }
}

/// How a read was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// The cache had it, and it had not expired.
    Fresh,
    /// The cache had it, and it had expired.
    Stale {
        /// How long ago it was loaded.
        age: Duration,
        /// Why it was served all the same.
        why: StaleReason,
    },
    /// It was loaded, by this read or by one that this read joined.
    Loaded,
    /// The cache had an error for the key.
    Negative,
}

/// Why an expired value was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// A load runs in the background: [`stale_while_revalidate`](crate::cache::CacheBuilder::stale_while_revalidate).
    Revalidating,
    /// The load failed: [`stale_if_error`](crate::cache::CacheBuilder::stale_if_error).
    LoadFailed,
    /// A load has failed, and the next one waits for the end of the backoff:
    /// [`error_backoff`](crate::cache::CacheBuilder::error_backoff).
    BackingOff,
    /// The load takes longer than [`soft_timeout`](crate::cache::CacheBuilder::soft_timeout) or than this reader
    /// [waits](crate::cache::CacheHandle::with_max_wait). It goes on, unless it was the only reader's under
    /// [`OnAbandon::Abort`](crate::OnAbandon::Abort) in a cache without a `soft_timeout`.
    LoadSlow,
}

impl StaleReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: &'static [Self] = &[Self::Revalidating, Self::LoadFailed, Self::BackingOff, Self::LoadSlow];

    /// A stable name, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revalidating => "revalidating",
            Self::LoadFailed => "load_failed",
            Self::BackingOff => "backing_off",
            Self::LoadSlow => "load_slow",
        }
    }
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

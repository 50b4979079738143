//! Time as a cache keeps it: nanoseconds since the cache was built.

use std::time::{Duration, Instant};

use crate::sync::now;

/// A moment, or a time span, in nanoseconds. Saturates after 584 years.
pub(super) type Nanos = u64;

#[derive(Debug)]
pub(super) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { epoch: now() }
    }

    /// One read of Tokio's clock, which tests can pause.
    #[inline]
    pub(super) fn now(&self) -> Nanos {
        nanos(now().saturating_duration_since(self.epoch))
    }
}

#[inline]
pub(super) fn nanos(span: Duration) -> Nanos {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(span.subsec_nanos().into())
}

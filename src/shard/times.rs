//! When a flight began and ended, for callers that ask for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::sync::OnceLock;

/// Of one flight; all callers that ask share it, so that its end is told to any number of them at once.
pub(crate) struct Times {
    began: OnceLock<Instant>,
    ended: OnceLock<Instant>,
}

impl Times {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: OnceLock::new(), ended: OnceLock::new() })
    }

    /// Its work is given to run.
    pub(crate) fn begin(&self, now: Instant) {
        let _ = self.began.set(now);
    }

    /// To be called before its outcome is published, so that a caller that has the outcome finds the end, too.
    pub(crate) fn end(&self, now: Instant) {
        let _ = self.ended.set(now);
    }

    pub(crate) fn began(&self) -> Option<Instant> {
        self.began.get().copied()
    }

    pub(crate) fn ran(&self) -> Option<Duration> {
        Some(self.ended.get()?.saturating_duration_since(self.began()?))
    }
}

//! The seam for metrics. Without an observer, all of this is a check of an `Option`.

use std::{sync::Arc, time::Duration};

use super::stats::BatchStats;

/// What a builder is given. Contains what it calls of others.
pub(crate) trait BatchObserver: Send + Sync {
    /// The batcher is built: on the thread that does it.
    fn built(&self) -> Arc<dyn BatchReporter>;

    /// How often to report.
    fn every(&self) -> Duration;
}

/// Is told of one batcher's numbers, without those that its coalescer has.
pub(crate) trait BatchReporter: Send + Sync {
    fn report(&self, totals: &BatchStats, is_final: bool);
}

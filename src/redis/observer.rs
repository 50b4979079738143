//! The seam for metrics. Without an observer, all of this is a check of an `Option`.

use std::time::Duration;

use super::stats::ClusterStats;

/// What a builder is given. Contains what it calls of others.
pub(crate) trait ClusterObserver: Send + Sync {
    /// Why it can't observe.
    fn check(&self) -> Result<(), &'static str>;

    /// The cluster is built: on the thread that does it.
    fn built(&self) -> Box<dyn ClusterReporter>;

    /// How often to report.
    fn every(&self) -> Duration;
}

/// Is told of one cluster's numbers. It may block, so it is called where that holds up nothing.
pub(crate) trait ClusterReporter: Send + Sync {
    fn report(&self, totals: &ClusterStats, is_final: bool);
}

//! The seam for metrics. Without an observer, all of this is a check of an `Option`.

#![cfg_attr(not(any(feature = "metrics", feature = "dashboard")), expect(dead_code, reason = "nothing observes"))]

use std::{hash::Hash, sync::Weak, time::Duration};

use super::{state::CacheState, stats::CacheStats};
use crate::observer::ObserverFactory;

/// Hears of one cache, and makes the observer of its coalescer: that comes first. What it calls of others it contains, and
/// nothing in it panics.
pub(crate) trait CacheObserver: ObserverFactory {
    /// For events.
    fn name(&self) -> &str;

    /// The cache is there, to be asked for its numbers.
    fn opened(&self, cache: Weak<dyn CacheSource>);

    /// A loader was called that long ago, and its load is over. Runs in the load.
    fn loaded(&self, took: Duration, end: LoadEnd);

    /// The cache is gone, as are its entries. Runs where its last handle or load goes.
    fn closed(&self, totals: &CacheStats);
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadEnd {
    Value,
    /// With an error to keep.
    Negative,
    /// With an error, with a panic, or by being dropped.
    Failed,
}

/// A cache that can be asked, and that isn't kept alive by those who may ask it.
pub(crate) trait CacheSource: Send + Sync {
    fn stats(&self) -> CacheStats;
}

impl<K, V, E> CacheSource for CacheState<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn stats(&self) -> CacheStats {
        self.stats()
    }
}

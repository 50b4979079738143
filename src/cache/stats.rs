//! A cache's numbers.

/// What a cache has done and holds: from [`stats`](crate::cache::CacheHandle::stats).
///
/// Each read is in one of `hits`, `stale_hits`, `negative_hits` and `misses`. Counters are read one after the other, so they agree
/// when no read is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads that got a value which had not expired, without a load.
    pub hits: u64,
    /// Reads that got an expired value without waiting for a load.
    pub stale_hits: u64,
    /// Reads that got a kept error.
    pub negative_hits: u64,
    /// Reads that waited for a load, their own or one that they joined.
    pub misses: u64,
    /// Loaders that were called.
    pub loads: u64,
    /// Background loads that a read started, as its value had expired or soon would.
    pub refreshes: u64,
    /// Loaders that returned an error which is not kept, panicked, or were dropped before they ended.
    pub load_errors: u64,
    /// Reads that got an expired value because the load failed, was slow or was put off. They are among `misses` and
    /// `stale_hits`.
    pub fail_safe: u64,
    /// Loaded values that were returned and not kept: too heavy, or older than an invalidation or an insert.
    pub rejected_fills: u64,
    /// Entries that were thrown out to make room.
    pub evictions: u64,
    /// Entries, expired ones included.
    pub entries: usize,
    /// What they weigh together: their number, unless the cache is bounded by weight.
    pub weight: u64,
}

impl CacheStats {
    /// The share of reads that waited for no load; 0.0 if there were none.
    pub fn hit_rate(&self) -> f64 {
        let hits = self.hits + self.stale_hits + self.negative_hits;
        let reads = hits + self.misses;
        if reads == 0 { 0.0 } else { hits as f64 / reads as f64 }
    }
}

//! A cache's numbers.

use std::fmt;

use super::served::StaleReason;

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
    /// Loaded values that were returned and not kept, for any [`RejectReason`].
    pub rejected_fills: u64,
    /// Entries that were evicted to make room.
    pub evictions: u64,
    /// Entries, expired ones included.
    pub entries: usize,
    /// What they weigh together: their number, unless the cache is bounded by weight.
    pub weight: u64,
    pub(super) stale: [u64; StaleReason::ALL.len()],
    pub(super) rejected: [u64; RejectReason::ALL.len()],
}

impl CacheStats {
    /// The share of reads that waited for no load; 0.0 if there were none.
    pub fn hit_rate(&self) -> f64 {
        let hits = self.hits + self.stale_hits + self.negative_hits;
        let reads = hits + self.misses;
        if reads == 0 { 0.0 } else { hits as f64 / reads as f64 }
    }

    /// Reads that got an expired value for this reason, whether they waited for a load before or not.
    pub fn stale_by(&self, reason: StaleReason) -> u64 {
        self.stale[reason as usize]
    }

    /// Those of the [`rejected_fills`](Self::rejected_fills) that were not kept for this reason.
    pub fn rejected_by(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize]
    }
}

/// Why a loaded value was returned to its readers and not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// After its load had begun, its key or one of its tags was invalidated, its key was written, or the entry that it was to replace
    /// was evicted.
    Invalidated,
    /// It is heavier than [`max_entry_weight`](crate::cache::CacheHandle::max_entry_weight).
    TooHeavy,
    /// Entries in use left no room for it. Loaded again soon, it takes the place of others: see
    /// [`max_weight`](crate::cache::CacheBuilder::max_weight).
    NoRoom,
}

impl RejectReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: &'static [Self] = &[Self::Invalidated, Self::TooHeavy, Self::NoRoom];

    /// A stable name, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalidated => "invalidated",
            Self::TooHeavy => "too_heavy",
            Self::NoRoom => "no_room",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_order_of_declaration() {
        assert!(StaleReason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
        assert!(RejectReason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
    }
}

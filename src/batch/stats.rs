//! A batcher's numbers.

/// What a batcher has done and does: from [`stats`](crate::batch::Batcher::stats).
///
/// Counters are read one after the other, so they agree when no load is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchStats {
    /// Keys that callers asked for.
    pub loads: u64,
    /// Loads that shared the key's flight with an earlier one, whether its batch had begun or not.
    pub coalesced: u64,
    /// Batches: calls of the loader.
    pub batches: u64,
    /// Keys that loaders were asked for.
    pub keys: u64,
    /// The keys of the largest batch.
    pub largest_batch: u64,
    /// Keys that a loader returned without an answer for, and without an error: their callers got `None`.
    pub missing: u64,
    /// Keys that were answered with an error of their own.
    pub key_errors: u64,
    /// Batches whose loader returned an error.
    pub batch_errors: u64,
    /// Batches whose loader panicked.
    pub batch_panics: u64,
    /// Batches whose loader was dropped before its end: as no key was waited for any more, or with its runtime.
    pub batch_aborts: u64,
    /// Answers that were ignored: for keys that their batch was not asked for, or that had their answer.
    pub unasked: u64,
    /// Keys that no loader was asked for, as their callers had left.
    pub abandoned: u64,
    /// Keys that wait for a batch.
    pub queued: usize,
    /// Batches that are under way.
    pub running: usize,
}

impl BatchStats {
    /// Keys per batch; 0.0 if there was none.
    pub fn mean_batch(&self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.keys as f64 / self.batches as f64 }
    }
}

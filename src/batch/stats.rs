//! A batcher's numbers.

use std::fmt;

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

/// For debugging: four lines, of loads, batches, failures and what is under way. Further ones may be added, so don't parse it.
///
/// # Examples
///
/// ```
/// # use shardflight::batch::{Batch, Batcher};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let squares = Batcher::builder(|keys: Batch<u64, u64, std::fmt::Error>| async move {
/// #     keys.keys().iter().for_each(|key| drop(keys.fulfil(key, Ok(key * key))));
/// #     Ok(())
/// # })
/// # .build()?;
/// squares.load_many([3_u64, 1, 2]).await;
/// let shown = squares.stats().await?.to_string();
/// assert!(shown.starts_with("loads: 3, 0 coalesced, 0 abandoned\nbatches: 1, with 3.0 keys on average and 3 at most\n"), "{shown}");
/// # Ok(()) }
/// ```
impl fmt::Display for BatchStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loads, coalesced, abandoned, batches, largest_batch, .. } = self;
        let mean = self.mean_batch();
        writeln!(f, "loads: {loads}, {coalesced} coalesced, {abandoned} abandoned")?;
        writeln!(f, "batches: {batches}, with {mean:.1} keys on average and {largest_batch} at most")?;
        let Self { missing, key_errors, unasked, batch_errors, batch_panics, batch_aborts, .. } = self;
        writeln!(
            f,
            "failures: {missing} keys missing, {key_errors} errors of keys, {unasked} answers unasked; \
             of batches {batch_errors} errors, {batch_panics} panics, {batch_aborts} aborts"
        )?;
        write!(f, "now: {} keys queued, {} batches running", self.queued, self.running)
    }
}

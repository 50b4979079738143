//! What a batcher counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::stats::BatchStats;
use crate::counter::Counter;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) batches: Counter,
    pub(super) keys: Counter,
    pub(super) missing: Counter,
    pub(super) key_errors: Counter,
    pub(super) unasked: Counter,
    pub(super) abandoned: Counter,
    pub(super) batch_errors: Counter,
    pub(super) batch_panics: Counter,
    pub(super) batch_aborts: Counter,
    pub(super) largest_batch: AtomicU64,
    /// Gauges, which the dispatcher sets.
    pub(super) queued: AtomicUsize,
    pub(super) running: AtomicUsize,
}

impl Counters {
    pub(super) fn began(&self, keys: usize) {
        let keys = keys as u64;
        self.batches.up();
        self.keys.add(keys);
        self.largest_batch.fetch_max(keys, Ordering::Relaxed);
    }

    /// Without what the coalescer counts.
    pub(super) fn snapshot(&self) -> BatchStats {
        BatchStats {
            loads: 0,
            coalesced: 0,
            batches: self.batches.get(),
            keys: self.keys.get(),
            largest_batch: self.largest_batch.load(Ordering::Relaxed),
            missing: self.missing.get(),
            key_errors: self.key_errors.get(),
            batch_errors: self.batch_errors.get(),
            batch_panics: self.batch_panics.get(),
            batch_aborts: self.batch_aborts.get(),
            unasked: self.unasked.get(),
            abandoned: self.abandoned.get(),
            queued: self.queued.load(Ordering::Relaxed),
            running: self.running.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set_gauges(&self, queued: usize, running: usize) {
        self.queued.store(queued, Ordering::Relaxed);
        self.running.store(running, Ordering::Relaxed);
    }
}

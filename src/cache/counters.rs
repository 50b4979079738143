//! What a cache counts.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread_local,
};

use crossbeam_utils::CachePadded;

use super::{served::StaleReason, stats::RejectReason};
use crate::counter::Counter;

/// Two threads that count hits rarely write the same cache line.
const STRIPES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) reads: ReadCounters,
    /// Those of the reads with an expired value that had waited for a load.
    pub(super) fallbacks: Counter,
    pub(super) misses: Counter,
    pub(super) loads: Counter,
    pub(super) refreshes: Counter,
    pub(super) load_errors: Counter,
    /// By reason.
    pub(super) rejected_fills: [Counter; RejectReason::ALL.len()],
}

/// What a read got from the cache.
#[derive(Clone, Copy, Debug)]
pub(super) enum Got {
    Fresh,
    Negative,
    Stale(StaleReason),
}

impl Got {
    const KINDS: usize = 2 + StaleReason::ALL.len();

    #[inline]
    fn index(self) -> usize {
        match self {
            Self::Fresh => 0,
            Self::Negative => 1,
            Self::Stale(why) => 2 + why as usize,
        }
    }
}

/// Counts of what happens on every hit. A stripe has all kinds, so a hit touches one line.
#[derive(Debug, Default)]
pub(super) struct ReadCounters([CachePadded<[AtomicU64; Got::KINDS]>; STRIPES]);

impl ReadCounters {
    #[inline]
    pub(super) fn up(&self, got: Got) {
        self.0[stripe()][got.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self, got: Got) -> u64 {
        self.0.iter().map(|stripe| stripe[got.index()].load(Ordering::Relaxed)).sum()
    }
}

#[inline]
fn stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    // Without a destructor, so it is there in those of other thread-locals.
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) });
    if STRIPE.get() == usize::MAX {
        STRIPE.set(THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES);
    }
    STRIPE.get()
}

//! What a cache counts.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread_local,
};

use crossbeam_utils::CachePadded;

use super::{served::StaleReason, stats::RejectReason};

/// Two threads that count hits rarely write the same cache line.
const STRIPES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: Striped,
    /// Reads that got an expired value, by reason.
    pub(super) stale: [Striped; StaleReason::ALL.len()],
    /// Those of them that had waited for a load.
    pub(super) covered: Counter,
    pub(super) negative_hits: Striped,
    pub(super) misses: Counter,
    pub(super) loads: Counter,
    pub(super) refreshes: Counter,
    pub(super) load_errors: Counter,
    /// By reason.
    pub(super) rejected_fills: [Counter; RejectReason::ALL.len()],
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter of what happens on every hit.
#[derive(Debug, Default)]
pub(super) struct Striped([CachePadded<AtomicU64>; STRIPES]);

impl Striped {
    #[inline]
    pub(super) fn up(&self) {
        self.0[stripe()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum()
    }
}

#[inline]
fn stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) });
    let of_thread = |stripe: &Cell<usize>| {
        if stripe.get() == usize::MAX {
            stripe.set(THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    };
    // In the destructor of another thread-local it may be gone.
    STRIPE.try_with(of_thread).unwrap_or(0)
}

//! Counts entries: in total, currently, at most at once, and those that were cut short.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Requests at a server, or queries at a database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: AtomicUsize,
    current: AtomicUsize,
    peak: AtomicUsize,
    cut_short: AtomicUsize,
}

impl Gauge {
    pub(crate) fn enter(&self) -> Entry {
        self.counts.total.fetch_add(1, Relaxed);
        let current = self.counts.current.fetch_add(1, Relaxed) + 1;
        self.counts.peak.fetch_max(current, Relaxed);
        Entry { gauge: self.clone(), complete: false }
    }

    pub(crate) fn total(&self) -> usize {
        self.counts.total.load(Relaxed)
    }

    pub(crate) fn current(&self) -> usize {
        self.counts.current.load(Relaxed)
    }

    /// The maximum of concurrent entries.
    pub(crate) fn peak(&self) -> usize {
        self.counts.peak.load(Relaxed)
    }

    /// Entries that were dropped without being completed.
    pub(crate) fn cut_short(&self) -> usize {
        self.counts.cut_short.load(Relaxed)
    }
}

/// Lasts until it is completed, or dropped along with the future that holds it.
#[derive(Debug)]
pub(crate) struct Entry {
    gauge: Gauge,
    complete: bool,
}

impl Entry {
    pub(crate) fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.gauge.counts.current.fetch_sub(1, Relaxed);
        if !self.complete {
            self.gauge.counts.cut_short.fetch_add(1, Relaxed);
        }
    }
}

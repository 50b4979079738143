//! Counts who comes, who is there, and who leaves before the end.

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
    pub(crate) fn enter(&self) -> Visit {
        self.counts.total.fetch_add(1, Relaxed);
        let current = self.counts.current.fetch_add(1, Relaxed) + 1;
        self.counts.peak.fetch_max(current, Relaxed);
        Visit { gauge: self.clone(), complete: false }
    }

    pub(crate) fn total(&self) -> usize {
        self.counts.total.load(Relaxed)
    }

    pub(crate) fn current(&self) -> usize {
        self.counts.current.load(Relaxed)
    }

    /// The most there were at once.
    pub(crate) fn peak(&self) -> usize {
        self.counts.peak.load(Relaxed)
    }

    /// Visits that were dropped rather than completed.
    pub(crate) fn cut_short(&self) -> usize {
        self.counts.cut_short.load(Relaxed)
    }
}

/// Lasts until it is completed, or dropped along with the future that holds it.
#[derive(Debug)]
pub(crate) struct Visit {
    gauge: Gauge,
    complete: bool,
}

impl Visit {
    pub(crate) fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.gauge.counts.current.fetch_sub(1, Relaxed);
        if !self.complete {
            self.gauge.counts.cut_short.fetch_add(1, Relaxed);
        }
    }
}

//! Histograms that outlast an exporter's idle timeout.
//!
//! An exporter with such a timeout forgets a metric that isn't updated for that long, and what its handle records afterwards is
//! lost. Counters and gauges are updated with every report, if only by nothing; a histogram can't be without a sample. So one
//! that was idle between two reports is registered anew.

use std::{
    mem,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use metrics::{Histogram, IntoF64, histogram};

use super::catalogue::{COALESCER, OUTCOME, is_live};
use crate::unwind::{catch, contain, drop_contained};

pub(super) struct KeptHistogram {
    metric: &'static str,
    outcome: Option<&'static str>,
    /// Recorders run while it is read: write it by `try_write` alone, so that none of them is ever waited for.
    handle: RwLock<Histogram>,
    was_used: AtomicBool,
    /// The recorder panicked instead of registering it.
    has_panicked: bool,
}

impl KeptHistogram {
    /// Registers it with the recorder that is current on this thread.
    pub(super) fn register(metric: &'static str, coalescer: &str, outcome: Option<&'static str>) -> Self {
        let registered = catch(|| register(metric, coalescer, outcome));
        let has_panicked = registered.is_err();
        let handle = RwLock::new(registered.unwrap_or_else(|_| Histogram::noop()));
        Self { metric, outcome, handle, was_used: AtomicBool::new(true), has_panicked }
    }

    /// Whether there was a recorder to register with.
    pub(super) fn has_recorder(&self) -> bool {
        self.has_panicked || is_live(&self.handle.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn record(&self, value: impl IntoF64) {
        // Read first: most records find it set, and leave the line shared between the cores.
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
        }
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        contain(|| handle.record(value));
    }

    /// Registers it anew, with the recorder that is current on this thread, if it was idle since the last time.
    pub(super) fn renew(&self, coalescer: &str) {
        if self.was_used.swap(false, Ordering::Relaxed) || self.has_panicked {
            return;
        }
        let Ok(renewed) = catch(|| register(self.metric, coalescer, self.outcome)) else { return };
        // Where it fails, a caller records: next time.
        let before = self.handle.try_write().map(|mut handle| mem::replace(&mut *handle, renewed));
        drop_contained(before.ok());
    }
}

fn register(metric: &'static str, coalescer: &str, outcome: Option<&'static str>) -> Histogram {
    match outcome {
        Some(outcome) => histogram!(metric, COALESCER => coalescer.to_owned(), OUTCOME => outcome),
        None => histogram!(metric, COALESCER => coalescer.to_owned()),
    }
}

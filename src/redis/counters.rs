//! What a node counts. All of it is relaxed: it orders nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::fail_open::FailOpen;

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

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) led: Counter,
    pub(super) followed: Counter,
    pub(super) takeovers: Counter,
    pub(super) fenced_out: Counter,
    /// By reason.
    pub(super) fail_opens: [Counter; FailOpen::ALL.len()],
    pub(super) refusals: Counter,
    pub(super) too_large: Counter,
    pub(super) encode_errors: Counter,
    pub(super) publish_failures: Counter,
    pub(super) round_trips: Counter,
    pub(super) renewals: Counter,
    pub(super) openings: Counter,
}

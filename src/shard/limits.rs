//! The caps and time limits of a shard.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    config::{OnAbandon, OnExpiry},
    sync::AtomicUsize,
};

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The most live callers a flight may have, its leader included (G7).
    pub(crate) max_waiters: usize,
    pub(crate) permits: Permits,
    pub(crate) max_flight_duration: Option<Duration>,
    /// How long a flight may take in all, if its work extends its deadline. `None`: it may not.
    pub(crate) max_extended_duration: Option<Duration>,
    pub(crate) on_expiry: OnExpiry,
    pub(crate) on_abandon: OnAbandon,
    /// How long a key's next flight waits for aborted work to be gone.
    pub(crate) abort_grace: Duration,
    /// Executions have a limit, so a flight's work may have to wait.
    pub(crate) admits: bool,
    /// A flight that comes to have so many callers is reported, once.
    pub(crate) crowd: usize,
    /// How many executions a flight may have beyond its first. The shard only tells the flight's record.
    pub(crate) takeovers: usize,
}

/// How many executions may still start in the whole coalescer (G7).
///
/// The one value that all shards share, which makes the cap exact. The start and the end of an execution change it; followers
/// don't touch it.
#[derive(Clone, Debug)]
pub(crate) struct Permits {
    left: Arc<AtomicUsize>,
    limit: usize,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(limit)), limit }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many executions there may still be.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    // Relaxed: the count orders nothing but itself.
    pub(super) fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    pub(super) fn give_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}

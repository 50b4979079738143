//! What a shard holds its callers and flights to.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    host::AtomicUsize,
    policy::{OnAbandon, OnExpiry},
};

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The most live callers a flight may have, its leader included (G7).
    pub(crate) max_waiters: usize,
    pub(crate) budget: Budget,
    pub(crate) max_flight_duration: Option<Duration>,
    pub(crate) on_expiry: OnExpiry,
    pub(crate) on_abandon: OnAbandon,
    /// A flight that comes to have so many callers is worth a word, once.
    pub(crate) crowd: usize,
}

/// How many flights there may still be in the whole coalescer (G7).
///
/// The one thing that shards share, and exact for that reason. It is touched when a flight starts and when it ends;
/// followers never come near it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(limit)), limit }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many flights there may still be.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    // Relaxed: the count orders nothing but itself.
    pub(super) fn take(&self) -> bool {
        self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    pub(super) fn give_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}

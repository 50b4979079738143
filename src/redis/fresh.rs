//! Whether a flight has callers that must not share work which began before their calls.

use std::{
    array,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Keys of one slot are taken for one. Few joins are fresh, so it is rare that they meet, and it costs an execution.
const SLOTS: usize = 64;

/// Of one coalescer: its joins under [`Freshness::StartedAfterCall`](crate::Freshness::StartedAfterCall), by their keys' hashes.
#[derive(Debug)]
pub(super) struct Fresh([Slot; SLOTS]);

impl Default for Fresh {
    fn default() -> Self {
        Self(array::from_fn(|_| Slot::default()))
    }
}

impl Fresh {
    pub(super) fn of(&self, hash: u64) -> &Slot {
        &self.0[usize::from(hash.to_le_bytes()[0]) % SLOTS]
    }
}

/// Such a join may follow a flight that waits for aborted work to be gone, and whose leader asked for nothing of the kind. So work
/// that begins looks whether any such join has been made since its own was: it then takes no lease of before for good enough.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Whose work is not dropped yet: they may have followed already.
    live: AtomicUsize,
    /// Whose work was dropped.
    gone: AtomicU64,
}

impl Slot {
    pub(super) fn gone(&self) -> u64 {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether there are or have been such joins since `gone` was read.
    pub(super) fn since(&self, gone: u64) -> bool {
        self.live.load(Ordering::SeqCst) > 0 || self.gone() != gone
    }

    pub(super) fn enter(&self) {
        self.live.fetch_add(1, Ordering::SeqCst);
    }

    /// First `gone`, so that between the two it counts twice rather than not at all.
    pub(super) fn leave(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
        self.live.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_that_were_made_since_are_known() {
        let fresh = Slot::default();
        let before = fresh.gone();
        assert!(!fresh.since(before));
        fresh.enter();
        assert!(fresh.since(before), "it may have followed");
        fresh.leave();
        assert!(fresh.since(before), "it has followed, and its own work is dropped");
        assert!(!fresh.since(fresh.gone()), "that was before");
    }

    #[test]
    fn keys_of_other_slots_are_left_alone() {
        let fresh = Fresh::default();
        fresh.of(u64::MAX).enter();
        assert!(fresh.of(SLOTS as u64 - 1).since(0), "it is of the same slot");
        assert!((0..SLOTS as u64 - 1).all(|hash| !fresh.of(hash).since(0)));
    }
}

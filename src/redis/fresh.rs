//! Whether a flight has callers that must not share work which began before their calls.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Of one coalescer: its joins under [`Freshness::StartedAfterCall`](crate::Freshness::StartedAfterCall).
///
/// Such a join may follow a flight that waits for aborted work to be gone, and whose leader asked for nothing of the kind. So work
/// that begins looks whether any such join has been made since its own was: it then takes no lease of before for good enough.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// Whose work is not dropped yet: they may have followed already.
    live: AtomicUsize,
    /// Whose work was dropped.
    gone: AtomicU64,
}

impl Fresh {
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
        let fresh = Fresh::default();
        let before = fresh.gone();
        assert!(!fresh.since(before));
        fresh.enter();
        assert!(fresh.since(before), "it may have followed");
        fresh.leave();
        assert!(fresh.since(before), "it has followed, and its own work is dropped");
        assert!(!fresh.since(fresh.gone()), "that was before");
    }
}

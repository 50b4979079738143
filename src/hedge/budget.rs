//! How many second calls there may be: a token bucket.

use std::sync::atomic::Ordering;

use super::Hedge;
use crate::sync::AtomicUsize;

/// One call, in the unit of the account.
pub(super) const CALL: usize = 1_000_000;

const FULL: usize = Hedge::RESERVE * CALL;

/// Shared by all hedged joins of a coalescer.
pub(crate) struct HedgeBudget(AtomicUsize);

impl HedgeBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(FULL))
    }

    // Relaxed: the account orders nothing but itself.

    /// For a first call.
    pub(super) fn earn(&self, share: usize) {
        let earned = |left: usize| (left < FULL).then(|| left.saturating_add(share).min(FULL));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
    }

    /// Whether there may be a second call.
    pub(super) fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(CALL)).is_ok()
    }
}

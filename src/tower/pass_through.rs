//! Pass-through counts: how many requests weren't coalesced, and why.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::reason::Reason;

/// Counts the requests that were answered by a call of their own, by [`Reason`]. Cheap to clone and to read.
///
/// Each request counts once, at each layer that it meets; where it meets one layer twice, the second time counts as
/// [`Reason::Nested`]. If a response is the reason, each caller of its flight counts, the leader included, as none of
/// them shares; for a `Vary` other than `*`, only the followers that sent other values. These callers did join: in the [`Stats`](crate::Stats) of the layer's
/// [`handle`](crate::tower::CoalesceLayer::handle) the leader is an execution and the followers are bypasses, not coalesced.
///
/// If the layer was given the handle of a coalescer that exports metrics, `shardflight_passes_total` has these counts, by the
/// label `reason`.
#[derive(Clone, Default)]
pub struct Passes(Arc<[AtomicU64; Reason::ALL.len()]>);

impl Passes {
    pub(super) fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The count for this reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }

    /// The sum over all reasons.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// All reasons with their counts, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason, self.of(reason)))
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, count)| *count > 0)).finish()
    }
}

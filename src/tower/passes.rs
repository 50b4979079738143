//! How many requests weren't coalesced.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::reason::Reason;

/// Counts the requests that were answered by a call of their own, by [`Reason`]; cheap to clone and to read.
///
/// A request counts once. Where the reason is in a response, every caller of its flight counts, its leader included, as
/// none of them shares. What is shared is in the [`Stats`](crate::Stats) of the layer's
/// [`handle`](crate::tower::CoalesceLayer::handle), whose joins the second group of reasons is among.
#[derive(Clone, Default)]
pub struct Passes(Arc<[AtomicU64; Reason::ALL.len()]>);

impl Passes {
    pub(super) fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were for this reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// Every reason with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason, self.of(reason)))
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, count)| *count > 0)).finish()
    }
}

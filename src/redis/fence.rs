//! What work is told of its lease.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The lease that work runs under, if any: what [`join_fenced`](crate::redis::ClusterHandle::join_fenced) gives to it.
///
/// A lease makes a second execution rare; it doesn't exclude one (R1). What must not happen twice has to be refused by whatever stores
/// it, and this is what it can tell by: among the leases of a key, a later one has a greater token. Store the token with what you write,
/// and let a write pass only if its token is greater than the one that is stored (R2).
#[derive(Clone)]
pub struct Fence {
    /// And whether a renewal has found it in other hands. Work without a lease allocates nothing.
    lease: Option<(u64, Arc<AtomicBool>)>,
}

impl Fence {
    pub(super) fn of(token: u64, is_lost: Arc<AtomicBool>) -> Self {
        Self { lease: Some((token, is_lost)) }
    }

    pub(super) const fn none() -> Self {
        Self { lease: None }
    }

    /// The lease's fencing token: microseconds of the Redis server's clock when it was granted, or one more than the greatest token
    /// that this process has seen, so at most 2^53. `None` if the work runs without a lease, which
    /// [`OnUnavailable::Fail`](crate::redis::OnUnavailable::Fail) excludes, except where the key is
    /// [not coalesced](crate::Handle::set_rollout).
    pub fn token(&self) -> Option<u64> {
        self.lease.as_ref().map(|(token, _)| *token)
    }

    /// Whether a renewal has found the lease in other hands. `false` says nothing: a process that was paused has not looked yet.
    pub fn is_lost(&self) -> bool {
        self.lease.as_ref().is_some_and(|(_, is_lost)| is_lost.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("token", &self.token()).field("is_lost", &self.is_lost()).finish()
    }
}

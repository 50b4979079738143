//! The state that all services of a layer share.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    answer::Answer, config::Config, key::Key, pass_through::Passes, reason::Reason, under_way::UnderWay,
    unshareable::Unshareable,
};
use crate::{
    coalescer::Coalescer,
    config::OnAbandon,
    error::{ClosedReason, JoinError},
    handle::Handle,
    task::current::Current,
};

/// How many layers this process has made.
static LAYERS: AtomicU64 = AtomicU64::new(0);

type Callers = Handle<Key, Answer>;

#[derive(Debug)]
pub(super) struct LayerState {
    pub(super) config: Config,
    pub(super) pass_through: Passes,
    pub(super) unshareable: Unshareable,
    pub(super) under_way: UnderWay,
    /// Unique among the layers of the process; a part of each key.
    pub(super) layer_id: u64,
    handle: Source,
}

/// Where the handle is from.
#[derive(Debug)]
enum Source {
    Given(Callers),
    /// The layer's own. `None` before the first request, and after its runtime has shut down.
    Own(RwLock<Option<Callers>>),
}

impl LayerState {
    pub(super) fn new(config: Config, handle: Option<Callers>) -> Self {
        Self {
            config,
            pass_through: Passes::default(),
            unshareable: Unshareable::new(),
            under_way: UnderWay::default(),
            layer_id: LAYERS.fetch_add(1, Ordering::Relaxed),
            handle: handle
                .map_or_else(|| Source::Own(RwLock::default()), |handle| Source::Given(handle.without_takeovers())),
        }
    }

    /// The handle, if it was given or already built.
    pub(super) fn existing_handle(&self) -> Option<Callers> {
        match &self.handle {
            Source::Given(handle) => Some(handle.clone()),
            Source::Own(own) => own.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Counts a request that gets a response of its own, and exports the count if the coalescer has metrics.
    pub(super) fn count_pass(&self, reason: Reason) {
        self.pass_through.count(reason);
        if let Some(handle) = self.existing_handle() {
            handle.count_pass(reason as usize);
        }
    }

    /// The same for one that has followed this flight before.
    pub(super) fn count_recall(&self, reason: Reason, flight: Option<Current>) {
        self.count_pass(reason);
        if let Some(handle) = self.existing_handle() {
            handle.count_recall(flight);
        }
    }

    /// The handle, built by the first call: routers are often assembled outside of a runtime. `None` outside of one.
    pub(super) fn handle(&self) -> Option<Callers> {
        self.existing_handle().or_else(|| self.build())
    }

    fn build(&self) -> Option<Callers> {
        let Source::Own(own) = &self.handle else { return None };
        let built = Coalescer::builder().on_abandon(OnAbandon::Abort).build().ok()?.handle();
        let mut own = own.write().unwrap_or_else(PoisonError::into_inner);
        // Of two concurrent first calls, the coalescer of one is dropped again.
        Some(own.get_or_insert(built).clone())
    }

    /// Whether a request whose join failed may join again: the layer's own coalescer was lost with its runtime, and the next call
    /// of [`handle`](Self::handle) builds another. A router in a `static` outlives runtimes.
    pub(super) fn renews(&self, lost: &Callers, error: &JoinError) -> bool {
        let Source::Own(own) = &self.handle else { return false };
        if !matches!(error, JoinError::Closed | JoinError::Aborted)
            || lost.closed_reason() != Some(ClosedReason::RuntimeEnded)
        {
            return false;
        }
        let mut own = own.write().unwrap_or_else(PoisonError::into_inner);
        let old = own.take_if(|own| Arc::ptr_eq(own.router(), lost.router()));
        // Dropped outside of the lock, as its keys and values may be.
        drop(own);
        drop(old);
        true
    }
}

//! What all services of a layer share.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{answer::Answer, key::Key, passes::Passes, rules::Rules};
use crate::{coalescer::Coalescer, handle::Handle};

static LAYERS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Common {
    pub(super) rules: Rules,
    pub(super) passes: Passes,
    /// Among all layers of the process.
    pub(super) layer: u64,
    handle: OnceLock<Handle<Key, Answer>>,
}

impl Common {
    pub(super) fn new(rules: Rules, handle: Option<Handle<Key, Answer>>) -> Self {
        let layer = LAYERS.fetch_add(1, Ordering::Relaxed);
        Self { rules, passes: Passes::default(), layer, handle: handle.map(OnceLock::from).unwrap_or_default() }
    }

    pub(super) fn handle_so_far(&self) -> Option<&Handle<Key, Answer>> {
        self.handle.get()
    }

    /// Built at the first call, as routers are put together outside of runtimes.
    pub(super) fn handle(&self) -> Option<&Handle<Key, Answer>> {
        if let Some(handle) = self.handle.get() {
            return Some(handle);
        }
        // If two are first, one's shards end again at once.
        let built = Coalescer::builder().build().ok()?.handle();
        Some(self.handle.get_or_init(|| built))
    }
}

//! The state that all services of a layer share.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{answer::Answer, config::Config, key::Key, pass_through::Passes};
use crate::{coalescer::Coalescer, handle::Handle};

/// How many layers this process has made.
static LAYERS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct LayerState {
    pub(super) config: Config,
    pub(super) pass_through: Passes,
    /// Unique among the layers of the process; a part of each key.
    pub(super) layer_id: u64,
    handle: OnceLock<Handle<Key, Answer>>,
}

impl LayerState {
    pub(super) fn new(config: Config, handle: Option<Handle<Key, Answer>>) -> Self {
        let layer_id = LAYERS.fetch_add(1, Ordering::Relaxed);
        let handle = handle.map(OnceLock::from).unwrap_or_default();
        Self { config, pass_through: Passes::default(), layer_id, handle }
    }

    /// The handle, if it was given or already built.
    pub(super) fn existing_handle(&self) -> Option<&Handle<Key, Answer>> {
        self.handle.get()
    }

    /// The handle, built by the first call: routers are often assembled outside of a runtime. `None` outside of one.
    pub(super) fn handle(&self) -> Option<&Handle<Key, Answer>> {
        if let Some(handle) = self.handle.get() {
            return Some(handle);
        }
        // Of two concurrent first calls, the coalescer of one is dropped again.
        let built = Coalescer::builder().build().ok()?.handle();
        Some(self.handle.get_or_init(|| built))
    }
}

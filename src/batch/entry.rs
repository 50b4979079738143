//! A key on its way into a batch.

use std::sync::Arc;

use tracing::Span;

use super::{collector::Queued, slot::Slot};
use crate::unwind::Contained;

pub(super) struct Entry<K, T, E> {
    pub(super) key: Contained<K>,
    /// Of the key, by the coalescer's hasher. `None` where its flight is none of the coalescer's.
    pub(super) hash: Option<u64>,
    pub(super) slot: Arc<Slot<T, E>>,
    /// Its flight's, where a subscriber wants that.
    pub(super) span: Option<Box<Contained<Span>>>,
}

impl<K, T, E> Queued for Entry<K, T, E> {
    fn is_gone(&self) -> bool {
        self.slot.has_ended()
    }
}

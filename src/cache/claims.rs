//! What is held of an entry while its key is loaded.

use std::sync::{Arc, atomic::Ordering};

use super::entry::Entry;

/// The right to refresh an entry in the background. Dropped with the task that has it, however that ends.
pub(super) struct RefreshClaim<V, E>(Arc<Entry<V, E>>);

impl<V, E> RefreshClaim<V, E> {
    pub(super) fn of(entry: &Arc<Entry<V, E>>) -> Option<Self> {
        // Almost all who ask while a refresh is under way are told by the load, which leaves the line shared.
        let is_refreshing = &entry.kept()?.is_refreshing;
        let is_free = !is_refreshing.load(Ordering::Acquire) && !is_refreshing.swap(true, Ordering::AcqRel);
        is_free.then(|| Self(Arc::clone(entry)))
    }

    pub(super) fn entry(&self) -> &Arc<Entry<V, E>> {
        &self.0
    }
}

impl<V, E> Drop for RefreshClaim<V, E> {
    fn drop(&mut self) {
        self.0.kept().into_iter().for_each(|kept| kept.is_refreshing.store(false, Ordering::Release));
    }
}

/// Marks an entry whose load has passed the soft timeout, for as long as that load goes on.
pub(super) struct SlowMark<V, E>(Arc<Entry<V, E>>);

impl<V, E> SlowMark<V, E> {
    pub(super) fn on(entry: Arc<Entry<V, E>>) -> Self {
        if let Some(kept) = entry.kept() {
            kept.slow_loads.fetch_add(1, Ordering::AcqRel);
        }
        Self(entry)
    }
}

impl<V, E> Drop for SlowMark<V, E> {
    fn drop(&mut self) {
        if let Some(kept) = self.0.kept() {
            kept.slow_loads.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

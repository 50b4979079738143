//! The writers' operations.
//!
//! All of them change the store first and detach flights afterwards. The other way round, a flight that starts between the
//! two would find the old entry in the store, and later readers would join it.

use std::{hash::Hash, sync::Arc};

use super::{
    entry::Entry,
    fill::{Fill, FillContent},
    handle::CacheHandle,
    state::{Made, Start},
    store::{Stamp, StoredKey},
};
use crate::{error::Closed, unwind::Contained};

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Removes the key, and detaches its load: once this has returned, no read returns anything that was loaded before it was
    /// called, whatever was in flight, refreshing, stale or evicted meanwhile (C1).
    ///
    /// For use after a write. Readers that wait for a load already get what that loads.
    ///
    /// # Cancellation
    ///
    /// Takes effect with the first poll, except under a smaller [`Scope`](crate::Scope) than the process: its domains are asked
    /// one after the other.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does; no reader of another key notices.
    pub fn invalidate(&self, key: impl Into<K>) -> impl Future<Output = ()> + Send {
        let key = Contained::new(key.into());
        async move {
            let store = &self.state().store;
            store.remove(&store.probe(key.get()));
            self.detach(key).await;
        }
    }

    /// [`invalidate`](Self::invalidate) for all that was kept under this tag. Loads under way are not detached: a load whose fill
    /// turns out to have the tag is not kept, and readers that joined it after this was called load again.
    ///
    /// A cache's first invalidation by tag allocates a table of 128 KiB, which is kept for as long as the cache is. It has 16,384
    /// slots, whatever the number of tags: two tags that happen to share a slot are invalidated together.
    ///
    /// # Cancellation
    ///
    /// Takes effect with the first poll.
    #[expect(
        clippy::unused_async,
        reason = "it is awaited as all invalidations are, and does nothing before its first poll"
    )]
    pub async fn invalidate_tag(&self, tag: &str) {
        self.state().tags.invalidate(tag);
    }

    /// [`invalidate`](Self::invalidate) for all keys.
    ///
    /// # Cancellation
    ///
    /// Takes effect with the first poll.
    pub async fn invalidate_all(&self) {
        self.state().store.clear();
        // Where the coalescer is closed there is no flight to join.
        let _: Result<usize, Closed> = self.flights().forget_all().await;
    }

    /// Ends the key's freshness, and keeps its value for loads that fail or are slow: for the longer of the windows of
    /// [`stale_if_error`](crate::cache::CacheBuilder::stale_if_error) and
    /// [`stale_while_revalidate`](crate::cache::CacheBuilder::stale_while_revalidate), which count from now, or from its expiry if it
    /// had expired already. The next read loads; a load that is under way is detached and not kept. So it isn't for writes that
    /// readers must see: see [`invalidate`](Self::invalidate).
    ///
    /// # Cancellation
    ///
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Panics
    ///
    /// As [`invalidate`](Self::invalidate).
    pub fn expire(&self, key: impl Into<K>) -> impl Future<Output = ()> + Send {
        let key = Contained::new(key.into());
        async move {
            let (state, stored) = (self.state(), self.stored(key.get()));
            state.store.note_write(&stored);
            // A copy under a new identity: a refresh of the old one is not kept.
            let is_expired = state.store.peek(&stored.probe()).is_some_and(|entry| {
                let copy = entry.expired(state.clock.now());
                copy.is_some_and(|copy| state.store.replace(&stored, &entry, Arc::new(copy)).is_ok())
            });
            if !is_expired {
                // There is a reservation, or an entry that was written this moment.
                state.store.remove(&stored.probe());
            }
            self.detach(key).await;
        }
    }

    /// Writes a value, or a [`Fill`], and detaches the key's load: no later read returns anything older.
    ///
    /// [`Fill::uncached`] removes the key, as does a fill that is too heavy, and [`Fill::not_modified`] does nothing.
    ///
    /// # Cancellation
    ///
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Panics
    ///
    /// If the key's `Hash`, `Eq` or `Clone` does, or the cache's weigher.
    pub fn insert(&self, key: impl Into<K>, fill: impl Into<Fill<V, E>>) -> impl Future<Output = ()> + Send {
        let (key, fill) = (Contained::new(key.into()), fill.into());
        async move {
            if matches!(fill.content, FillContent::NotModified) {
                return;
            }
            let state = self.state();
            let start = Start { generation: state.tags.generation(), stamp: Stamp::default(), at: None };
            let Made { entry, is_to_keep } = state.make(key.get(), fill, start, None::<&Entry<V, E>>);
            let stored = self.stored(key.get());
            if is_to_keep {
                state.store.insert(stored, entry);
            } else {
                state.store.remove(&stored.probe());
            }
            self.detach(key).await;
        }
    }

    fn stored(&self, key: &K) -> StoredKey<K> {
        StoredKey::new(self.state().store.hash(key), key.clone())
    }

    async fn detach(&self, key: Contained<K>) {
        // Where the key's shard is closed there is no flight to join.
        let _: Result<bool, Closed> = self.flights().forget(key.into_inner()).await;
    }
}

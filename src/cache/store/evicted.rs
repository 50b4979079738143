//! What an operation throws out of the store.

use std::sync::Arc;

use quick_cache::{Lifecycle, Weighter};

use super::key::StoredKey;
use crate::cache::entry::Entry;

/// Entries count as heavy as they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryWeight;

impl<K, V, E> Weighter<StoredKey<K>, Arc<Entry<V, E>>> for EntryWeight {
    fn weight(&self, _: &StoredKey<K>, entry: &Arc<Entry<V, E>>) -> u64 {
        entry.weight()
    }
}

/// Collects what is thrown out, so that it is dropped when the store is unlocked again.
#[derive(Clone, Copy, Debug)]
pub(super) struct CollectEvicted;

type Pair<K, V, E> = (StoredKey<K>, Arc<Entry<V, E>>);

/// Entries on their way out. Most operations throw out none, and many one.
pub(super) struct Evicted<K, V, E> {
    first: Option<Pair<K, V, E>>,
    others: Vec<Pair<K, V, E>>,
}

impl<K, V, E> Evicted<K, V, E> {
    /// How many there are but for the one that has this hash: it was replaced, or not let in.
    pub(super) fn count_without(&self, hash: u64) -> usize {
        self.hashes().filter(|evicted| *evicted != hash).count()
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        self.hashes().any(|evicted| evicted == hash)
    }

    fn hashes(&self) -> impl Iterator<Item = u64> {
        self.first.iter().chain(&self.others).map(|(key, _)| key.hash())
    }
}

impl<K, V, E> Default for Evicted<K, V, E> {
    fn default() -> Self {
        Self { first: None, others: Vec::new() }
    }
}

impl<K, V, E> Lifecycle<StoredKey<K>, Arc<Entry<V, E>>> for CollectEvicted {
    type RequestState = Evicted<K, V, E>;

    fn on_evict(&self, evicted: &mut Evicted<K, V, E>, key: StoredKey<K>, entry: Arc<Entry<V, E>>) {
        if evicted.first.is_none() {
            evicted.first = Some((key, entry));
        } else {
            evicted.others.push((key, entry));
        }
    }
}

//! What is left of a key's loads, for scenarios alone.

use std::hash::Hash;

use super::{
    handle::CacheHandle,
    store::{Place, StoredKey},
};

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Whether no load holds the key's place, and none its entry.
    pub(crate) fn is_at_rest(&self, key: K) -> bool {
        let store = &self.state().store;
        match store.place(&StoredKey::new(store.hash(&key), key)) {
            Place::Kept(entry) => entry.is_at_rest(),
            Place::Reserved(_) => true,
            Place::Taken => false,
        }
    }
}

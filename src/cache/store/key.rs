//! Keys as the store has them: with their hash.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash, Hasher},
};

use quick_cache::Equivalent;

use crate::unwind::Contained;

/// A key and its hash, which is computed once, by a caller and outside of any lock: the store hashes keys in the midst of an
/// eviction, where a panic in `Hash` would leave it half done. A panic in the key's `Drop` ends here, for the same reason.
pub(crate) struct StoredKey<K> {
    hash: u64,
    key: Contained<K>,
}

impl<K> StoredKey<K> {
    pub(crate) fn new(hash: u64, key: K) -> Self {
        Self { hash, key: Contained::new(key) }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn get(&self) -> &K {
        self.key.get()
    }

    pub(crate) fn probe(&self) -> Probe<'_, K> {
        Probe { hash: self.hash, key: self.get() }
    }
}

impl<K: Clone> Clone for StoredKey<K> {
    fn clone(&self) -> Self {
        Self::new(self.hash, self.get().clone())
    }
}

impl<K: Eq> PartialEq for StoredKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.get() == other.get()
    }
}

impl<K: Eq> Eq for StoredKey<K> {}

impl<K> Hash for StoredKey<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// What a key is looked up by.
pub(crate) struct Probe<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) key: &'a Q,
}

impl<Q: ?Sized> Probe<'_, Q> {
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl<Q: ?Sized> Hash for Probe<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Borrow<Q>, Q: Eq + ?Sized> Equivalent<StoredKey<K>> for Probe<'_, Q> {
    fn equivalent(&self, stored: &StoredKey<K>) -> bool {
        self.hash == stored.hash && self.key == stored.get().borrow()
    }
}

/// Hands the store the hash that a key brings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prehashed(u64);

impl BuildHasher for Prehashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys and probes write their hash alone");
    }
}

//! Where entries are kept. `quick_cache` is known in this folder alone, so that another store can take its place.
//!
//! What the rest of the cache rests on: a key has an entry, or a reservation, or neither. Whatever writes or removes the key
//! takes the reservation away, and a reservation that was taken away fills nothing.
//!
//! Under a lock of the store run the key's `Eq` and `Clone` and, rarely, the `Drop` of a key or value: a panic in them leaves the
//! store as it was; one that blocks holds up the keys of its store shard, of which there are several.

mod evicted;
mod fill;
mod key;
mod writes;

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::available_parallelism,
};

use quick_cache::OptionsBuilder;

use self::{
    evicted::{CollectEvicted, EntryWeight, Evicted},
    key::Prehashed,
    writes::Writes,
};
pub(super) use self::{
    fill::{Place, Target},
    key::{Probe, StoredKey},
    writes::Stamp,
};
use super::entry::Entry;
use crate::sync::quick_cache::Cache;

/// The part of a shard that entries in use may take; so no entry can be heavier. New entries are in the rest, on probation.
const HOT: f64 = 0.9;
/// The fewer shards, the heavier an entry may be.
const SHARDS_OF_WEIGHED: usize = 16;
/// A shard with fewer evicts what is used.
const ENTRIES_OF_A_SHARD: usize = 32;

/// How much a store keeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    Entries(usize),
    Weight(u64),
}

pub(super) struct Store<K, V, E> {
    entries: Cache<StoredKey<K>, Arc<Entry<V, E>>, EntryWeight, Prehashed, CollectEvicted>,
    hasher: RandomState,
    writes: Writes,
    /// There is room for one entry. What fills a reservation would be the first to go.
    is_single: bool,
    max_entry_weight: u64,
    evictions: AtomicU64,
}

impl<K, V, E> Store<K, V, E>
where
    K: Clone + Eq + Hash,
{
    pub(super) fn new(bound: Bound) -> Self {
        let (capacity, entries, most_shards) = match bound {
            Bound::Entries(entries) => (entries as u64, entries, 4 * available_parallelism().map_or(1, usize::from)),
            Bound::Weight(weight) => (weight, expected_entries(weight), SHARDS_OF_WEIGHED),
        };
        // A power of two, and no more than have entries enough each: so the store takes it as it is.
        let shards = 1 << most_shards.min(entries / ENTRIES_OF_A_SHARD).max(1).ilog2();
        // Rounded down, as the store rounds up what each shard may have.
        let capacity = capacity - capacity % shards as u64;
        let mut options = OptionsBuilder::new();
        options.shards(shards).hot_allocation(HOT).estimated_items_capacity(entries).weight_capacity(capacity);
        let options = options.build().expect("both capacities are given");
        let entries = Cache::with_options(options, EntryWeight, Prehashed::default(), CollectEvicted);
        // Rounded as the store rounds it.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a capacity")]
        let max_entry_weight = (entries.shard_capacity() as f64 * HOT) as u64;
        Self {
            entries,
            hasher: RandomState::new(),
            writes: Writes::new(),
            is_single: capacity == 1,
            max_entry_weight: max_entry_weight.max(1),
            evictions: AtomicU64::new(0),
        }
    }

    /// Runs the key's `Hash`.
    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    pub(super) fn probe<'q, Q: Hash + ?Sized>(&self, key: &'q Q) -> Probe<'q, Q> {
        Probe { hash: self.hash(key), key }
    }

    /// The key's entry, which counts as used.
    #[inline]
    pub(super) fn get<Q: Eq + ?Sized>(&self, probe: &Probe<'_, Q>) -> Option<Arc<Entry<V, E>>>
    where
        K: Borrow<Q>,
    {
        self.entries.get(probe)
    }

    /// The key's entry, which doesn't count as used.
    pub(super) fn peek<Q: Eq + ?Sized>(&self, probe: &Probe<'_, Q>) -> Option<Arc<Entry<V, E>>>
    where
        K: Borrow<Q>,
    {
        self.entries.peek(probe)
    }

    pub(super) fn holds(&self, key: &StoredKey<K>, entry: &Arc<Entry<V, E>>) -> bool {
        self.peek(&key.probe()).is_some_and(|kept| Arc::ptr_eq(&kept, entry))
    }

    /// Taken before a load begins.
    pub(super) fn stamp(&self, key: &StoredKey<K>) -> Stamp {
        self.writes.stamp(key.hash())
    }

    /// To be called before a write that changes the key by [`replace`](Self::replace).
    pub(super) fn note_write(&self, key: &StoredKey<K>) {
        self.writes.note(key.hash());
    }

    /// Writes the key, whatever was there. `false` if the entry is too heavy to be kept; then nothing is there.
    pub(super) fn insert(&self, key: StoredKey<K>, entry: Arc<Entry<V, E>>) -> bool {
        if self.is_too_heavy(&entry) {
            // Left to itself, the store would leave a reservation there, which a load of before could fill.
            self.remove(&key.probe());
            return false;
        }
        let hash = key.hash();
        self.writes.note(hash);
        let mut evicted = Evicted::default();
        self.entries.insert_with_lifecycle(key, entry, &mut evicted);
        self.count(&evicted, hash);
        true
    }

    /// Removes the key's entry or reservation.
    pub(super) fn remove<Q: Eq + ?Sized>(&self, probe: &Probe<'_, Q>)
    where
        K: Borrow<Q>,
    {
        self.writes.note(probe.hash());
        drop(self.entries.remove(probe));
    }

    /// Removes the key's entry if it is this one.
    pub(super) fn remove_if(&self, key: &StoredKey<K>, entry: &Arc<Entry<V, E>>) {
        drop(self.entries.remove_if(&key.probe(), |kept| Arc::ptr_eq(kept, entry)));
    }

    /// Removes all entries and reservations.
    pub(super) fn clear(&self) {
        self.writes.note_all();
        // One by one first: each is dropped when its shard is unlocked.
        self.entries.drain().for_each(drop);
        // Draining passes over reservations.
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.entries.weight()
    }

    pub(super) fn max_entry_weight(&self) -> u64 {
        self.max_entry_weight
    }

    fn is_too_heavy(&self, entry: &Arc<Entry<V, E>>) -> bool {
        entry.weight() > self.max_entry_weight
    }

    fn count(&self, evicted: &Evicted<K, V, E>, hash: u64) {
        let count = evicted.count_without(hash);
        if count > 0 {
            self.evictions.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

impl<K, V, E> Store<K, V, E> {
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }
}

/// How many entries a store that is bounded by weight reckons with: it plans its shards, and the keys of evicted entries that it
/// remembers, by that.
fn expected_entries(weight: u64) -> usize {
    usize::try_from(weight).unwrap_or(usize::MAX).min(10_000)
}

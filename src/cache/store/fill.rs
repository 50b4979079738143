//! How a load gets its value into the store.

use std::{cell::RefCell, hash::Hash, mem, sync::Arc, sync::atomic::Ordering, time::Duration};

use super::{
    Store, StoredKey,
    evicted::{CollectEvicted, EntryWeight, Evicted},
    key::Prehashed,
    writes::Stamp,
};
use crate::{
    cache::{entry::Entry, stats::RejectReason},
    sync::quick_cache::{EntryAction, EntryResult, PlaceholderGuard},
};

/// How often a load tries to get back what another one has taken from it.
const TRIES: usize = 16;

/// A key as a load finds it.
pub(in crate::cache) enum Place<'a, K, V, E> {
    Kept(Arc<Entry<V, E>>),
    Reserved(Reservation<'a, K, V, E>),
    /// Another load has the reservation.
    Taken,
}

/// Where a load puts its value.
pub(in crate::cache) enum Target<'a, K, V, E> {
    Reserved(Reservation<'a, K, V, E>),
    Replace(Arc<Entry<V, E>>),
    Nowhere,
}

/// Whether a loaded entry is in the store.
pub(in crate::cache) type Filled = Result<(), RejectReason>;

/// The right to fill a key, until something else writes or removes it. Given back when dropped.
pub(in crate::cache) struct Reservation<'a, K, V, E> {
    guard: PlaceholderGuard<'a, StoredKey<K>, Arc<Entry<V, E>>, EntryWeight, Prehashed, CollectEvicted>,
    store: &'a Store<K, V, E>,
    hash: u64,
}

impl<K, V, E> Store<K, V, E>
where
    K: Clone + Eq + Hash,
{
    /// The key's entry, or a reservation for it.
    pub(in crate::cache) fn place(&self, key: &StoredKey<K>) -> Place<'_, K, V, E> {
        // No waiting: a load that waited for another's reservation would wait for a load that it was told to pass over.
        match self.entries.entry(key, Some(Duration::ZERO), |_, entry| EntryAction::Retain(Arc::clone(entry))) {
            EntryResult::Retained(entry) => Place::Kept(entry),
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                Place::Reserved(Reservation { guard, store: self, hash: key.hash() })
            }
            EntryResult::Timeout | EntryResult::Removed(..) => Place::Taken,
        }
    }

    /// Puts `entry` in the place of `basis`, if that is still there: one step under the shard's lock.
    pub(in crate::cache) fn replace(
        &self,
        key: &StoredKey<K>,
        basis: &Arc<Entry<V, E>>,
        entry: Arc<Entry<V, E>>,
    ) -> Filled {
        if self.is_too_heavy(&entry) {
            self.remove_if(key, basis);
            return Err(RejectReason::TooHeavy);
        }
        let is_heavier = entry.weight() > basis.weight();
        let mut entry = Some(entry);
        let exchanged = self.entries.entry(key, Some(Duration::ZERO), |_, kept| {
            if !Arc::ptr_eq(kept, basis) {
                return EntryAction::Retain(None);
            }
            if is_heavier {
                return EntryAction::ReplaceWithGuard;
            }
            // The basis leaves with the answer: it is dropped when the shard is unlocked.
            EntryAction::Retain(entry.take().map(|entry| mem::replace(kept, entry)))
        });
        match (exchanged, entry) {
            // Others may have to make room, which the store has them do only for what fills a reservation.
            (EntryResult::Replaced(guard, _), Some(entry)) => {
                Reservation { guard, store: self, hash: key.hash() }.fill(entry)
            }
            (EntryResult::Retained(Some(_)), _) => Ok(()),
            _ => Err(RejectReason::Invalidated),
        }
    }

    /// Fills the key for a load that began with this stamp, if its target is still there.
    pub(in crate::cache) fn fill(
        &self,
        key: &StoredKey<K>,
        target: Target<'_, K, V, E>,
        by: Stamp,
        entry: &Arc<Entry<V, E>>,
    ) -> Filled {
        let is_latest = self.writes.note_fill(key.hash(), by);
        let filled = match target {
            Target::Reserved(reservation) => reservation.fill(Arc::clone(entry)),
            Target::Replace(basis) => self.replace(key, &basis, Arc::clone(entry)),
            Target::Nowhere => Err(RejectReason::Invalidated),
        };
        match filled {
            Err(RejectReason::Invalidated) => self.fill_all_the_same(key, by, is_latest, entry),
            filled => filled,
        }
    }

    /// Fills the key for a load that has lost its reservation, if it was to another load and not to a write. Loads that run beside
    /// each other, as those of keys that are not coalesced do, would otherwise keep taking it from each other. Of two, what the
    /// one that began later has loaded stays.
    fn fill_all_the_same(&self, key: &StoredKey<K>, by: Stamp, is_latest: bool, entry: &Arc<Entry<V, E>>) -> Filled {
        let has_changed = || self.writes.has_changed(key.hash(), by);
        if !is_latest && !has_changed() {
            return Ok(());
        }
        for _ in 0..TRIES {
            // Nearly always it was a write.
            if has_changed() {
                break;
            }
            let place = self.place(key);
            // Only now is it certain: a write that isn't noted yet takes away what was found.
            if has_changed() {
                break;
            }
            let filled = match place {
                Place::Kept(older) => self.replace(key, &older, Arc::clone(entry)),
                Place::Reserved(reservation) => reservation.fill(Arc::clone(entry)),
                Place::Taken => {
                    self.pass_over(key);
                    continue;
                }
            };
            if filled != Err(RejectReason::Invalidated) {
                return filled;
            }
        }
        Err(RejectReason::Invalidated)
    }

    /// Takes another load's reservation away.
    pub(in crate::cache) fn pass_over(&self, key: &StoredKey<K>) {
        drop(self.entries.remove(&key.probe()));
    }

    /// For the key of this hash, where there is room for one.
    fn make_room(&self, hash: u64) {
        if self.is_single {
            // Dropped when the store is unlocked.
            let others = RefCell::new(Vec::new());
            self.entries.retain(|key, entry| {
                // Not the key's own: it was written meanwhile, and is newer than what is to fill it.
                let is_own = key.hash() == hash;
                others.borrow_mut().extend((!is_own).then(|| Arc::clone(entry)));
                is_own
            });
            self.evictions.fetch_add(others.into_inner().len() as u64, Ordering::Relaxed);
        }
    }
}

impl<K, V, E> Reservation<'_, K, V, E>
where
    K: Clone + Eq + Hash,
{
    fn fill(self, entry: Arc<Entry<V, E>>) -> Filled {
        let Self { guard, store, hash } = self;
        if store.is_too_heavy(&entry) {
            return Err(RejectReason::TooHeavy);
        }
        store.make_room(hash);
        let mut evicted = Evicted::default();
        let is_filled = guard.insert_with_lifecycle(entry, &mut evicted).is_ok();
        store.count(&evicted, hash);
        if !is_filled {
            return Err(RejectReason::Invalidated);
        }
        // It may be the first to go, where those in use leave less room than it needs.
        if evicted.has(hash) { Err(RejectReason::NoRoom) } else { Ok(()) }
    }
}

impl<K, V, E> Target<'_, K, V, E> {
    pub(in crate::cache) fn basis(&self) -> Option<&Arc<Entry<V, E>>> {
        match self {
            Self::Replace(basis) => Some(basis),
            Self::Reserved(_) | Self::Nowhere => None,
        }
    }
}

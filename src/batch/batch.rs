//! What a loader is given: the keys of one batch, and the way to answer them.

use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use crossbeam_utils::atomic::AtomicCell;
use hashbrown::HashTable;

use super::{
    entry::Entry,
    port::Channel,
    slot::{Answer, Slot},
    trace,
};
use crate::{
    error::{CaughtPanic, JoinError},
    unwind::{Contained, catch, drop_contained},
};

/// The keys of one call of a loader, each of them once, in the order in which they were asked for.
///
/// A clone is the same batch. Once the loader has ended, [`fulfil`](Self::fulfil) answers no caller.
pub struct Batch<K, T, E> {
    shared: Arc<Shared<K, T, E>>,
}

type Share<T, E> = AtomicCell<Option<Arc<Slot<T, E>>>>;

pub(super) struct Shared<K, T, E> {
    keys: Vec<K>,
    /// Of each key. Empty once it has its answer.
    slots: Vec<Share<T, E>>,
    /// Further flights of a key, with its number: where keys aren't coalesced, or were forgotten.
    twins: Vec<(usize, Share<T, E>)>,
    table: HashTable<(u64, usize)>,
    /// The key after the one that was fulfilled last: most loaders go through them in order.
    next: AtomicUsize,
    /// A key's `Hash` or `Eq` panicked in `fulfil`, so it isn't known which key was meant.
    lost: OnceLock<CaughtPanic>,
    channel: Arc<Channel<K, T, E>>,
}

impl<K, T, E> Shared<K, T, E>
where
    K: Hash + Eq,
{
    /// Runs `Hash` and `Eq` of the keys. One that panics is answered so.
    pub(super) fn new(entries: Vec<Entry<K, T, E>>, channel: Arc<Channel<K, T, E>>) -> Self {
        let number = entries.len();
        let mut this = Self {
            keys: Vec::with_capacity(number),
            slots: Vec::with_capacity(number),
            twins: Vec::new(),
            table: HashTable::with_capacity(if number > 1 { number } else { 0 }),
            next: AtomicUsize::new(0),
            lost: OnceLock::new(),
            channel,
        };
        let is_alone = number == 1;
        for Entry { key, hash, slot, .. } in entries {
            match if is_alone { Ok(Place::New(0)) } else { this.place(key.get(), hash) } {
                Ok(Place::New(hash)) => {
                    let index = this.keys.len();
                    if !is_alone {
                        // There is room for all: nothing is hashed again.
                        this.table.insert_unique(hash, (hash, index), |(hash, _)| *hash);
                    }
                    this.keys.push(key.into_inner());
                    this.slots.push(AtomicCell::new(Some(slot)));
                }
                Ok(Place::Known(index)) => this.twins.push((index, AtomicCell::new(Some(slot)))),
                Err(panic) => {
                    Slot::answer(slot, Answer::Join(JoinError::Panicked(panic)));
                }
            }
        }
        this
    }

    fn place(&self, key: &K, hash: Option<u64>) -> Result<Place, CaughtPanic> {
        catch(|| {
            let hash = hash.unwrap_or_else(|| self.channel.hasher.hash_one(key));
            let known = self.table.find(hash, |(other, index)| *other == hash && self.keys[*index] == *key);
            known.map_or(Place::New(hash), |(_, index)| Place::Known(*index))
        })
    }

    fn find(&self, key: &K) -> Option<usize> {
        let next = self.next.load(Ordering::Relaxed);
        let index = match self.keys.get(next) {
            Some(expected) if expected == key => next,
            _ if self.table.is_empty() => return None,
            _ => {
                let hash = self.channel.hasher.hash_one(key);
                let found = self.table.find(hash, |(other, index)| *other == hash && self.keys[*index] == *key);
                found?.1
            }
        };
        // Relaxed: a guess.
        self.next.store(index + 1, Ordering::Relaxed);
        Some(index)
    }
}

enum Place {
    New(u64),
    Known(usize),
}

impl<K, T, E> Shared<K, T, E> {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn twins_of(&self, index: usize) -> impl Iterator<Item = &Share<T, E>> {
        self.twins.iter().filter(move |(twin, _)| *twin == index).map(|(_, share)| share)
    }

    /// Answers all keys that have no answer yet, and says how many those were.
    pub(super) fn answer_rest(&self, mut answer: impl FnMut() -> Answer<T, E>) -> u64 {
        let mut answered = 0;
        for share in self.slots.iter().chain(self.twins.iter().map(|(_, share)| share)) {
            if let Some(slot) = share.take() {
                answered += u64::from(Slot::answer(slot, answer()));
            }
        }
        answered
    }

    /// What becomes of the keys that a loader has not answered, though it succeeded.
    pub(super) fn answer_missing(&self) -> u64 {
        match self.lost.get() {
            None => self.answer_rest(|| Answer::Value(None)),
            Some(panic) => {
                self.answer_rest(|| Answer::Join(JoinError::Panicked(panic.clone())));
                0
            }
        }
    }
}

impl<K, T, E> Drop for Shared<K, T, E> {
    fn drop(&mut self) {
        self.keys.drain(..).for_each(drop_contained);
        for share in self.slots.iter().chain(self.twins.iter().map(|(_, share)| share)) {
            drop_contained(share.take());
        }
    }
}

impl<K, T, E> Batch<K, T, E> {
    pub(super) fn new(shared: &Arc<Shared<K, T, E>>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// The keys, each once, in the order in which they were asked for.
    pub fn keys(&self) -> &[K] {
        &self.shared.keys
    }

    /// How many keys there are: at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.shared.keys.len()
    }
}

impl<K, T, E> Batch<K, T, E>
where
    K: Hash + Eq,
    T: Clone,
    E: Clone,
{
    /// Answers a key: its callers go on at once, while the loader does the rest. `true` if they waited for it.
    ///
    /// Rows may come in any order. A key that this batch wasn't asked for is ignored, and so is a second answer; both are counted in
    /// [`BatchStats::unasked`](crate::batch::BatchStats::unasked). A key that gets no answer until the loader returns is missing: its
    /// callers get `Ok(None)`, or the loader's error.
    ///
    /// Costs a comparison with the key that is next in order, or else a look-up by hash; and the wake-up of one task.
    ///
    /// # Panics
    ///
    /// Never. If the key's `Hash` or `Eq` does, the answer is dropped, and keys that have none at the end get
    /// [`JoinError::Panicked`].
    pub fn fulfil(&self, key: impl Borrow<K>, answer: Result<T, E>) -> bool {
        let shared = &self.shared;
        let answer = Contained::new(answer);
        let found = catch(|| shared.find(key.borrow()));
        drop_contained(key);
        let index = match found {
            Ok(Some(index)) => index,
            Ok(None) => return self.ignore(),
            Err(panic) => {
                let _ = shared.lost.set(panic);
                return false;
            }
        };
        // First: the answer is still here to be cloned.
        let mut was_waited_for = false;
        for share in shared.twins_of(index) {
            if let Some(slot) = share.take() {
                let copy = catch(|| answer.get().clone());
                let copy = copy.map_or_else(|panic| Answer::Join(JoinError::Panicked(panic)), |copy| self.count(copy));
                was_waited_for |= Slot::answer(slot, copy);
            }
        }
        match shared.slots[index].take() {
            Some(slot) => was_waited_for | Slot::answer(slot, self.count(answer.into_inner())),
            None => self.ignore(),
        }
    }

    fn count(&self, answer: Result<T, E>) -> Answer<T, E> {
        match answer {
            Ok(value) => Answer::Value(Some(value)),
            Err(error) => {
                self.shared.channel.counters.key_errors.up();
                Answer::Error(error)
            }
        }
    }

    fn ignore(&self) -> bool {
        self.shared.channel.counters.unasked.up();
        trace::unasked();
        false
    }
}

impl<K, T, E> Clone for Batch<K, T, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, T, E> fmt::Debug for Batch<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("keys", &self.len()).finish_non_exhaustive()
    }
}

//! Which requests have had responses of late that were not shareable.
//!
//! To wait for a response that then turns out to be the leader's alone is time lost, so such requests pass through for a while,
//! and are tried again after that. Caches call this hit-for-miss.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::key::Key;
use crate::sync::now;

/// How many keys are remembered; one that comes later may take another's place.
const PLACES: usize = 1024;

/// How many responses in a row have to be unshareable.
const IN_A_ROW: u8 = 2;

/// For how long such a key's requests pass through.
pub(super) const WHILE: Duration = Duration::from_secs(10);

/// One atomic word for each place: without a lock, and of constant size.
#[derive(Debug)]
pub(super) struct Unshareable {
    places: Box<[AtomicU64]>,
    /// Whether there is anything in them: most layers never need to look.
    is_used: AtomicBool,
    begun: Instant,
    hasher: RandomState,
}

/// What a place holds. All zeros is none.
#[derive(Clone, Copy)]
struct Place {
    /// Of the key's hash. Two keys in one place that have the same are taken for one: one of them passes through without need.
    tag: u32,
    in_a_row: u8,
    /// When the last of them came, in steps of 16 ms since the layer was made, modulo 2^24: it comes round in three days.
    since: u32,
}

const STEP_MS: u128 = 16;
const STEPS: u32 = 1 << 24;

impl Place {
    fn from_word(word: u64) -> Self {
        let bits = |shift: u32, bits: u32| u32::try_from(word >> shift & ((1 << bits) - 1)).expect("32 bits at most");
        Self { tag: bits(32, 32), in_a_row: bits(24, 8).to_le_bytes()[0], since: bits(0, 24) }
    }

    fn word(self) -> u64 {
        u64::from(self.tag) << 32 | u64::from(self.in_a_row) << 24 | u64::from(self.since % STEPS)
    }
}

impl Unshareable {
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            is_used: AtomicBool::new(false),
            begun: now(),
            hasher: RandomState::new(),
        }
    }

    /// Whether requests with this key are to pass through for now.
    pub(super) fn contains(&self, key: &Key) -> bool {
        // Relaxed, here as below: a request beside the change may go either way.
        self.is_used.load(Ordering::Relaxed) && self.contains_hash(self.hasher.hash_one(key))
    }

    /// A flight of the key has ended.
    pub(super) fn note(&self, key: &Key, is_shareable: bool) {
        if !is_shareable || self.is_used.load(Ordering::Relaxed) {
            self.note_hash(self.hasher.hash_one(key), is_shareable);
        }
    }

    fn contains_hash(&self, hash: u64) -> bool {
        let (place, tag) = self.place(hash);
        let found = Place::from_word(place.load(Ordering::Relaxed));
        let age = self.steps().wrapping_sub(found.since) % STEPS;
        found.tag == tag && found.in_a_row >= IN_A_ROW && u128::from(age) * STEP_MS < WHILE.as_millis()
    }

    fn note_hash(&self, hash: u64, is_shareable: bool) {
        let (place, tag) = self.place(hash);
        let found = Place::from_word(place.load(Ordering::Relaxed));
        let word = match (found.tag == tag, is_shareable) {
            (true, true) => 0,
            (false, true) => return,
            (is_known, false) => {
                let before = if is_known { found.in_a_row } else { 0 };
                Place { tag, in_a_row: before.saturating_add(1), since: self.steps() }.word()
            }
        };
        // Not one step with the load: of two that are noted at once, one is forgotten.
        place.store(word, Ordering::Relaxed);
        self.is_used.store(true, Ordering::Relaxed);
    }

    fn place(&self, hash: u64) -> (&AtomicU64, u32) {
        let index = usize::try_from(hash % PLACES as u64).expect("less than PLACES");
        // Never zero, which is no key's.
        (&self.places[index], u32::try_from(hash >> 32).expect("32 bits") | 1)
    }

    fn steps(&self) -> u32 {
        let steps = now().saturating_duration_since(self.begun).as_millis() / STEP_MS;
        u32::try_from(steps % u128::from(STEPS)).expect("less than STEPS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_contained_after_two_in_a_row_and_for_a_while() {
        let unshareable = Unshareable::new();
        let (hash, other) = (7 << 32 | 7, 8 << 32 | 7);
        assert!(!unshareable.contains_hash(hash));
        unshareable.note_hash(hash, false);
        assert!(!unshareable.contains_hash(hash), "once may be by chance");
        unshareable.note_hash(hash, false);
        assert!(unshareable.contains_hash(hash));
        assert!(!unshareable.contains_hash(other), "another key of the same place");
        tokio::time::advance(WHILE).await;
        assert!(!unshareable.contains_hash(hash), "to be tried again");
        unshareable.note_hash(hash, false);
        assert!(unshareable.contains_hash(hash), "once more is enough");
        unshareable.note_hash(hash, true);
        unshareable.note_hash(hash, false);
        assert!(!unshareable.contains_hash(hash), "one in between was shareable");
    }

    #[tokio::test(start_paused = true)]
    async fn time_comes_round() {
        let unshareable = Unshareable::new();
        let nearly_round = Duration::from_millis(u64::from(STEPS) * 16 - 1_000);
        tokio::time::advance(nearly_round).await;
        unshareable.note_hash(7, false);
        unshareable.note_hash(7, false);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(unshareable.contains_hash(7));
        tokio::time::advance(WHILE).await;
        assert!(!unshareable.contains_hash(7));
    }
}

//! In which order loads began, and whether their keys were written since.

use std::sync::atomic::Ordering;

use crate::sync::AtomicU64;

/// Two keys of one part are taken for one, which costs a fill now and then.
const PARTS: usize = 256;

/// Counts the operations that take what was loaded before them out of the cache, which are noted before they change the store.
///
/// A load that has lost its reservation to another load may fill its key all the same if none of these came since it began, and no
/// load that began later has filled it: see [`Store::fill_all_the_same`](super::Store::fill_all_the_same).
#[derive(Debug)]
pub(super) struct Writes {
    to_all: AtomicU64,
    loads: AtomicU64,
    parts: Box<[Part]>,
}

#[derive(Debug)]
struct Part {
    writes: AtomicU64,
    /// The latest of the loads that have filled it, by their order.
    filled_by: AtomicU64,
}

/// Of a load, from before it begins.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cache) struct Stamp {
    writes: u64,
    order: u64,
}

impl Writes {
    pub(super) fn new() -> Self {
        let part = |_| Part { writes: AtomicU64::new(0), filled_by: AtomicU64::new(0) };
        Self { to_all: AtomicU64::new(0), loads: AtomicU64::new(0), parts: (0..PARTS).map(part).collect() }
    }

    pub(super) fn note(&self, hash: u64) {
        self.part(hash).writes.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn note_all(&self) {
        self.to_all.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn stamp(&self, hash: u64) -> Stamp {
        let order = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        Stamp { writes: self.count(hash), order }
    }

    /// Whether the key may have been written since.
    pub(super) fn has_changed(&self, hash: u64, since: Stamp) -> bool {
        self.count(hash) != since.writes
    }

    /// Before it fills its key. `false` if a load that began later has filled it.
    pub(super) fn note_fill(&self, hash: u64, by: Stamp) -> bool {
        self.part(hash).filled_by.fetch_max(by.order, Ordering::SeqCst) <= by.order
    }

    fn count(&self, hash: u64) -> u64 {
        // Neither ever goes down, so the sum is the same only if both are.
        self.to_all.load(Ordering::SeqCst).wrapping_add(self.part(hash).writes.load(Ordering::SeqCst))
    }

    fn part(&self, hash: u64) -> &Part {
        #[expect(clippy::cast_possible_truncation, reason = "the hash is cut to the number of parts")]
        let part = hash as usize % PARTS;
        &self.parts[part]
    }
}

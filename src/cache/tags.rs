//! Which tags were invalidated, and when, in a table of fixed size.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::atomic::Ordering,
};

use crate::sync::{AtomicU64, OnceLock, bound};

/// 128 KiB of floors, allocated with the first tag that is invalidated. Two tags that share a slot are invalidated together,
/// which costs a load and never serves anything old.
const SLOTS: usize = bound(1 << 14, 1 << 10);

/// An entry's tags, as slots of the table, and the generation in which its load began.
#[derive(Clone, Debug)]
pub(super) struct Tags {
    generation: u64,
    slots: Box<[u16]>,
}

/// Generations are counted by invalidations, not by a clock: a load that began before an invalidation has a smaller
/// generation than that, however short the time between them is.
#[derive(Debug, Default)]
pub(super) struct TagFloors {
    generation: AtomicU64,
    /// Under keys of its own, so that no user of the cache can make tags that share a slot.
    hasher: RandomState,
    floors: OnceLock<Box<[AtomicU64]>>,
}

impl TagFloors {
    /// Read before a load begins: what is read after this is newer than all invalidations up to it.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn of(&self, generation: u64, tags: &[Cow<'static, str>]) -> Option<Tags> {
        let slots: Box<[u16]> = tags.iter().map(|tag| self.slot(tag)).collect();
        (!slots.is_empty()).then_some(Tags { generation, slots })
    }

    pub(super) fn invalidate(&self, tag: &str) {
        let floors = self.floors.get_or_init(|| (0..SLOTS).map(|_| AtomicU64::new(0)).collect());
        let floor = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        floors[usize::from(self.slot(tag))].fetch_max(floor, Ordering::SeqCst);
    }

    /// Whether one of the tags was invalidated after the load began.
    #[inline]
    pub(super) fn are_invalid(&self, tags: Option<&Tags>) -> bool {
        let (Some(tags), Some(floors)) = (tags, self.floors.get()) else { return false };
        tags.slots.iter().any(|&slot| floors[usize::from(slot)].load(Ordering::SeqCst) > tags.generation)
    }

    fn slot(&self, tag: &str) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "the hash is cut to the size of the table")]
        let slot = self.hasher.hash_one(tag) as u16 & (SLOTS - 1) as u16;
        slot
    }
}

impl Tags {
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The same tags of a value that was confirmed by a load of this generation.
    pub(super) fn renewed(&self, generation: u64) -> Self {
        Self { generation, slots: self.slots.clone() }
    }
}

//! What the handles of a cache and its loads share.

use std::{array, hash::Hash, sync::Arc};

use super::{
    clock::{Clock, Nanos, nanos},
    config::{Config, RefreshAhead},
    counters::{Counters, Got},
    entry::{Content, Entry, Standing},
    fill::{Fill, FillContent},
    lifetime::Lifetimes,
    served::StaleReason,
    stats::CacheStats,
    store::{Bound, Stamp, Store, StoredKey},
    tags::TagFloors,
    trace,
};
use crate::{
    counter::Counter,
    {sync::Runtime, unwind::Contained},
};

pub(super) struct CacheState<K, V, E> {
    pub(super) store: Store<K, V, E>,
    pub(super) config: Config<K, V, E>,
    pub(super) tags: TagFloors,
    pub(super) clock: Clock,
    pub(super) counters: Counters,
    /// Where background refreshes run: the coalescer's runtime.
    pub(super) runtime: Runtime,
    lifetimes: Lifetimes,
}

/// When a load or an insert began.
#[derive(Clone, Copy)]
pub(super) struct Start {
    /// Of tag invalidations.
    pub(super) generation: u64,
    /// Of the store, for the load's key.
    pub(super) stamp: Stamp,
    /// Only where load times matter.
    pub(super) at: Option<Nanos>,
}

/// An entry made of a fill, and whether the cache is to keep it.
pub(super) struct Made<V, E> {
    pub(super) entry: Arc<Entry<V, E>>,
    pub(super) is_to_keep: bool,
}

impl<K, V, E> CacheState<K, V, E>
where
    K: Clone + Eq + Hash,
{
    pub(super) fn new(config: Config<K, V, E>, bound: Bound, runtime: Runtime) -> Self {
        Self {
            store: Store::new(bound),
            tags: TagFloors::default(),
            clock: Clock::start(),
            counters: Counters::default(),
            lifetimes: Lifetimes::new(config.jitter, config.refresh_ahead),
            config,
            runtime,
        }
    }

    #[inline]
    pub(super) fn is_invalid(&self, entry: &Entry<V, E>) -> bool {
        self.tags.are_invalid(entry.tags())
    }

    /// Whether the value is a fallback for a load that fails or is slow, now.
    pub(super) fn is_servable(&self, key: &StoredKey<K>, entry: &Arc<Entry<V, E>>, now: Nanos) -> bool {
        // A value that was removed meanwhile is not served again, even to a read that began before.
        entry.value().is_some()
            && entry.standing(now, &self.config.windows) != Standing::Over
            && !self.is_invalid(entry)
            && self.store.holds(key, entry)
    }

    /// What a load has to know about its start. Taken before the loader is called.
    pub(super) fn start(&self, key: &StoredKey<K>) -> Start {
        let stamp = self.store.stamp(key);
        let generation = self.tags.generation();
        let is_timed = matches!(self.config.refresh_ahead, RefreshAhead::XFetch(_)) || self.config.observer.is_some();
        Start { generation, stamp, at: is_timed.then(|| self.clock.now()) }
    }

    /// What a fill comes to, whose load began at `start` and replaces `basis`.
    pub(super) fn make(&self, key: &K, fill: Fill<V, E>, start: Start, basis: Option<&Entry<V, E>>) -> Made<V, E> {
        let Fill { content, ttl, mut weight, tags } = fill;
        let generation = start.generation;
        let mut tags = self.tags.of(generation, &tags);
        let config = &self.config;
        let (content, ttl) = match content {
            FillContent::Value(value) => (Content::value(Arc::new(value)), ttl.or(Some(config.ttl))),
            FillContent::Uncached(value) => (Content::value(Arc::new(value)), None),
            FillContent::Negative(error) => (Content::Negative(Arc::new(error)), ttl.or(config.negative_ttl)),
            FillContent::NotModified => {
                let value = basis.and_then(Entry::value).expect("`Fill::not_modified` without a previous value");
                let renewed = basis.and_then(Entry::tags).map(|tags| tags.renewed(generation));
                tags = tags.or(renewed);
                weight = weight.or(basis.map(Entry::weight));
                (Content::value(Arc::clone(value)), ttl.or(Some(config.ttl)))
            }
        };
        // If the weigher panics, the value is dropped on the way.
        let content = Contained::new(content);
        let weight = match content.get() {
            _ if ttl.is_none() => 1,
            Content::Value(kept) => config.weight(key, Some(kept.value()), weight),
            Content::Negative(_) => config.weight(key, None, weight),
        };
        let content = content.into_inner();
        let is_negative = matches!(content, Content::Negative(_));
        // Read after the weigher, which may take its time.
        let now = self.clock.now();
        let load_time = start.at.map(|at| now.saturating_sub(at));
        let mut times = self.lifetimes.times(now, ttl.map_or(0, nanos), load_time);
        if is_negative {
            times.refresh_at = times.fresh_until;
        }
        Made { entry: Arc::new(Entry::new(content, times, weight, tags)), is_to_keep: ttl.is_some() }
    }

    /// Once for each failed load of an entry's key: told by the load, or by the first reader that learns of it.
    pub(super) fn note_failure(&self, entry: &Entry<V, E>, now: Nanos) {
        if let Some((failures, backoff)) = entry.note_failure(now, &self.config.windows) {
            trace::backs_off(self.config.name(), failures, backoff);
        }
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats { entries: self.store.len(), weight: self.store.weight(), ..self.counted() }
    }
}

impl<K, V, E> CacheState<K, V, E> {
    /// All but what the cache holds.
    fn counted(&self) -> CacheStats {
        let Self { counters, store, .. } = self;
        let reads = |got| counters.reads.get(got);
        let stale = array::from_fn(|reason| reads(Got::Stale(StaleReason::ALL[reason])));
        let stale_reads = stale.iter().sum::<u64>();
        let rejected = counters.rejected_fills.each_ref().map(Counter::get);
        CacheStats {
            hits: reads(Got::Fresh),
            // Too small for a moment where reads got fallbacks since the sum, but never too great.
            stale_hits: stale_reads.saturating_sub(counters.fallbacks.get()),
            negative_hits: reads(Got::Negative),
            misses: counters.misses.get(),
            loads: counters.loads.get(),
            refreshes: counters.refreshes.get(),
            load_errors: counters.load_errors.get(),
            fail_safe: stale_reads - stale[StaleReason::Revalidating as usize],
            rejected_fills: rejected.iter().sum(),
            evictions: store.evictions(),
            stale,
            rejected,
            ..CacheStats::default()
        }
    }
}

impl<K, V, E> Drop for CacheState<K, V, E> {
    fn drop(&mut self) {
        if let Some(observer) = &self.config.observer {
            observer.closed(&self.counted());
        }
    }
}

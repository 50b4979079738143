//! The cache's store, in steps.
//!
//! Each operation is one step under a lock of the store, so a scenario never waits for a lock. The steps within are the
//! library's own to explore, which it does. It brings a feature for that, but of another version of Shuttle, whose scheduler
//! knows nothing of this one.

use std::{
    borrow::ToOwned,
    hash::{BuildHasher, Hash},
    time::Duration,
};

pub(crate) use ::quick_cache::sync::EntryAction;
use ::quick_cache::{Equivalent, Lifecycle, Options, Weighter, sync};

use super::point;

pub(crate) struct Cache<K, V, We, B, L>(sync::Cache<K, V, We, B, L>);

/// `None` once it has been filled: to be dropped unfilled is a step of its own.
pub(crate) struct PlaceholderGuard<'a, K, V, We, B, L>(Option<sync::PlaceholderGuard<'a, K, V, We, B, L>>);

pub(crate) enum EntryResult<'a, K, V, We, B, L, T> {
    Retained(T),
    Removed(K, V),
    Replaced(PlaceholderGuard<'a, K, V, We, B, L>, V),
    Vacant(PlaceholderGuard<'a, K, V, We, B, L>),
    Timeout,
}

impl<K, V, We, B, L> Cache<K, V, We, B, L>
where
    K: Eq + Hash,
    V: Clone,
    We: Weighter<K, V> + Clone,
    B: BuildHasher + Clone,
    L: Lifecycle<K, V> + Clone,
{
    pub(crate) fn with_options(options: Options, weighter: We, hash_builder: B, lifecycle: L) -> Self {
        Self(sync::Cache::with_options(options, weighter, hash_builder, lifecycle))
    }

    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        point();
        self.0.get(key)
    }

    pub(crate) fn peek<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        point();
        self.0.peek(key)
    }

    pub(crate) fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<(K, V)> {
        point();
        self.0.remove(key)
    }

    pub(crate) fn remove_if<Q: Hash + Equivalent<K> + ?Sized>(
        &self,
        key: &Q,
        is_meant: impl FnOnce(&V) -> bool,
    ) -> Option<(K, V)> {
        point();
        self.0.remove_if(key, is_meant)
    }

    pub(crate) fn insert_with_lifecycle(&self, key: K, value: V, evicted: &mut L::RequestState) {
        point();
        self.0.insert_with_lifecycle(key, value, evicted);
    }

    pub(crate) fn entry<Q, T>(
        &self,
        key: &Q,
        timeout: Option<Duration>,
        on_occupied: impl FnOnce(&K, &mut V) -> EntryAction<T>,
    ) -> EntryResult<'_, K, V, We, B, L, T>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        point();
        match self.0.entry(key, timeout, on_occupied) {
            sync::EntryResult::Retained(answer) => EntryResult::Retained(answer),
            sync::EntryResult::Replaced(guard, value) => EntryResult::Replaced(PlaceholderGuard(Some(guard)), value),
            sync::EntryResult::Vacant(guard) => EntryResult::Vacant(PlaceholderGuard(Some(guard))),
            sync::EntryResult::Removed(key, value) => EntryResult::Removed(key, value),
            sync::EntryResult::Timeout => EntryResult::Timeout,
        }
    }

    pub(crate) fn retain(&self, is_kept: impl Fn(&K, &V) -> bool) {
        point();
        self.0.retain(is_kept);
    }

    pub(crate) fn drain(&self) -> impl Iterator<Item = (K, V)> + '_ {
        let mut drain = self.0.drain();
        std::iter::from_fn(move || {
            point();
            drain.next()
        })
    }

    pub(crate) fn clear(&self) {
        point();
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        point();
        self.0.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        point();
        self.0.weight()
    }

    pub(crate) fn shard_capacity(&self) -> u64 {
        self.0.shard_capacity()
    }
}

impl<K, V, We, B, L> PlaceholderGuard<'_, K, V, We, B, L>
where
    K: Eq + Hash,
    V: Clone,
    We: Weighter<K, V>,
    B: BuildHasher,
    L: Lifecycle<K, V>,
{
    pub(crate) fn insert_with_lifecycle(mut self, value: V, evicted: &mut L::RequestState) -> Result<(), V> {
        point();
        self.0.take().expect("a guard is filled once").insert_with_lifecycle(value, evicted)
    }
}

impl<K, V, We, B, L> Drop for PlaceholderGuard<'_, K, V, We, B, L> {
    fn drop(&mut self) {
        if self.0.is_some() {
            point();
        }
    }
}

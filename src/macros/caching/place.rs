//! The cache that a function's calls read.

use std::{fmt, hash::Hash, marker::PhantomData, sync::Arc};

use super::super::{Boxed, failure::Fallible, needs::Value, slot::Slot};
use crate::cache::{CacheBuilder, CacheHandle};

/// Sets the options of a function's cache.
pub type Configure<K, V, E> = fn(CacheBuilder<K, V, E>) -> CacheBuilder<K, V, E>;

/// A function's private cache. `O` is the type whose method it is: a method of a generic type has one cache per type.
pub struct PrivateCache<O: ?Sized, K, V, E> {
    slot: &'static Slot,
    configure: Configure<K, V, E>,
    owner: PhantomData<fn(&O)>,
}

impl Slot {
    /// The cache of a function that doesn't return a `Result`, built on the caller's runtime.
    pub fn cache_of_values<O: ?Sized, K, V>(
        &'static self,
        configure: Configure<K, V, Arc<V>>,
    ) -> PrivateCache<O, K, V, Arc<V>> {
        PrivateCache { slot: self, configure, owner: PhantomData }
    }

    /// The cache of a function that returns the `Result` `R`, built on the caller's runtime.
    pub fn cache_of_results<O: ?Sized, K, R: Fallible>(
        &'static self,
        configure: Configure<K, R::Value, Arc<R::Error>>,
    ) -> PrivateCache<O, K, R::Value, Arc<R::Error>> {
        PrivateCache { slot: self, configure, owner: PhantomData }
    }
}

impl<O, K, V, E> PrivateCache<O, K, V, E>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// After building the cache if there is none, or if its runtime has shut down: what it has could be served, but never
    /// refreshed.
    pub(super) fn handle(&self) -> CacheHandle<K, V, E> {
        match self.slot.get::<O, CacheHandle<K, V, E>>() {
            Some(cache) if !cache.flights().router().has_runtime_ended() => cache,
            lost => {
                if let Some(lost) = lost {
                    self.replace(&lost);
                }
                // As the private coalescer of a function: outside of the slot's lock.
                self.slot.get_or_insert::<O, _>(self.build())
            }
        }
    }

    pub(super) fn replace(&self, lost: &CacheHandle<K, V, E>) {
        self.slot.remove::<O, _>(lost);
    }

    fn build(&self) -> CacheHandle<K, V, E> {
        match (self.configure)(CacheBuilder::new()).build() {
            Ok(cache) => cache.handle(),
            Err(error) => panic!("the cache of a function can't be built: {error}"),
        }
    }
}

/// Without a cache there is nothing to do: a cache that another call builds meanwhile is empty.
#[expect(clippy::needless_pass_by_value, reason = "by reference, the caller's future would hold it, and its types")]
pub fn invalidate<O, K, V, E>(place: PrivateCache<O, K, V, E>, key: K) -> Boxed<'static, ()>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    let cache = place.slot.get::<O, CacheHandle<K, V, E>>();
    Box::pin(async move {
        if let Some(cache) = cache {
            cache.invalidate(key).await;
        }
    })
}

/// The key's value, if the cache has one that has not expired.
pub fn peek<O, K, V, E, M>(place: &PrivateCache<O, K, V, E>, key: &K) -> Option<V>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Value<M>,
    E: Clone + Send + Sync + 'static,
{
    let cache = place.slot.get::<O, CacheHandle<K, V, E>>()?;
    if cache.flights().router().has_runtime_ended() { None } else { cache.peek(key) }
}

impl<O: ?Sized, K, V, E> fmt::Debug for PrivateCache<O, K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateCache").field("slot", self.slot).finish_non_exhaustive()
    }
}

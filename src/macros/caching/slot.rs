//! The static that holds a function's private cache.

use std::{hash::Hash, pin::Pin, sync::Arc};

use super::super::slot::{AnyHandle, Held, Slot};
use crate::{
    cache::{CacheHandle, CacheStats},
    error::Closed,
    flight::Flight,
    stats::Stats,
};

/// A cache with its type parameters erased.
pub(in super::super) trait AnyCache: Send + Sync {
    fn stats(&self) -> CacheStats;
    fn invalidate_all(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    fn invalidate_tag<'a>(&'a self, tag: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl<K, V, E> AnyCache for CacheHandle<K, V, E>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    fn stats(&self) -> CacheStats {
        CacheHandle::stats(self)
    }

    fn invalidate_all(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(CacheHandle::invalidate_all(self))
    }

    fn invalidate_tag<'a>(&'a self, tag: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(CacheHandle::invalidate_tag(self, tag))
    }
}

impl<K, V, E> AnyHandle for CacheHandle<K, V, E>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    fn stats(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
        Box::pin(self.flights().stats())
    }

    fn current_flight(&self) -> Option<Flight> {
        self.flights().current_flight()
    }

    fn as_cache(&self) -> Option<&dyn AnyCache> {
        Some(self)
    }
}

impl<K, V, E> Held for CacheHandle<K, V, E>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    fn is_of_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.flights().router(), other.flights().router())
    }
}

impl Slot {
    /// All zeros if there is no cache.
    pub fn cache_stats<O: ?Sized + 'static>(&self) -> CacheStats {
        self.any::<O>().and_then(|handle| Some(handle.as_cache()?.stats())).unwrap_or_default()
    }

    pub async fn invalidate_all<O: ?Sized + 'static>(&self) {
        let cache = self.any::<O>();
        if let Some(cache) = cache.as_ref().and_then(|handle| handle.as_cache()) {
            cache.invalidate_all().await;
        }
    }

    pub async fn invalidate_tag<O: ?Sized + 'static>(&self, tag: &str) {
        let cache = self.any::<O>();
        if let Some(cache) = cache.as_ref().and_then(|handle| handle.as_cache()) {
            cache.invalidate_tag(tag).await;
        }
    }
}

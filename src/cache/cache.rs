//! The owner's side: build it, hand out handles, shut it down.

use std::{fmt, hash::Hash, time::Duration};

use super::{builder::CacheBuilder, handle::CacheHandle, outcome::LoadResult};
use crate::coalescer::{Coalescer, Shutdown};

/// A cache whose misses and refreshes are flights of a coalescer. See the [module](crate::cache).
///
/// Callers use its [`CacheHandle`]s.
pub struct Cache<K, V, E>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    handle: CacheHandle<K, V, E>,
    coalescer: Coalescer<K, LoadResult<V, E>>,
}

impl<K, V, E> Cache<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Starts from every default; a [`ttl`](CacheBuilder::ttl) has to be set.
    pub fn builder() -> CacheBuilder<K, V, E> {
        CacheBuilder::new()
    }

    pub(super) fn with(handle: CacheHandle<K, V, E>, coalescer: Coalescer<K, LoadResult<V, E>>) -> Self {
        Self { handle, coalescer }
    }

    /// A handle for callers. It keeps the entries and the shards alive as well as the cache does.
    pub fn handle(&self) -> CacheHandle<K, V, E> {
        self.handle.clone()
    }

    /// The coalescer that runs the loads, to [`inspect`](Coalescer::inspect) it, and for the numbers of its handles.
    pub fn coalescer(&self) -> &Coalescer<K, LoadResult<V, E>> {
        &self.coalescer
    }

    /// [`Coalescer::shutdown`] of the loads. What the cache has is served on; reads that would load end in
    /// [`Closed`](crate::JoinError::Closed).
    ///
    /// # Cancellation
    ///
    /// Once polled it goes on even if its future is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        self.coalescer.shutdown(deadline).await
    }
}

impl<K, V, E> fmt::Debug for Cache<K, V, E>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("handle", &self.handle).finish_non_exhaustive()
    }
}

//! Caches whose misses load: ours, moka's, and what can be put together of a store and a coalescer.
//!
//! All hash with the standard library's `RandomState`. Those that can expire entries do, after a time that no run lasts.

use std::{
    convert::Infallible,
    future::Future,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use quick_cache::sync::GuardResult;
use shardflight::{
    Coalescer, Handle,
    cache::{Cache, CacheHandle},
};

const TTL: Duration = Duration::from_hours(1);
const UNFAILING: &str = "nothing here fails";

pub(crate) trait Key: Clone + Hash + Eq + Send + Sync + 'static {}

impl<K: Clone + Hash + Eq + Send + Sync + 'static> Key for K {}

pub(crate) trait Contender<K: Key>: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    /// Inside a runtime. Keeps so many entries at most.
    fn new(entries: usize) -> Self;

    fn read<L, Fut>(&self, key: &K, load: L) -> impl Future<Output = u64> + Send
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static;

    fn invalidate(&self, key: &K) -> impl Future<Output = ()> + Send;

    /// Puts off nothing any longer, and says how many entries there are.
    fn settle(&self) -> impl Future<Output = u64> + Send;
}

#[derive(Clone)]
pub(crate) struct Shardflight<K: Key>(CacheHandle<K, u64, Infallible>);

impl<K: Key> Contender<K> for Shardflight<K> {
    const NAME: &'static str = "shardflight";

    fn new(entries: usize) -> Self {
        Self(Cache::builder().ttl(TTL).max_entries(entries).build().expect(UNFAILING).handle())
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.get_by_ref(key, || async { Ok(load().await) }).await.expect(UNFAILING)
    }

    async fn invalidate(&self, key: &K) {
        self.0.invalidate(key.clone()).await;
    }

    async fn settle(&self) -> u64 {
        self.0.stats().entries as u64
    }
}

/// By `get_with`, which coalesces misses.
#[derive(Clone)]
pub(crate) struct Moka<K: Key>(moka::future::Cache<K, u64>);

impl<K: Key> Contender<K> for Moka<K> {
    const NAME: &'static str = "moka, get_with";

    fn new(entries: usize) -> Self {
        Self(moka::future::Cache::builder().time_to_live(TTL).max_capacity(entries as u64).build())
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.get_with_by_ref(key, async { load().await }).await
    }

    async fn invalidate(&self, key: &K) {
        self.0.invalidate(key).await;
    }

    async fn settle(&self) -> u64 {
        self.0.run_pending_tasks().await;
        self.0.entry_count()
    }
}

/// Its synchronous cache, whose `get` is the fastest way to a hit of moka's. Misses are not coalesced.
#[derive(Clone)]
pub(crate) struct SyncMoka<K: Key>(moka::sync::Cache<K, u64>);

impl<K: Key> Contender<K> for SyncMoka<K> {
    const NAME: &'static str = "moka, sync get";

    fn new(entries: usize) -> Self {
        Self(moka::sync::Cache::builder().time_to_live(TTL).max_capacity(entries as u64).build())
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        if let Some(value) = self.0.get(key) {
            return value;
        }
        let value = load().await;
        self.0.insert(key.clone(), value);
        value
    }

    async fn invalidate(&self, key: &K) {
        self.0.invalidate(key);
    }

    async fn settle(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

/// The least that a cache on this store with times to live can take for a hit: the store's, of an `Arc`, a clock read, and a
/// clone of the value. Misses are not coalesced.
#[derive(Clone)]
pub(crate) struct StoreAndClock<K: Key>(Arc<quick_cache::sync::Cache<K, Arc<(Instant, u64)>>>);

impl<K: Key> Contender<K> for StoreAndClock<K> {
    const NAME: &'static str = "quick_cache + clock";

    fn new(entries: usize) -> Self {
        Self(Arc::new(quick_cache::sync::Cache::new(entries)))
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        match self.0.get(key).filter(|entry| Instant::now() < entry.0) {
            Some(entry) => entry.1,
            None => {
                let value = load().await;
                self.0.insert(key.clone(), Arc::new((Instant::now() + TTL, value)));
                value
            }
        }
    }

    async fn invalidate(&self, key: &K) {
        self.0.remove(key);
    }

    async fn settle(&self) -> u64 {
        self.0.len() as u64
    }
}

/// A store and a coalescer, and what both kinds of putting them together have in common.
#[derive(Clone)]
struct StoreAndFlights<K: Key> {
    store: Arc<quick_cache::sync::Cache<K, u64>>,
    flights: Handle<K, u64>,
}

impl<K: Key> StoreAndFlights<K> {
    fn new(entries: usize) -> Self {
        Self { store: Arc::new(quick_cache::sync::Cache::new(entries)), flights: Coalescer::new().handle() }
    }

    async fn invalidate(&self, key: &K) {
        self.store.remove(key);
        self.flights.forget(key.clone()).await.expect(UNFAILING);
    }
}

/// A join whose work takes the store's placeholder, loads and fills it: the least that a coalesced miss can take on this store.
/// Without times to live.
#[derive(Clone)]
pub(crate) struct StoreInJoin<K: Key>(StoreAndFlights<K>);

impl<K: Key> Contender<K> for StoreInJoin<K> {
    const NAME: &'static str = "join + quick_cache";

    fn new(entries: usize) -> Self {
        Self(StoreAndFlights::new(entries))
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        if let Some(value) = self.0.store.get(key) {
            return value;
        }
        let (store, to_fill) = (Arc::clone(&self.0.store), key.clone());
        let joined = self.0.flights.join(key.clone(), move || async move {
            match store.get_value_or_guard(&to_fill, Some(Duration::ZERO)) {
                GuardResult::Value(value) => value,
                GuardResult::Guard(placeholder) => {
                    let value = load().await;
                    let _ = placeholder.insert(value);
                    value
                }
                GuardResult::Timeout => load().await,
            }
        });
        joined.await.expect(UNFAILING)
    }

    async fn invalidate(&self, key: &K) {
        self.0.invalidate(key).await;
    }

    async fn settle(&self) -> u64 {
        self.0.store.len() as u64
    }
}

/// A cache beside a join: the caller that misses joins, and inserts what it gets. As it is often written.
#[derive(Clone)]
pub(crate) struct StoreBesideJoin<K: Key>(StoreAndFlights<K>);

impl<K: Key> Contender<K> for StoreBesideJoin<K> {
    const NAME: &'static str = "cache beside join";

    fn new(entries: usize) -> Self {
        Self(StoreAndFlights::new(entries))
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        if let Some(value) = self.0.store.get(key) {
            return value;
        }
        let value = self.0.flights.join(key.clone(), load).await.expect(UNFAILING);
        self.0.store.insert(key.clone(), value);
        value
    }

    async fn invalidate(&self, key: &K) {
        self.0.invalidate(key).await;
    }

    async fn settle(&self) -> u64 {
        self.0.store.len() as u64
    }
}

/// A join alone, of which nothing is kept.
#[derive(Clone)]
pub(crate) struct JoinAlone<K: Key>(Handle<K, u64>);

impl<K: Key> Contender<K> for JoinAlone<K> {
    const NAME: &'static str = "join alone";

    fn new(_: usize) -> Self {
        Self(Coalescer::new().handle())
    }

    async fn read<L, Fut>(&self, key: &K, load: L) -> u64
    where
        L: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.0.join(key.clone(), load).await.expect(UNFAILING)
    }

    async fn invalidate(&self, key: &K) {
        self.0.forget(key.clone()).await.expect(UNFAILING);
    }

    async fn settle(&self) -> u64 {
        0
    }
}

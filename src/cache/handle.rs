//! The readers' operations.

use std::{borrow::Borrow, fmt, hash::Hash, sync::Arc, time::Duration};

use super::{
    entry::Standing,
    fill::{Fill, Previous},
    find::work_error,
    key::ByRef,
    outcome::LoadResult,
    served::Served,
    state::CacheState,
    stats::CacheStats,
    take::{Copied, Shared, Take, Told},
};
use crate::{
    error::TryJoinError,
    handle::Handle,
    unwind::{Contained, awaited},
};

/// A way into a [`Cache`](crate::cache::Cache), cheap to clone and to share.
///
/// The futures of its methods borrow it: a spawned task needs a clone of its own.
///
/// It is as strong as the cache itself: entries and shards live for as long as either does.
pub struct CacheHandle<K, V, E>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    state: Arc<CacheState<K, V, E>>,
    flights: Handle<K, LoadResult<V, E>>,
    max_wait: Option<Duration>,
}

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    pub(super) fn new(state: Arc<CacheState<K, V, E>>, flights: Handle<K, LoadResult<V, E>>) -> Self {
        Self { state, flights, max_wait: None }
    }

    pub(super) fn state(&self) -> &Arc<CacheState<K, V, E>> {
        &self.state
    }

    pub(super) fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// Its numbers, for as long as it is there.
    #[cfg(feature = "dashboard")]
    pub(crate) fn weak_source(&self) -> std::sync::Weak<dyn super::CacheSource>
    where
        K: Clone + Hash + Sync,
    {
        Arc::<CacheState<K, V, E>>::downgrade(&self.state)
    }

    pub(crate) fn flights(&self) -> &Handle<K, LoadResult<V, E>> {
        &self.flights
    }

    /// The same handle, but with reads that wait at most so long for a load. It is this reader alone that gives up, as if it had
    /// dropped its read.
    ///
    /// A read that has waited so long gets an expired value if there is one that may be served, or else ends in
    /// [`TimedOut`](crate::JoinError::TimedOut). For timers, see [`Handle::with_max_wait`].
    #[must_use = "the handle it is called on stays as it is"]
    pub fn with_max_wait(&self, max_wait: Duration) -> Self {
        Self { max_wait: Some(max_wait), ..self.clone() }
    }
}

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// The key's value: from the cache, or from `load`, which the cache then keeps for its
    /// [`ttl`](crate::cache::CacheBuilder::ttl).
    ///
    /// Concurrent calls for one key share a load, as [`Handle::join`] says; `load` is called if this read starts it. An error is
    /// shared by the callers of its load and not kept, unless [`negative_if`](crate::cache::CacheBuilder::negative_if) accepts
    /// it. The value is cloned in the caller's own task, outside of any lock.
    ///
    /// The future borrows the handle. To read in a spawned task, clone the handle first, and move the clone into the task.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any moment: no other reader notices.
    ///
    /// # Errors
    ///
    /// [`TryJoinError::Work`] if `load` returned an error, or the cache has one for the key; [`TryJoinError::Join`] where a join
    /// fails. With [`stale_if_error`](crate::cache::CacheBuilder::stale_if_error), an expired value takes the place of both.
    ///
    /// # Panics
    ///
    /// A panic in `load`, in the key's `Hash` or `Eq` or in the value's or the error's `Clone` is a
    /// [`JoinError::Panicked`](crate::JoinError::Panicked).
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::cache::Cache;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache: Cache<String, usize, std::fmt::Error> = Cache::builder().ttl(Duration::from_secs(60)).build()?;
    /// let lengths = cache.handle();
    /// let length = lengths.get("shardflight", || async { Ok("shardflight".len()) }).await?;
    /// assert_eq!(length, 11);
    /// # Ok(()) }
    /// ```
    pub fn get<F, Fut>(&self, key: impl Into<K>, load: F) -> impl Future<Output = Result<V, TryJoinError<E>>> + Send
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let key = Contained::new(key.into());
        self.read::<Copied, _, _, _>(key, |_| fill(load()))
    }

    /// [`get`](Self::get) by a key that is borrowed, such as a `&str` where keys are `String`s: it is converted for a load alone, so
    /// a hit allocates nothing.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_by_ref<Q, F, Fut>(&self, key: &Q, load: F) -> impl Future<Output = Result<V, TryJoinError<E>>> + Send
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + Sync + ?Sized,
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.read::<Copied, _, _, _>(ByRef(key), |_| fill(load()))
    }

    /// [`get`](Self::get) for values that can't or needn't be cloned: all readers share one `Arc`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_shared<F, Fut>(
        &self,
        key: impl Into<K>,
        load: F,
    ) -> impl Future<Output = Result<Arc<V>, TryJoinError<E>>> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let key = Contained::new(key.into());
        self.read::<Shared, _, _, _>(key, |_| fill(load()))
    }

    /// [`get`](Self::get) with a loader that says how to keep what it loads, by a [`Fill`], and that sees what the cache has: the
    /// value that it is to replace, if there is one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::cache::{Cache, Fill};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache: Cache<String, String, std::fmt::Error> = Cache::builder().ttl(Duration::from_secs(60)).build()?;
    /// let users = cache.handle();
    /// let load = |_| async { Ok(Fill::new("ada".to_owned()).ttl(Duration::from_secs(5)).tag("team:3")) };
    /// assert_eq!(users.get_with("user:7", load).await?, "ada");
    ///
    /// users.invalidate_tag("team:3").await;
    /// assert_eq!(users.peek("user:7"), None);
    /// # Ok(()) }
    /// ```
    pub fn get_with<F, Fut>(
        &self,
        key: impl Into<K>,
        load: F,
    ) -> impl Future<Output = Result<V, TryJoinError<E>>> + Send
    where
        V: Clone,
        F: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let key = Contained::new(key.into());
        self.read::<Copied, _, _, _>(key, load)
    }

    /// [`get`](Self::get) that says how it was answered: from a fresh entry, from an expired one and why, by a load, or by a
    /// negative entry.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but that a negative entry is no error here: its error is [`Served::value`].
    pub fn lookup<F, Fut>(
        &self,
        key: impl Into<K>,
        load: F,
    ) -> impl Future<Output = Result<Served<V, E>, TryJoinError<E>>> + Send
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let key = Contained::new(key.into());
        self.read::<Told, _, _, _>(key, |_| fill(load()))
    }

    /// [`lookup`](Self::lookup) with a loader as that of [`get_with`](Self::get_with).
    ///
    /// # Errors
    ///
    /// As [`lookup`](Self::lookup).
    pub fn lookup_with<F, Fut>(
        &self,
        key: impl Into<K>,
        load: F,
    ) -> impl Future<Output = Result<Served<V, E>, TryJoinError<E>>> + Send
    where
        V: Clone,
        F: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let key = Contained::new(key.into());
        self.read::<Told, _, _, _>(key, load)
    }

    /// Loads the key though the cache has it, and gives the new value. Readers get the old one meanwhile.
    ///
    /// A load of the key that is under way is joined: to see a write, [`invalidate`](Self::invalidate) the key instead.
    ///
    /// # Cancellation
    ///
    /// Once polled, the load goes on even if this future is dropped.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and an expired value takes the place of no error.
    pub fn refresh<F, Fut>(&self, key: impl Into<K>, load: F) -> impl Future<Output = Result<V, TryJoinError<E>>> + Send
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.refresh_with(key, |_| fill(load()))
    }

    /// [`refresh`](Self::refresh) with a loader as that of [`get_with`](Self::get_with).
    ///
    /// # Cancellation
    ///
    /// As [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh).
    pub fn refresh_with<F, Fut>(
        &self,
        key: impl Into<K>,
        load: F,
    ) -> impl Future<Output = Result<V, TryJoinError<E>>> + Send
    where
        V: Clone,
        F: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let key = key.into();
        async move {
            let answer = self.load_anew(key, load).await?;
            match answer.error {
                Some(error) => Err(work_error(error)),
                None => Copied::of_answer(answer, &self.state().clock),
            }
        }
    }

    /// The key's value if the cache has one that has not expired. Loads nothing, waits for nothing and counts nothing.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does, or the value's `Clone`.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let state = self.state();
        let entry = state.store.peek(&state.store.probe(key))?;
        let is_fresh = match entry.standing(state.clock.now(), &state.config.windows) {
            Standing::Fresh | Standing::RefreshDue => !state.is_invalid(&entry),
            Standing::Revalidate | Standing::Fallback | Standing::Over => false,
        };
        let value = entry.value().filter(|_| is_fresh)?;
        Some(V::clone(value))
    }

    /// What the cache has done and holds. For what its flights do, see [`Cache::coalescer`](crate::cache::Cache::coalescer).
    pub fn stats(&self) -> CacheStats {
        self.state.stats()
    }

    /// The heaviest that an entry can be and still be kept: less than the cache's bound, which its store divides among its shards.
    pub fn max_entry_weight(&self) -> u64 {
        self.state.store.max_entry_weight()
    }
}

async fn fill<V, E>(loading: impl Future<Output = Result<V, E>>) -> Result<Fill<V, E>, E> {
    awaited(loading).await.map(Fill::new)
}

impl<K, V, E> Clone for CacheHandle<K, V, E>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), flights: self.flights.clone(), max_wait: self.max_wait }
    }
}

impl<K, V, E> fmt::Debug for CacheHandle<K, V, E>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheHandle")
            .field("config", &self.state.config)
            .field("flights", &self.flights)
            .field("max_wait", &self.max_wait)
            .finish()
    }
}

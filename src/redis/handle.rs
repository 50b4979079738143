//! The callers' operations.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
    time::Duration,
};

use super::{
    cluster::Cluster,
    codec::{Codec, Json},
    fence::Fence,
    fresh::Fresh,
    key::ClusterKey,
    work::{Asks, BoxedWork, Name, Prepared, boxed, boxed_alone},
};
use crate::{
    config::Freshness,
    error::{Closed, ZeroFlightDuration},
    handle::Handle,
    join::{Join, JoinShared, TryJoin, TryJoinShared},
};

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A handle whose flights are shared with those of other processes: before a flight's work runs, it asks Redis whether another
    /// process runs it already. See [`shardflight::redis`](crate::redis).
    ///
    /// It is a wrapper around work: within the process, all guarantees hold as ever. Joins of this handle and of others of the coalescer
    /// share flights, and a flight asks Redis only if its leader's handle does: don't mix the two for one key.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use shardflight::{Coalescer, redis::Cluster};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder("redis://127.0.0.1").namespace("users").build()?;
    /// let users = Coalescer::<String, String>::new().handle().across(cluster);
    /// let user = users.join("user:7", || async { "what the database says".to_owned() }).await?;
    /// # Ok(()) }
    /// ```
    pub fn across<C: Codec<V>>(&self, cluster: Cluster<C>) -> ClusterHandle<K, V, C, S> {
        let fresh = cluster.node().fresh(self.router().engine.identity());
        ClusterHandle { handle: self.clone().without_takeovers(), cluster, fresh }
    }
}

/// A [`Handle`] whose flights are shared by all processes of a [`Cluster`]. Cheap to clone and to share.
///
/// Plain threads block on a join by [`tokio::runtime::Handle::block_on`]: there is no `blocking_join` here.
///
/// Its joins are those of [`Handle`], with its guarantees, errors and costs, and the latter are joined by
/// [what Redis costs](crate::redis#what-a-call-costs).
pub struct ClusterHandle<K, V, C = Json, S = RandomState>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    handle: Handle<K, V, S>,
    cluster: Cluster<C>,
    fresh: Arc<Fresh>,
}

impl<K, V, C, S> ClusterHandle<K, V, C, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The handle that this one was made of, whose joins don't ask Redis.
    pub fn local(&self) -> &Handle<K, V, S> {
        &self.handle
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster<C> {
        &self.cluster
    }

    /// As [`Handle::with_max_wait`].
    #[must_use = "the handle it is called on stays as it is"]
    pub fn with_max_wait(&self, max_wait: Duration) -> Self {
        self.with(self.handle.with_max_wait(max_wait))
    }

    /// As [`Handle::with_freshness`], across all processes: under [`Freshness::StartedAfterCall`] a join shares no work that began before
    /// its call, in whichever process. If another process runs the work already, the flight waits for that to end, and for the one
    /// after it.
    #[must_use = "the handle it is called on stays as it is"]
    pub fn with_freshness(&self, freshness: Freshness) -> Self {
        self.with(self.handle.with_freshness(freshness))
    }

    /// As [`Handle::with_max_flight_duration`].
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub fn with_max_flight_duration(&self, limit: Duration) -> Result<Self, ZeroFlightDuration> {
        Ok(self.with(self.handle.with_max_flight_duration(limit)?))
    }

    fn with(&self, handle: Handle<K, V, S>) -> Self {
        Self { handle, cluster: self.cluster.clone(), fresh: Arc::clone(&self.fresh) }
    }
}

impl<K, V, C, S> ClusterHandle<K, V, C, S>
where
    K: ClusterKey + Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    C: Codec<V>,
    S: BuildHasher,
{
    /// [`Handle::join`] across the cluster: `work` is called if no process runs it for this key already, and otherwise its outcome there
    /// is the outcome here.
    ///
    /// # Cancellation
    ///
    /// As [`Handle::join`]. Work that is dropped gives its lease back, and one of the flights that follow leads next.
    ///
    /// # Errors
    ///
    /// As [`Handle::join`]. Work that panicked in another process is [`Panicked`](crate::JoinError::Panicked), with its message. What
    /// Redis does is no error, unless [`OnUnavailable::Fail`](crate::redis::OnUnavailable::Fail) makes it one.
    pub fn join<F, Fut>(&self, key: impl Into<K>, work: F) -> Join<K, V, BoxedWork<V, Fut>, S>
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        self.join_fenced(key, |_| work())
    }

    /// [`join`](Self::join) for work that writes: it is given its [`Fence`], whose token the store can check.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// # Examples
    ///
    /// A leader that stalls past its lease is overtaken by another. When it wakes up, its write comes too late, and the store can tell:
    ///
    /// ```no_run
    /// # use shardflight::{Coalescer, redis::{Cluster, OnUnavailable}};
    /// # async fn execute(_: &str, _: u64) -> u64 { 0 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder("redis://127.0.0.1")
    ///     .namespace("reports")
    ///     .on_unavailable(OnUnavailable::Fail) // no token, no write
    ///     .build()?;
    /// let reports = Coalescer::<u64, u64>::new().handle().across(cluster);
    /// let written = reports.join_fenced(7_u64, |fence| async move {
    ///     let Some(token) = fence.token() else { return 0 }; // its key is not coalesced: no lease, no write
    ///     // … render the report, and then:
    ///     execute("UPDATE reports SET body = …, token = $1 WHERE id = 7 AND token < $1", token).await
    /// });
    /// # written.await?; Ok(()) }
    /// ```
    pub fn join_fenced<F, Fut>(&self, key: impl Into<K>, work: F) -> Join<K, V, BoxedWork<V, Fut>, S>
    where
        V: Clone,
        F: FnOnce(Fence) -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let key = key.into();
        let work = self.work(&key, work);
        self.handle.join(key, work)
    }

    /// [`Handle::join_shared`] across the cluster.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn join_shared<F, Fut>(&self, key: impl Into<K>, work: F) -> JoinShared<K, V, BoxedWork<V, Fut>, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let key = key.into();
        let work = self.work(&key, |_| work());
        self.handle.join_shared(key, work)
    }

    /// [`Handle::forget`] across the cluster: a join of this process that is made after this returns shares no work that began before, in
    /// whichever process. Flights under way go on, and their callers get their outcome. The lease of a flight that this process leads is
    /// not renewed from then on: if its work takes longer than a lease, flights of other processes that follow it run their own.
    ///
    /// Other processes go on sharing their flights under way: they have to forget by themselves, or to join under
    /// [`Freshness::StartedAfterCall`], which is the better way to read what was written just now. If Redis can't be asked, it is this
    /// process's own flight alone that is forgotten.
    ///
    /// # Cancellation
    ///
    /// Takes effect in full only if it is awaited to its end.
    ///
    /// # Errors
    ///
    /// As [`Handle::forget`].
    ///
    /// # Panics
    ///
    /// As [`Handle::forget`].
    pub async fn forget(&self, key: impl Into<K>) -> Result<bool, Closed> {
        let key = crate::unwind::Contained::new(key.into());
        // Redis first: a flight of this process that began between the two would follow the lease, and then be shared.
        let node = self.cluster.node();
        if !node.breaker.is_open()
            && let Name::Known(keys) = Name::of(node, key.get())
        {
            node.detached(keys).await;
        }
        self.handle.forget(key.into_inner()).await
    }

    fn work<F, Fut>(&self, key: &K, work: F) -> BoxedWork<V, Fut>
    where
        F: FnOnce(Fence) -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let node = self.cluster.node();
        let coalescer = self.handle.router().engine.identity();
        let is_fresh = self.handle.options().freshness == Freshness::StartedAfterCall;
        // The breaker may have closed by the time that work begins which a fresh join follows.
        if node.breaker.is_open() && !is_fresh {
            return boxed_alone(node, coalescer, work);
        }
        let key = Name::of(node, key);
        let prepared = Prepared {
            node: Arc::clone(node),
            codec: Arc::clone(self.cluster.codec()),
            coalescer,
            freshness: Asks::new(&self.fresh, &key, is_fresh),
            key,
        };
        boxed(prepared, work)
    }
}

impl<K, T, E, C, S> ClusterHandle<K, Result<T, E>, C, S>
where
    K: ClusterKey + Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
    C: Codec<Result<T, E>>,
    S: BuildHasher,
{
    /// [`Handle::try_join`] across the cluster. Errors are handed over as values are, once, and are not remembered.
    ///
    /// # Errors
    ///
    /// As [`Handle::try_join`] and [`join`](Self::join).
    pub fn try_join<F, Fut>(&self, key: impl Into<K>, work: F) -> TryJoin<K, T, E, BoxedWork<Result<T, E>, Fut>, S>
    where
        E: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.try_join_fenced(key, |_| work())
    }

    /// [`try_join`](Self::try_join) for work that is given its [`Fence`].
    ///
    /// # Errors
    ///
    /// As [`try_join`](Self::try_join).
    pub fn try_join_fenced<F, Fut>(
        &self,
        key: impl Into<K>,
        work: F,
    ) -> TryJoin<K, T, E, BoxedWork<Result<T, E>, Fut>, S>
    where
        E: Clone,
        F: FnOnce(Fence) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let key = key.into();
        let work = self.work(&key, work);
        self.handle.try_join(key, work)
    }

    /// [`Handle::try_join_shared`] across the cluster.
    ///
    /// # Errors
    ///
    /// As [`Handle::try_join_shared`] and [`join`](Self::join).
    pub fn try_join_shared<F, Fut>(
        &self,
        key: impl Into<K>,
        work: F,
    ) -> TryJoinShared<K, T, E, BoxedWork<Result<T, E>, Fut>, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let key = key.into();
        let work = self.work(&key, |_| work());
        self.handle.try_join_shared(key, work)
    }
}

impl<K, V, C, S> Clone for ClusterHandle<K, V, C, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        self.with(self.handle.clone())
    }
}

impl<K, V, C, S> fmt::Debug for ClusterHandle<K, V, C, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterHandle")
            .field("handle", &self.handle)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

//! The callers' operations.

mod control;
#[cfg(feature = "tower")]
mod layer;
mod options;

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use crate::{
    config::SharedOptions,
    error::Closed,
    flight::Flight,
    join::{Join, JoinShared},
    router::Router,
    task::current,
    unwind::drop_contained,
};

/// A way into a [`Coalescer`](crate::Coalescer), cheap to clone and to share.
///
/// It is as strong as the coalescer itself: the shards live for as long as either does. A clone costs one atomic
/// increment. To shut down, keep the coalescer: a handle can't.
pub struct Handle<K, V, S = RandomState>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    router: Arc<Router<K, V, S>>,
    options: SharedOptions,
}

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(router: Router<K, V, S>) -> Self {
        Self { router: Arc::new(router), options: SharedOptions::default() }
    }

    pub(crate) fn router(&self) -> &Arc<Router<K, V, S>> {
        &self.router
    }

    pub(crate) fn options(&self) -> &SharedOptions {
        &self.options
    }

    /// The flight that this thread runs work of, if it is one of this coalescer's: for work that asks whether it is
    /// [forgotten](Flight::is_forgotten) or [how many callers wait for it](Flight::info).
    ///
    /// Ask in the work itself: in its closure, in its future, or in blocking work. A task or a thread that the work starts
    /// is none of the flight's, but the `Flight` may be moved into it. `None` also where the work runs without a flight, as
    /// its key is [not coalesced](Self::set_rollout), and where it is being dropped unfinished.
    ///
    /// Costs a reference count, which all callers share, and takes no turn. Work that doesn't ask pays nothing for it but
    /// two moves of a pointer at each poll.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = shardflight::Coalescer::<String, bool>::new().handle();
    /// let inside = handle.clone();
    /// let forgotten = handle.join("user:7", move || async move {
    ///     let flight = inside.current_flight().expect("this is work of a flight");
    ///     inside.forget("user:7").await.expect("the coalescer is open");
    ///     flight.is_forgotten()
    /// });
    /// assert!(forgotten.await?);
    /// assert!(handle.current_flight().is_none(), "this is no work");
    /// # Ok(()) }
    /// ```
    pub fn current_flight(&self) -> Option<Flight> {
        let engine = &self.router.engine;
        let current = current::get().filter(|current| current.coalescer == engine.identity())?;
        let weak = Arc::downgrade(engine);
        Some(Flight::new(current.flight, current::record()?, weak))
    }
}

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Joins the key's flight, or starts one with `work`; gives a clone of the result.
    ///
    /// Lazy: before the first poll nothing happens but the key's conversion. `work` is called if this join starts the
    /// flight. Otherwise this future drops it uncalled, in its first poll, or in a later one if the shard was taken.
    /// Work runs as a task of its own on the coalescer's runtime, or as [`RunWork`](crate::RunWork) says, in a span that
    /// follows from the one that is current at the first poll.
    ///
    /// The value is cloned in the caller's own task; the last caller to take it gets it without a clone.
    ///
    /// # Keys
    ///
    /// Whatever converts into the key serves as one: a `&str` for a `String`. As several types may, the compiler doesn't infer the
    /// type of a literal from the key's, so write `7_u64` where keys are `u64`; for a plain `7` it says that `u64: From<i32>` is
    /// not satisfied. Tuples convert only as a whole, so their parts are of the key's own types: `(7_u32, "ada".to_owned())`.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any moment: no other caller notices (G2). The policy
    /// [`OnAbandon`](crate::OnAbandon) says what happens to work without callers.
    ///
    /// # Errors
    ///
    /// The future's output is a [`JoinError`](crate::JoinError) if the work panicked or was dropped, a limit was
    /// reached, or the coalescer is closed.
    ///
    /// # Panics
    ///
    /// A panic in `work`, in the key's `Hash` or `Eq` or in the value's `Clone` does not unwind from here: it is
    /// [`JoinError::Panicked`](crate::JoinError::Panicked). Polling again after the answer panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = shardflight::Coalescer::<String, usize>::new().handle();
    /// let length = handle.join("shardflight", || async { "shardflight".len() }).await?;
    /// assert_eq!(length, 11);
    ///
    /// let handle = shardflight::Coalescer::<(u32, String), String>::new().handle();
    /// let greeting = handle.join((7_u32, "ada".to_owned()), || async { "hello ada".to_owned() }).await?;
    /// assert_eq!(greeting, "hello ada");
    /// # Ok(()) }
    /// ```
    pub fn join<F, Fut>(&self, key: impl Into<K>, work: F) -> Join<K, V, F, S>
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        Join::new(Arc::clone(&self.router), self.options.clone(), key.into(), work)
    }

    /// [`join`](Self::join) for values that can't or needn't be cloned: all callers share one `Arc`.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn join_shared<F, Fut>(&self, key: impl Into<K>, work: F) -> JoinShared<K, V, F, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        JoinShared::new(Arc::clone(&self.router), self.options.clone(), key.into(), work)
    }

    /// Detaches the key's flight: callers that wait for it still get its result, a join made after this returns starts
    /// anew (G9). Says whether there was one.
    ///
    /// For use after a write: what was read before it may be old. The detached work goes on: if it stores what it has read, it
    /// has to ask whether it [is forgotten](Flight::is_forgotten), see [a cache in front](crate#a-cache-in-front).
    ///
    /// # Cancellation
    ///
    /// Takes effect even if its future is dropped after its first poll, except under a smaller [`Scope`](crate::Scope)
    /// than the process: its domains are asked one after the other.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the key's shard is.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does; no other caller notices.
    pub async fn forget(&self, key: impl Into<K>) -> Result<bool, Closed> {
        let mut key = key.into();
        let hash = match self.router.hash(&key) {
            Ok(hash) => hash,
            Err(panic) => {
                // Before ours: of two panics at once, the second would end the process.
                drop_contained(key);
                panic!("hashing a key to forget {panic}");
            }
        };
        let mut was_live = false;
        // One domain after the other, as there is but one key to compare with.
        for shard in self.router.shards_of(hash) {
            let asked = self.router.engine.ask(shard, key, move |state, key| state.shard.forget(hash, key));
            let (returned, forgotten) = asked.answer().await?;
            key = returned.into_inner();
            match forgotten {
                Ok(live) => was_live |= live,
                Err(panic) => {
                    drop_contained(key);
                    panic!("comparing a key to forget {panic}");
                }
            }
        }
        drop_contained(key);
        Ok(was_live)
    }
}

impl<K, V, S> Clone for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router), options: self.options.clone() }
    }
}

impl<K, V, S> fmt::Debug for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("shards", &self.router.engine.shards())
            .field("max_wait", &self.options.max_wait)
            .field("max_flight_duration", &self.options.max_flight_duration)
            .field("freshness", &self.options.freshness)
            .finish_non_exhaustive()
    }
}

//! What callers hold.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use crate::{
    actor::{Control, Forgotten, Port},
    error::Closed,
    join::{Join, JoinShared, TryJoin},
    live::{Key, LiveLane, Value},
    panics::drop_contained,
    stats::Stats,
};

/// A way into a [`Coalescer`](crate::Coalescer), cheap to clone and to share.
///
/// It is as strong as the coalescer itself: the shards live for as long as either does. A clone costs one atomic
/// increment.
pub struct Handle<K, V, S = RandomState>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    inner: Arc<Inner<K, V, S>>,
}

struct Inner<K: Key, V: Value, S> {
    ports: Box<[Port<K, V>]>,
    hasher: S,
}

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(ports: Box<[Port<K, V>]>, hasher: S) -> Self {
        Self { inner: Arc::new(Inner { ports, hasher }) }
    }

    pub(crate) fn lane(&self, hash: u64) -> &LiveLane<K, V> {
        &self.port(hash).lane
    }

    /// The shard of a hash, from its bits 25 to 56 by multiply and shift. The map's buckets are chosen by the low bits
    /// and its tags by the top seven; bits that chose the shard would be the same for all keys in its map.
    fn port(&self, hash: u64) -> &Port<K, V> {
        let ports = &self.inner.ports;
        let spread = (hash >> 25) & u64::from(u32::MAX);
        &ports[((spread * ports.len() as u64) >> 32) as usize]
    }

    async fn ask_all<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Control<K>) -> Result<Vec<T>, Closed> {
        let mut replies = Vec::with_capacity(self.inner.ports.len());
        for port in &self.inner.ports {
            let (reply, answer) = oneshot::async_channel();
            port.ask(question(reply))?;
            replies.push(answer);
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            answers.push(reply.await.map_err(|_| Closed)?);
        }
        Ok(answers)
    }

    /// Detaches every flight under way, and says how many there were.
    ///
    /// As [`forget`](Self::forget) for each key: those who wait still get their flight's result, joins made after this
    /// returns start anew.
    pub async fn forget_all(&self) -> Result<usize, Closed> {
        Ok(self.ask_all(|reply| Control::ForgetAll { reply }).await?.into_iter().sum())
    }

    /// What the coalescer has done and is doing (G14).
    ///
    /// Each shard answers for itself, after all that was sent to it before. It looks at each of its flights once, so
    /// the cost grows with the flights under way, about as a map's iteration does.
    pub async fn stats(&self) -> Result<Stats, Closed> {
        Ok(Stats::sum(self.ask_all(|reply| Control::Stats { reply }).await?))
    }

    /// Sets the counters to zero. The gauges say what is, and stay.
    pub async fn reset_stats(&self) -> Result<(), Closed> {
        self.ask_all(|reply| Control::ResetStats { reply }).await.map(drop)
    }
}

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.inner.hasher.hash_one(key)
    }

    /// Joins the key's flight, or starts one with `work`; gives a clone of the result.
    ///
    /// Lazy: before the first poll nothing happens but the key's conversion. `work` is called if this join starts the
    /// flight, and otherwise dropped uncalled by this very future. It runs as a task of its own on the coalescer's
    /// runtime, under the tracing span that is current at the first poll.
    ///
    /// The value is cloned in the caller's own task; whoever is last to ask for it gets it without a clone.
    ///
    /// # Cancellation
    ///
    /// Drop the future whenever you like: no other caller notices (G2). What becomes of work that nobody waits for any
    /// more is the [`OnAbandon`](crate::OnAbandon) policy's to say.
    ///
    /// # Panics
    ///
    /// None of the user's panics comes out of here: a panic in `work`, in the key's `Hash` or `Eq` or in the value's
    /// `Clone` is [`JoinError::Panicked`](crate::JoinError::Panicked). Polling again after the answer panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = shardflight::Coalescer::<String, usize>::new().handle();
    /// let length = handle.join("shardflight", || async { "shardflight".len() }).await?;
    /// assert_eq!(length, 11);
    /// # Ok(()) }
    /// ```
    pub fn join<F, Fut>(&self, key: impl Into<K>, work: F) -> Join<K, V, F, S>
    where
        V: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        Join::new(self.join_shared(key, work))
    }

    /// [`join`](Self::join) for values that can't or needn't be cloned: all callers share one `Arc`.
    pub fn join_shared<F, Fut>(&self, key: impl Into<K>, work: F) -> JoinShared<K, V, F, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        JoinShared::new(self.clone(), key.into(), work, |_| false)
    }

    /// Detaches the key's flight: those who wait for it still get its result, a join made after this returns starts
    /// anew (G9). Says whether there was one.
    ///
    /// For use after a write: what was read before it may be old.
    ///
    /// # Cancellation
    ///
    /// Takes effect even if its future is dropped after its first poll.
    ///
    /// # Panics
    ///
    /// If the key's `Hash` or `Eq` does; no flight is detached then, and no other caller notices.
    pub async fn forget(&self, key: impl Into<K>) -> Result<bool, Closed> {
        let key = key.into();
        let hash = self.hash(&key);
        let (reply, answer) = oneshot::async_channel();
        self.port(hash).ask(Control::Forget { hash, key, reply })?;
        let Forgotten { was_live, key } = answer.await.map_err(|_| Closed)?;
        drop_contained(key);
        Ok(was_live.unwrap_or_else(|panic| panic!("comparing a key to forget {panic}")))
    }
}

impl<K, T, E, S> Handle<K, Result<T, E>, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`join`](Self::join) where the value is a `Result`: tells the work's own error from the coalescer's.
    ///
    /// An error is shared by the callers of its flight and never remembered (G8). Only the `Ok` or `Err` that is there
    /// is cloned.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{Coalescer, TryJoinError};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let handle = Coalescer::<u64, Result<String, String>>::new().handle();
    /// let answer = handle.try_join(7_u64, || async { Err("no such user".to_string()) }).await;
    /// assert!(matches!(answer, Err(TryJoinError::Work(error)) if error == "no such user"));
    /// # }
    /// ```
    pub fn try_join<F, Fut>(&self, key: impl Into<K>, work: F) -> TryJoin<K, T, E, F, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        TryJoin::new(JoinShared::new(self.clone(), key.into(), work, Result::is_err))
    }
}

impl<K, V, S> Clone for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K, V, S> fmt::Debug for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("shards", &self.inner.ports.len()).finish_non_exhaustive()
    }
}

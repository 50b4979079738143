//! Flights that are detached, after a write.

use std::hash::{BuildHasher, Hash};

use super::Handle;
use crate::{error::Closed, unwind::drop_contained};

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Detaches the key's flight: callers that wait for it still get its result, a join made after this returns starts
    /// anew (G9). Says whether there was one.
    ///
    /// For use after a write: what was read before it may be old. The detached work goes on: if it stores what it has read, it
    /// has to ask whether it [is forgotten](crate::Flight::is_forgotten), see [a cache in front](crate#a-cache-in-front).
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<u64, &str>::new().handle();
    /// let slow = handle.clone();
    /// let reader = tokio::spawn(async move { slow.join(7_u64, std::future::pending).await });
    /// tokio::task::yield_now().await; // its flight is under way
    ///
    /// // … write to the database, and then:
    /// assert!(handle.forget(7_u64).await?);
    /// assert_eq!(handle.join(7_u64, || async { "new" }).await?, "new"); // a flight of its own
    /// # reader.abort();
    /// # Ok(()) }
    /// ```
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
        let (mut was_live, mut is_closed) = (false, false);
        // One domain after the other, as there is but one key to compare with.
        for shard in self.router.shards_of(hash) {
            let asked = self.router.engine.ask(shard, key, move |state, key| state.shard.forget(hash, key));
            let (returned, forgotten) = asked.returned().await?;
            key = returned.into_inner();
            match forgotten {
                // In the other domains, flights may still run that a shutdown waits for.
                Err(Closed) => is_closed = true,
                Ok(Ok(live)) => was_live |= live,
                Ok(Err(panic)) => {
                    drop_contained(key);
                    panic!("comparing a key to forget {panic}");
                }
            }
        }
        drop_contained(key);
        if is_closed { Err(Closed) } else { Ok(was_live) }
    }
}

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Detaches every flight under way, and says how many there were.
    ///
    /// As [`forget`](Self::forget) for each key: callers that wait still get their flight's result, joins made after
    /// this returns start anew.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = shardflight::Coalescer::<u64, &str>::new().handle();
    /// assert_eq!(handle.forget_all().await?, 0); // nothing was under way
    /// # Ok(()) }
    /// ```
    pub async fn forget_all(&self) -> Result<usize, Closed> {
        Ok(self.router.ask_all(|state| state.shard.forget_all()).await?.into_iter().sum())
    }
}

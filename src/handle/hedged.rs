//! A handle's joins whose work may be called twice.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use super::Handle;
use crate::{
    hedge::{Accounts, Hedge, HedgedCall, HedgedWork},
    join::{Join, TryJoin},
};

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn accounts(&self) -> Accounts {
        let engine = &self.router().engine;
        Accounts {
            budget: Arc::clone(&engine.hedge_budget),
            tallies: Arc::clone(&engine.tallies),
            coalescer: engine.identity(),
            admission: engine.admission.clone(),
        }
    }
}

impl<K, V, S> Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`join`](Self::join) for work that may be called twice: if the call takes longer than the [`Hedge`] says, `work` is called
    /// again beside it, and the first value is the flight's. The other call's future is dropped.
    ///
    /// Only for **work that may run twice at the same time**: reads, and writes that are idempotent. The leader's `Hedge` is
    /// the flight's, whatever its followers ask for. Both calls are one execution of the flight, in one task: they have its
    /// deadline, its span and its [`current_flight`](Self::current_flight), and are dropped with it. So work that blocks its
    /// thread gets no second call; for that there is [`Builder::on_stall`](crate::Builder::on_stall), which goes with this.
    ///
    /// Second calls have a [budget](Hedge::budget). [`Stats`](crate::Stats) counts those that were made, those that won, and those
    /// that the budget has denied. A call's future is boxed, and a call that doesn't end in its first poll costs a timer.
    ///
    /// # Cancellation
    ///
    /// As [`join`](Self::join).
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// # Panics
    ///
    /// As [`join`](Self::join). A panic of one call counts when the other isn't running, or has panicked too; then the flight's is the
    /// first call's. It is no reason for a second call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), shardflight::JoinError> {
    /// use shardflight::{Coalescer, Hedge};
    /// use std::{sync::atomic::{AtomicU64, Ordering}, time::Duration};
    ///
    /// static CALLS: AtomicU64 = AtomicU64::new(0);
    ///
    /// let handle = Coalescer::<u64, u64>::new().handle();
    /// // The first call meets a slow replica.
    /// let load = || async {
    ///     let call = CALLS.fetch_add(1, Ordering::Relaxed);
    ///     tokio::time::sleep(Duration::from_secs(if call == 0 { 5 } else { 0 })).await;
    ///     call
    /// };
    /// let hedge = Hedge::after(Duration::from_millis(50));
    /// assert_eq!(handle.join_hedged(7_u64, hedge, load).await?, 1);
    /// # Ok(()) }
    /// ```
    pub fn join_hedged<F, Fut>(&self, key: impl Into<K>, hedge: Hedge, work: F) -> Join<K, V, HedgedCall<F, Fut>, S>
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let accounts = self.accounts();
        let work = HedgedWork::boxed(work, hedge, accounts, |_| true);
        Join::new(Arc::clone(self.router()), self.options().clone(), key.into(), work)
    }
}

impl<K, T, E, S> Handle<K, Result<T, E>, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`join_hedged`](Self::join_hedged) where the value is a `Result`: an error of one call waits for the other, if that runs, and
    /// counts if both fail; then the flight's is the first call's. An error is no reason for a second call.
    ///
    /// # Errors
    ///
    /// As [`try_join`](Self::try_join).
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{Coalescer, Hedge};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let handle = Coalescer::<u64, Result<String, String>>::new().handle();
    /// let hedge = Hedge::after(Duration::from_millis(50));
    /// let answer = handle.try_join_hedged(7_u64, hedge, || async { Ok("seven".to_owned()) }).await;
    /// assert_eq!(answer.unwrap(), "seven");
    /// # }
    /// ```
    pub fn try_join_hedged<F, Fut>(
        &self,
        key: impl Into<K>,
        hedge: Hedge,
        work: F,
    ) -> TryJoin<K, T, E, HedgedCall<F, Fut>, S>
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let accounts = self.accounts();
        let work = HedgedWork::boxed(work, hedge, accounts, Result::is_ok);
        TryJoin::new(Arc::clone(self.router()), self.options().clone(), key.into(), work)
    }
}

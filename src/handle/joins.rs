//! Joins whose values are what the work returns.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use super::Handle;
use crate::join::{Join, JoinShared};

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
    /// reached, the join would wait for itself, or the coalescer is closed.
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
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// struct Report(Vec<u8>); // not `Clone`
    ///
    /// let handle = shardflight::Coalescer::<u64, Report>::new().handle();
    /// let report = handle.join_shared(2026_u64, || async { Report(vec![0; 1_000_000]) }).await?;
    /// assert_eq!(report.0.len(), 1_000_000); // it is an `Arc<Report>`
    /// # Ok(()) }
    /// ```
    pub fn join_shared<F, Fut>(&self, key: impl Into<K>, work: F) -> JoinShared<K, V, F, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        JoinShared::new(Arc::clone(&self.router), self.options.clone(), key.into(), work)
    }
}

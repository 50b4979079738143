//! A handle's joins whose values are results.

use std::{
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use super::Handle;
use crate::join::{TryJoin, TryJoinShared};

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
    /// # Errors
    ///
    /// The future's output is [`TryJoinError::Work`](crate::TryJoinError::Work) if the work returned an error, and
    /// [`TryJoinError::Join`](crate::TryJoinError::Join) where [`join`](Self::join) fails.
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
        TryJoin::new(Arc::clone(self.router()), self.options().clone(), key.into(), work)
    }
}

impl<K, T, E, S> Handle<K, Result<T, E>, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
    S: BuildHasher,
{
    /// [`try_join`](Self::try_join) for errors that can't be cloned, such as [`std::io::Error`]: all callers of a flight get
    /// the same `Arc` of its error, and clones of its value.
    ///
    /// All methods may be used for one key, and their callers share flights. One pair of them doesn't go together where the work
    /// fails: `join_shared` takes the whole `Result` in an `Arc`, and out of that no error can be taken. If callers of both are
    /// in one flight, and none of [`join`](Self::join), [`try_join`](Self::try_join) or their blocking forms, which would say
    /// how to clone the error, then those of `try_join_shared` get [`JoinError::MixedJoins`](crate::JoinError::MixedJoins).
    ///
    /// Costs the allocation of the `Arc` where the work fails, and of another where callers of other methods are in the flight.
    ///
    /// # Cancellation
    ///
    /// As [`join`](Self::join).
    ///
    /// # Errors
    ///
    /// The future's output is [`TryJoinError::Work`](crate::TryJoinError::Work) if the work returned an error, and
    /// [`TryJoinError::Join`](crate::TryJoinError::Join) where [`join`](Self::join) fails.
    ///
    /// # Panics
    ///
    /// As [`join`](Self::join).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use shardflight::{Coalescer, TryJoinError};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let handle = Coalescer::<String, Result<String, io::Error>>::new().handle();
    /// let read = || async { std::fs::read_to_string("/no/such/file") };
    /// let (first, second) = tokio::join!(
    ///     handle.try_join_shared("/no/such/file", read),
    ///     handle.try_join_shared("/no/such/file", read),
    /// );
    /// let (Err(TryJoinError::Work(first)), Err(TryJoinError::Work(second))) = (first, second) else { panic!() };
    /// assert_eq!(first.kind(), io::ErrorKind::NotFound);
    /// assert!(std::sync::Arc::ptr_eq(&first, &second));
    /// # }
    /// ```
    pub fn try_join_shared<F, Fut>(&self, key: impl Into<K>, work: F) -> TryJoinShared<K, T, E, F, S>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        TryJoinShared::new(Arc::clone(self.router()), self.options().clone(), key.into(), work)
    }
}

//! How the work's error gets to all callers.

use std::{
    hash::{BuildHasher, Hash},
    io,
    marker::PhantomData,
    sync::Arc,
};

use super::failure::{HoldsAny, Io, TakesArc};
use crate::{
    error::{JoinError, SharedError, TryJoinError},
    handle::Handle,
};

/// Makes a caller's error of the one that all callers share.
pub trait FromShared<W>: Sized {
    fn from_shared(error: Arc<Self>) -> Self;
}

impl<E: From<SharedError<E>>> FromShared<HoldsAny> for E {
    fn from_shared(error: Arc<Self>) -> Self {
        SharedError::from(error).into()
    }
}

/// [`io::Error`] alone.
pub trait IoError: From<JoinError> {
    fn wrap(error: Arc<Self>) -> Self;
}

impl IoError for io::Error {
    fn wrap(error: Arc<Self>) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::from_raw_os_error(code),
            None => Self::new(error.kind(), error),
        }
    }
}

impl<E: IoError> FromShared<Io> for E {
    fn from_shared(error: Arc<Self>) -> Self {
        Self::wrap(error)
    }
}

impl<E: From<Arc<E>>> FromShared<TakesArc> for E {
    fn from_shared(error: Arc<Self>) -> Self {
        error.into()
    }
}

/// How an error gets from the work to its callers. A caller that is alone gets no other error than one of many: what it can do
/// with the error doesn't depend on who else called.
pub trait Sharing<E: Send + Sync + 'static> {
    /// One caller's error, of the one that a cache's load shares.
    #[cfg(feature = "cache")]
    fn from_shared(error: Arc<E>) -> E;

    /// Takes the handle: the future can't borrow it, and a trait's method has no other way to say so.
    fn join<K, T, S, F, Fut>(
        handle: Handle<K, Result<T, E>, S>,
        key: K,
        work: F,
    ) -> impl Future<Output = Result<T, TryJoinError<E>>> + Send
    where
        K: Hash + Eq + Send + 'static,
        T: Clone + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static;

    #[track_caller]
    fn blocking_join<K, T, S, F>(handle: &Handle<K, Result<T, E>, S>, key: K, work: F) -> Result<T, TryJoinError<E>>
    where
        K: Hash + Eq + Send + 'static,
        T: Clone + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static;
}

/// Each caller gets a clone.
#[derive(Debug)]
pub struct ByClone;

impl<E: Clone + Send + Sync + 'static> Sharing<E> for ByClone {
    #[cfg(feature = "cache")]
    fn from_shared(error: Arc<E>) -> E {
        Arc::unwrap_or_clone(error)
    }

    fn join<K, T, S, F, Fut>(
        handle: Handle<K, Result<T, E>, S>,
        key: K,
        work: F,
    ) -> impl Future<Output = Result<T, TryJoinError<E>>> + Send
    where
        K: Hash + Eq + Send + 'static,
        T: Clone + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        handle.try_join(key, work)
    }

    fn blocking_join<K, T, S, F>(handle: &Handle<K, Result<T, E>, S>, key: K, work: F) -> Result<T, TryJoinError<E>>
    where
        K: Hash + Eq + Send + 'static,
        T: Clone + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        handle.blocking_try_join(key, work)
    }
}

/// Each caller gets an error made of the `Arc`.
#[derive(Debug)]
pub struct ByArc<W>(PhantomData<W>);

impl<W, E: FromShared<W> + Send + Sync + 'static> Sharing<E> for ByArc<W> {
    #[cfg(feature = "cache")]
    fn from_shared(error: Arc<E>) -> E {
        <E as FromShared<W>>::from_shared(error)
    }

    fn join<K, T, S, F, Fut>(
        handle: Handle<K, Result<T, E>, S>,
        key: K,
        work: F,
    ) -> impl Future<Output = Result<T, TryJoinError<E>>> + Send
    where
        K: Hash + Eq + Send + 'static,
        T: Clone + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let join = handle.try_join_shared(key, work);
        async { join.await.map_err(|error| error.map_work(E::from_shared)) }
    }

    fn blocking_join<K, T, S, F>(handle: &Handle<K, Result<T, E>, S>, key: K, work: F) -> Result<T, TryJoinError<E>>
    where
        K: Hash + Eq + Send + 'static,
        T: Clone + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        handle.blocking_try_join_shared(key, work).map_err(|error| error.map_work(E::from_shared))
    }
}

//! Calls of functions that keep what they return in a cache: the option `cache`.
//!
//! A function that returns a `Result` has a cache of its values, whose error is the `Arc` of the function's: so callers share it in
//! the same ways as without a cache, whether it is `Clone` or not. The negative entries of any other function are `Arc`s of
//! values.

mod attempt;
mod fill;
mod place;
mod slot;

pub use self::{
    attempt::{Access, Part, Wanted},
    fill::{keep_negative, keep_result, keep_value, of_shared},
    place::{Configure, PrivateCache, invalidate, peek},
};
pub use super::needs::cache_key;
pub use crate::cache::{CacheStats, Fill};

pub(super) use self::slot::AnyCache;

use std::{hash::Hash, sync::Arc};

use self::attempt::{Loader, attempt};
use super::{
    Boxed,
    failure::Failure,
    into_failure,
    needs::{SharedFailure, Value},
    refuse,
    sharing::Sharing,
};
use crate::error::TryJoinError;

/// A call of a function that doesn't return a `Result`. `make` makes the key, or the work and what says how to keep its value.
///
/// # Panics
///
/// Panics with the work's message if the work panics, and with the [`JoinError`](crate::JoinError) if the load fails otherwise.
pub fn join<'a, O, K, W, F, G, V, M>(
    function: &'static str,
    access: Access,
    place: PrivateCache<O, K, V, Arc<V>>,
    mut make: impl FnMut(Wanted) -> Part<K, (W, G)> + Send + 'a,
) -> Boxed<'a, V>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = V> + Send + 'static,
    G: FnOnce(V) -> Fill<V, Arc<V>> + Send + 'static,
    V: Value<M>,
{
    Box::pin(async move {
        let load = |(work, keep): (W, G)| -> Loader<V, Arc<V>> {
            Box::new(|_| Box::pin(async move { Ok(keep(work().await)) }))
        };
        match attempt(access, &place, &mut |wanted| make(wanted).map(load)).await {
            Ok(value) => value,
            Err(TryJoinError::Work(value)) => Arc::unwrap_or_clone(value),
            Err(TryJoinError::Join(error)) => refuse(function, &error),
        }
    })
}

/// [`join`] where the function returns a `Result`, whose error goes this way.
pub fn try_join<'a, O, K, W, F, G, T, E, M, N>(
    access: Access,
    place: PrivateCache<O, K, T, Arc<E>>,
    _way: N,
    make: impl FnMut(Wanted) -> Part<K, (W, G)> + Send + 'a,
) -> Boxed<'a, Result<T, E>>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    G: FnOnce(T) -> Fill<T, Arc<E>> + Send + 'static,
    T: Value<M>,
    E: Failure<N>,
{
    Box::pin(async move {
        let answer = try_attempt(access, &place, make).await;
        answer.map_err(|error| into_failure(error.map_work(E::Sharing::from_shared)))
    })
}

/// [`try_join`] of a function that makes its error itself.
pub fn try_join_shared<'a, O, K, W, F, G, T, E, M, N>(
    access: Access,
    place: PrivateCache<O, K, T, Arc<E>>,
    make: impl FnMut(Wanted) -> Part<K, (W, G)> + Send + 'a,
) -> Boxed<'a, Result<T, TryJoinError<Arc<E>>>>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    G: FnOnce(T) -> Fill<T, Arc<E>> + Send + 'static,
    T: Value<M>,
    E: SharedFailure<N>,
{
    Box::pin(async move { try_attempt(access, &place, make).await })
}

async fn try_attempt<O, K, W, F, G, T, E>(
    access: Access,
    place: &PrivateCache<O, K, T, Arc<E>>,
    mut make: impl FnMut(Wanted) -> Part<K, (W, G)> + Send,
) -> Result<T, TryJoinError<Arc<E>>>
where
    O: ?Sized + 'static,
    K: Clone + Hash + Eq + Send + Sync + 'static,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    G: FnOnce(T) -> Fill<T, Arc<E>> + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let load = |(work, keep): (W, G)| -> Loader<T, Arc<E>> {
        Box::new(|_| Box::pin(async move { work().await.map(keep).map_err(Arc::new) }))
    };
    attempt(access, place, &mut |wanted| make(wanted).map(load)).await
}

//! The join futures; their common state machine is in `state`.

mod blocking;
mod results;
mod state;
mod timeout;

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

pub(crate) use self::blocking::{block_on, refuse_async_code};
use self::state::Joining;
use crate::{
    config::CallOptions,
    error::{JoinError, TryJoinError},
    router::Router,
    task::{AsyncWork, ByArc, ByClone, ByResult, BySharedError},
};

/// The future of [`Handle::join_shared`](crate::Handle::join_shared). Those of the other joins behave alike.
///
/// Nothing happens before it is first polled. It may be dropped at any moment, and no other caller depends on its being
/// polled (G2). It keeps the coalescer alive.
#[must_use = "joining is lazy: nothing happens before the future is polled"]
pub struct JoinShared<K, V, F, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    joining: Joining<K, V, AsyncWork<F, ByArc>, S>,
}

impl<K, V, F, Fut, S> Future for JoinShared<K, V, F, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
    S: BuildHasher,
{
    type Output = Result<Arc<V>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivered = ready!(Pin::new(&mut self.joining).poll(cx))?;
        Poll::Ready(delivered.into_arc())
    }
}

/// The future of [`Handle::join`](crate::Handle::join); see [`JoinShared`] for how it behaves.
#[must_use = "joining is lazy: nothing happens before the future is polled"]
pub struct Join<K, V, F, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    joining: Joining<K, V, AsyncWork<F, ByClone>, S>,
}

impl<K, V, F, Fut, S> Future for Join<K, V, F, S>
where
    K: Hash + Eq + Send + 'static,
    V: Clone + Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
    S: BuildHasher,
{
    type Output = Result<V, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivered = ready!(Pin::new(&mut self.joining).poll(cx))?;
        Poll::Ready(delivered.into_value(V::clone))
    }
}

/// The future of [`Handle::try_join`](crate::Handle::try_join); see [`JoinShared`] for how it behaves.
#[must_use = "joining is lazy: nothing happens before the future is polled"]
pub struct TryJoin<K, T, E, F, S>
where
    K: Eq + Send + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    joining: Joining<K, Result<T, E>, AsyncWork<F, ByResult>, S>,
}

impl<K, T, E, F, Fut, S> Future for TryJoin<K, T, E, F, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    S: BuildHasher,
{
    type Output = Result<T, TryJoinError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivered = ready!(Pin::new(&mut self.joining).poll(cx))?;
        Poll::Ready(delivered.into_value(Result::clone)?.map_err(TryJoinError::Work))
    }
}

/// The future of [`Handle::try_join_shared`](crate::Handle::try_join_shared); see [`JoinShared`] for how it behaves.
#[must_use = "joining is lazy: nothing happens before the future is polled"]
pub struct TryJoinShared<K, T, E, F, S>
where
    K: Eq + Send + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    joining: Joining<K, Result<T, E>, AsyncWork<F, BySharedError>, S>,
}

impl<K, T, E, F, Fut, S> Future for TryJoinShared<K, T, E, F, S>
where
    K: Hash + Eq + Send + 'static,
    T: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    S: BuildHasher,
{
    type Output = Result<T, TryJoinError<Arc<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivered = ready!(Pin::new(&mut self.joining).poll(cx))?;
        Poll::Ready(delivered.into_result())
    }
}

/// What all of them have in common.
macro_rules! joining {
    ($name:ident<$key:ident, $($types:ident),+>, $value:ty) => {
        impl<$key, $($types),+, F, S> $name<$key, $($types),+, F, S>
        where
            $key: Eq + Send + 'static,
            $($types: Send + Sync + 'static),+
        {
            pub(crate) fn new(router: Arc<Router<$key, $value, S>>, options: CallOptions, key: $key, work: F) -> Self {
                Self { joining: Joining::new(router, options, key, AsyncWork::new(work)) }
            }
        }

        impl<$key, $($types),+, F, S> fmt::Debug for $name<$key, $($types),+, F, S>
        where
            $key: Eq + Send + 'static,
            $($types: Send + Sync + 'static),+
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.joining).finish()
            }
        }
    };
}

joining!(JoinShared<K, V>, V);
joining!(Join<K, V>, V);
joining!(TryJoin<K, T, E>, Result<T, E>);
joining!(TryJoinShared<K, T, E>, Result<T, E>);

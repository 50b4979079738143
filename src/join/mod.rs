//! The join futures; their common state machine is in `state`.

pub(crate) mod alarm;
mod blocking;
mod cycle;
mod delivered;
mod enter;
mod in_place;
mod report;
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
pub use self::report::WithReport;
#[cfg(feature = "cache")]
pub(crate) use self::timeout::WaitTimeout;
use self::{report::Watched, state::Joining};
use crate::{
    config::SharedOptions,
    engine::Watch,
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

/// The future of [`Handle::join`](crate::Handle::join); see [`JoinShared`] for how it behaves.
#[must_use = "joining is lazy: nothing happens before the future is polled"]
pub struct Join<K, V, F, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    joining: Joining<K, V, AsyncWork<F, ByClone>, S>,
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

/// What all of them have in common.
macro_rules! joining {
    ($name:ident<$key:ident, $($types:ident),+>, $value:ty, [$($bounds:tt)+], $output:ty, $delivered:ident => $answer:expr) => {
        impl<$key, $($types),+, F, Fut, S> Future for $name<$key, $($types),+, F, S>
        where
            $key: Hash + Eq + Send + 'static,
            $($bounds)+,
            F: FnOnce() -> Fut + Send + 'static,
            Fut: Future<Output = $value> + Send + 'static,
            S: BuildHasher,
        {
            type Output = $output;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<$output> {
                self.poll_watched(cx, None)
            }
        }

        impl<$key, $($types),+, F, Fut, S> Watched for $name<$key, $($types),+, F, S>
        where
            $key: Hash + Eq + Send + 'static,
            $($bounds)+,
            F: FnOnce() -> Fut + Send + 'static,
            Fut: Future<Output = $value> + Send + 'static,
            S: BuildHasher,
        {
            #[inline]
            fn poll_watched(&mut self, cx: &mut Context<'_>, watch: Option<&Arc<Watch>>) -> Poll<$output> {
                let $delivered = ready!(self.joining.poll(cx, watch))?;
                Poll::Ready($answer)
            }
        }

        impl<$key, $($types),+, F, S> $name<$key, $($types),+, F, S>
        where
            $key: Eq + Send + 'static,
            $($types: Send + Sync + 'static),+
        {
            pub(crate) fn new(router: Arc<Router<$key, $value, S>>, options: SharedOptions, key: $key, work: F) -> Self {
                Self { joining: Joining::new(router, options, key, AsyncWork::new(work)) }
            }

            /// The same join, which also says whether this caller led or followed, when the flight started and how long it
            /// ran: see [`WithReport`].
            pub fn with_report(self) -> WithReport<Self> {
                WithReport::new(self)
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

joining!(JoinShared<K, V>, V, [V: Send + Sync + 'static], Result<Arc<V>, JoinError>, delivered => delivered.into_arc());
joining!(
    Join<K, V>, V, [V: Clone + Send + Sync + 'static], Result<V, JoinError>,
    delivered => delivered.into_value(V::clone)
);
joining!(
    TryJoin<K, T, E>, Result<T, E>, [T: Clone + Send + Sync + 'static, E: Clone + Send + Sync + 'static],
    Result<T, TryJoinError<E>>,
    delivered => delivered.into_value(Result::clone)?.map_err(TryJoinError::Work)
);
joining!(
    TryJoinShared<K, T, E>, Result<T, E>, [T: Clone + Send + Sync + 'static, E: Send + Sync + 'static],
    Result<T, TryJoinError<Arc<E>>>,
    delivered => delivered.into_result()
);

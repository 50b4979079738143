//! Runtime support for the code that `#[coalesce]` generates. Hidden and not a part of the public API: it changes with the
//! macro.
//!
//! The macro generates a call's place (the coalescer to join), its key and its work; everything else is here. Bounds use the
//! traits of `needs`, whose compile errors are about coalesced functions.

#[cfg(feature = "cache")]
pub mod caching;
mod failure;
mod needs;
mod place;
mod runtime;
mod sharing;
mod slot;

pub use failure::{Fallible, probe, ways};
pub use needs::{argument, body, borrowed, key, key_borrowed, key_part, lend, receiver};
pub use place::{Place, PrivateCoalescer, named};
pub use slot::Slot;

pub use crate::{Builder, Flight, OnAbandon, OnExpiry, Stats};

use std::{pin::Pin, sync::Arc};

use crate::{
    error::{JoinError, TryJoinError},
    handle::Handle,
};
use failure::Failure;
use needs::{SharedFailure, Value};
use sharing::Sharing;

/// Boxed to hide the key's type: if that contains a lifetime, even `'static`, the compiler can't prove that an async function's
/// future may be spawned.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How often a call joins before it gives up. It joins again only after its private coalescer's runtime has shut down. A call
/// whose own runtime is shutting down may use up all attempts.
const ATTEMPTS: usize = 16;

/// A call of a function that doesn't return a `Result`. `make` makes the key and the work of one attempt.
///
/// # Panics
///
/// Panics with the work's message if the work panics, and with the [`JoinError`] if the join fails otherwise.
pub fn join<'a, P, Q, W, F, V, M>(
    function: &'static str,
    place: P,
    mut make: impl FnMut() -> (Q, W) + Send + 'a,
) -> Boxed<'a, V>
where
    P: Place<Q, Value = V>,
    Q: 'a,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = V> + Send + 'static,
    V: Value<M>,
{
    Box::pin(async move {
        let answer = retry(&place, |handle| {
            let (key, work) = make();
            handle.join(place.key(key), work)
        });
        answer.await.unwrap_or_else(|error| refuse(function, &error))
    })
}

/// [`join`] where the function returns a `Result`, whose error goes this way.
pub fn try_join<'a, P, Q, W, F, T, E, M, N>(
    place: P,
    _way: N,
    mut make: impl FnMut() -> (Q, W) + Send + 'a,
) -> Boxed<'a, Result<T, E>>
where
    P: Place<Q, Value = Result<T, E>>,
    Q: 'a,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Value<M>,
    E: Failure<N>,
{
    Box::pin(async move {
        let answer = retry(&place, |handle| {
            let (key, work) = make();
            E::Sharing::join(handle.clone(), place.key(key), work)
        });
        answer.await.map_err(into_failure)
    })
}

/// [`try_join`] of a function that makes its error itself.
pub fn try_join_shared<'a, P, Q, W, F, T, E, M, N>(
    place: P,
    mut make: impl FnMut() -> (Q, W) + Send + 'a,
) -> Boxed<'a, Result<T, TryJoinError<Arc<E>>>>
where
    P: Place<Q, Value = Result<T, E>>,
    Q: 'a,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Value<M>,
    E: SharedFailure<N>,
{
    Box::pin(async move {
        let join = |handle: &Handle<_, _, _>| {
            let (key, work) = make();
            handle.try_join_shared(place.key(key), work)
        };
        retry(&place, join).await
    })
}

/// Applies the `map_err` of a function that returns `R`. A function of its own, as it tells the compiler the type of a closure's
/// argument.
pub fn map_err<R, T, F>(answer: Result<T, TryJoinError<Arc<R::Error>>>, map: F) -> Result<T, R::Error>
where
    R: Fallible,
    F: FnOnce(TryJoinError<Arc<R::Error>>) -> R::Error,
{
    answer.map_err(map)
}

/// [`join`] for blocking functions, called by plain threads.
#[track_caller]
pub fn blocking_join<P, Q, W, V, M>(function: &str, place: &P, make: impl FnOnce() -> (Q, W)) -> V
where
    P: Place<Q, Value = V>,
    W: FnOnce() -> V + Send + 'static,
    V: Value<M>,
{
    // No retry: private coalescers of blocking functions are on the dedicated runtime, which never shuts down.
    let (key, work) = make();
    match place.handle().blocking_join(place.key(key), work) {
        Ok(value) => value,
        Err(error) => refuse(function, &error),
    }
}

/// [`try_join`] for blocking functions, called by plain threads.
#[track_caller]
pub fn blocking_try_join<P, Q, W, T, E, M, N>(place: &P, _way: N, make: impl FnOnce() -> (Q, W)) -> Result<T, E>
where
    P: Place<Q, Value = Result<T, E>>,
    W: FnOnce() -> Result<T, E> + Send + 'static,
    T: Value<M>,
    E: Failure<N>,
{
    let (key, work) = make();
    E::Sharing::blocking_join(&place.handle(), place.key(key), work).map_err(into_failure)
}

/// [`try_join_shared`] for blocking functions, called by plain threads.
#[track_caller]
pub fn blocking_try_join_shared<P, Q, W, T, E, M, N>(
    place: &P,
    make: impl FnOnce() -> (Q, W),
) -> Result<T, TryJoinError<Arc<E>>>
where
    P: Place<Q, Value = Result<T, E>>,
    W: FnOnce() -> Result<T, E> + Send + 'static,
    T: Value<M>,
    E: SharedFailure<N>,
{
    let (key, work) = make();
    place.handle().blocking_try_join_shared(place.key(key), work)
}

fn into_failure<E: Failure<W>, W>(error: TryJoinError<E>) -> E {
    match error {
        TryJoinError::Work(error) => error,
        TryJoinError::Join(error) => E::from_join(error),
    }
}

#[track_caller]
fn refuse(function: &str, error: &JoinError) -> ! {
    match error {
        JoinError::Panicked(panic) => panic!("{}", panic.message()),
        error => panic!("the coalesced call of `{function}` has no answer, and no `Result` to say so in: {error}"),
    }
}

/// Returns whether there was a flight to detach: `false` if there is no coalescer, or if it has shut down.
pub fn forget<P: Place<Q>, Q>(place: P, key: Q) -> Boxed<'static, bool> {
    let key = place.key(key);
    Box::pin(async move {
        let Some(handle) = place.existing() else { return false };
        handle.forget(key).await.unwrap_or(false)
    })
}

/// Blocks a plain thread until the future completes.
#[track_caller]
pub fn wait<F: Future>(future: F) -> F::Output {
    runtime::dedicated().block_on(future)
}

/// All zeros if the coalescer has shut down.
pub fn stats<K, V, S>(handle: Handle<K, V, S>) -> Boxed<'static, Stats>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: Send + Sync + 'static,
{
    Box::pin(async move { handle.stats().await.unwrap_or_default() })
}

/// Whether an error may mean that the coalescer's runtime has shut down.
trait RuntimeGone {
    fn is_runtime_gone(&self) -> bool;
}

impl RuntimeGone for JoinError {
    fn is_runtime_gone(&self) -> bool {
        matches!(self, Self::Closed | Self::Aborted)
    }
}

impl<E> RuntimeGone for TryJoinError<E> {
    fn is_runtime_gone(&self) -> bool {
        matches!(self, Self::Join(error) if error.is_runtime_gone())
    }
}

/// Joins again while the coalescer's runtime has shut down and the place can build another one.
async fn retry<P, Q, A, T, E>(
    place: &P,
    mut join: impl FnMut(&Handle<P::Key, P::Value, P::Hasher>) -> A + Send,
) -> Result<T, E>
where
    P: Place<Q>,
    A: Future<Output = Result<T, E>> + Send,
    E: RuntimeGone,
{
    for _ in 1..ATTEMPTS {
        let handle = place.handle();
        match join(&handle).await {
            Err(error) if error.is_runtime_gone() && place.replace(&handle) => {}
            answer => return answer,
        }
    }
    join(&place.handle()).await
}

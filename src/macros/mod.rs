//! What the code calls that `#[coalesce]` writes. Hidden, and no part of the public API: it changes with the macro.
//!
//! The macro says where a call is to be joined, what its key is and what its work; everything else is here. Bounds are
//! the traits of `needs`, whose compile errors speak of coalesced functions.

mod needs;
mod place;
mod slot;
mod thread;

pub use needs::{argument, body, borrowed, key, key_borrowed, key_part, lend, receiver};
pub use place::{Place, Private, named};
pub use slot::Slot;

pub use crate::{Builder, OnAbandon, OnExpiry, Stats};

use std::pin::Pin;

use crate::{
    error::{JoinError, TryJoinError},
    handle::Handle,
};
use needs::{Failure, Value};

/// Boxed, and so without the types of keys in it: for those that have lifetimes, `&'static str` among them, the compiler
/// can't show that an async function's future may be spawned.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How often a call may lose the coalescer that it has joined before it gives up. Each time a runtime has to end beneath
/// it; a call whose own runtime is ending may well lose them all.
const ATTEMPTS: usize = 16;

/// The call of a function that has nowhere to put an error. `make` gives the key and the work, anew for each attempt.
///
/// # Panics
///
/// With the work's message if the work does, and with what went wrong if there is no answer.
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
        let answer = persist(&place, |handle| {
            let (key, work) = make();
            handle.join(place.key(key), work)
        });
        answer.await.unwrap_or_else(|error| refuse(function, &error))
    })
}

/// [`join`] where the function returns a `Result`.
pub fn try_join<'a, P, Q, W, F, T, E, M, N>(
    place: P,
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
        let answer = persist(&place, |handle| {
            let (key, work) = make();
            handle.try_join(place.key(key), work)
        });
        answer.await.map_err(|error| match error {
            TryJoinError::Work(error) => error,
            TryJoinError::Join(error) => E::from(error),
        })
    })
}

/// [`join`] for plain threads, with work that blocks.
#[track_caller]
pub fn blocking_join<P, Q, W, V, M>(function: &str, place: &P, make: impl FnOnce() -> (Q, W)) -> V
where
    P: Place<Q, Value = V>,
    W: FnOnce() -> V + Send + 'static,
    V: Value<M>,
{
    // One attempt: the thread that private coalescers of blocking functions live on doesn't end.
    let (key, work) = make();
    match place.handle().blocking_join(place.key(key), work) {
        Ok(value) => value,
        Err(error) => refuse(function, &error),
    }
}

/// [`try_join`] for plain threads, with work that blocks.
#[track_caller]
pub fn blocking_try_join<P, Q, W, T, E, M, N>(place: &P, make: impl FnOnce() -> (Q, W)) -> Result<T, E>
where
    P: Place<Q, Value = Result<T, E>>,
    W: FnOnce() -> Result<T, E> + Send + 'static,
    T: Value<M>,
    E: Failure<N>,
{
    let (key, work) = make();
    place.handle().blocking_join(place.key(key), work).unwrap_or_else(|error| Err(E::from(error)))
}

#[track_caller]
fn refuse(function: &str, error: &JoinError) -> ! {
    match error {
        JoinError::Panicked(panic) => panic!("{}", panic.message()),
        error => panic!("the coalesced call of `{function}` has no answer, and no `Result` to say so in: {error}"),
    }
}

/// Whether there was a flight to detach. A coalescer that isn't there, or no more, has none.
pub fn forget<P: Place<Q>, Q>(place: P, key: Q) -> Boxed<'static, bool> {
    let key = place.key(key);
    Box::pin(async move {
        let Some(handle) = place.present() else { return false };
        handle.forget(key).await.unwrap_or(false)
    })
}

/// For plain threads, on which it waits.
#[track_caller]
pub fn wait<F: Future>(future: F) -> F::Output {
    thread::runtime().block_on(future)
}

/// All zeros where no coalescer is there, or no more.
pub fn stats<K, V, S>(handle: Handle<K, V, S>) -> Boxed<'static, Stats>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: Send + Sync + 'static,
{
    Box::pin(async move { handle.stats().await.unwrap_or_default() })
}

/// What stands for "the runtime that this ran on is gone" in an answer.
trait Lost {
    fn is_lost(&self) -> bool;
}

impl Lost for JoinError {
    fn is_lost(&self) -> bool {
        matches!(self, Self::Closed | Self::Aborted)
    }
}

impl<E> Lost for TryJoinError<E> {
    fn is_lost(&self) -> bool {
        matches!(self, Self::Join(error) if error.is_lost())
    }
}

/// Joins again where the place says that it is worth it.
async fn persist<P, Q, A, T, E>(
    place: &P,
    mut join: impl FnMut(&Handle<P::Key, P::Value, P::Hasher>) -> A + Send,
) -> Result<T, E>
where
    P: Place<Q>,
    A: Future<Output = Result<T, E>> + Send,
    E: Lost,
{
    for _ in 1..ATTEMPTS {
        let handle = place.handle();
        match join(&handle).await {
            Err(error) if error.is_lost() && place.renew(&handle) => {}
            answer => return answer,
        }
    }
    join(&place.handle()).await
}

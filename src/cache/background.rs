//! Loads that go on without their readers: then in tasks, which are callers of the flight.

use std::{
    hash::Hash,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::{Either, select};

use super::{
    claims::{RefreshClaim, SlowMark},
    entry::Entry,
    fill::{Fill, Previous},
    find::Answer,
    handle::CacheHandle,
    limit::within,
    load::Reason,
    loader::Loader,
    read::Joined,
    served::StaleReason,
    state::CacheState,
    store::StoredKey,
    trace,
};
use crate::{
    error::{JoinError, JoinErrorKind},
    sync::{Runtime, boxed_task, oneshot},
    unwind::Contained,
};

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// In a task, which is a caller of the flight: it goes on when all readers have left, whatever
    /// [`OnAbandon`](crate::OnAbandon) says.
    pub(super) fn refresh_in_background<L, Fut>(
        &self,
        key: &StoredKey<K>,
        load: Contained<L>,
        claim: RefreshClaim<V, E>,
    ) where
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        // What the cache has is served on after a shutdown, and nothing can replace it.
        if self.flights().closed_reason().is_some() {
            return;
        }
        let state = Arc::clone(self.state());
        let join = self.join(key, Loader::once(load), Reason::Refresh(Arc::clone(claim.entry())));
        state.counters.refreshes.up();
        let (runtime, entry) = (state.runtime.clone(), Arc::clone(claim.entry()));
        let waiting = async move { drop(wait_holding(claim, &entry, pin!(join), &state).await) };
        drop(runtime.spawn(boxed_task(waiting)));
    }

    /// What a join ends with, or the expired entry if that takes longer than the soft timeout.
    pub(super) async fn join_softly(
        &self,
        key: &StoredKey<K>,
        join: impl Future<Output = Joined<V, E>> + Send + 'static,
        limit: Duration,
        entry: &Arc<Entry<V, E>>,
    ) -> Result<Either<Answer<V, E>, Joined<V, E>>, JoinError> {
        let (slow, is_slow) = oneshot::async_channel();
        let (state, loaded) = (Arc::clone(self.state()), Arc::clone(entry));
        let mut joined = self.go_on(async move {
            let mut join = pin!(join);
            if let Ok(joined) = within(Some(limit), join.as_mut()).await {
                return joined;
            }
            // Before the reader is told: the next one doesn't wait for this load.
            let mark = SlowMark::on(Arc::clone(&loaded));
            let _ = slow.send(());
            trace::load_slow(state.config.name());
            wait_holding(mark, &loaded, join, &state).await
        });
        let joined = match select(&mut joined, is_slow).await {
            Either::Left((joined, _)) => joined,
            Either::Right(_) => match self.fall_back(key, entry, StaleReason::LoadSlow)? {
                Some(answer) => return Ok(Either::Left(answer)),
                None => joined.await,
            },
        };
        Ok(Either::Right(joined))
    }

    /// Goes on in a task when it is dropped before its end. Up to there its caller polls it: a load that waits for another is known to
    /// do so, which finds cycles (G12) and lends permits.
    pub(super) fn go_on<F>(&self, future: F) -> GoesOn<F>
    where
        F: Future + Send + 'static,
    {
        GoesOn { future: Some(Box::pin(future)), runtime: self.state().runtime.clone() }
    }
}

pub(super) struct GoesOn<F: Future + Send + 'static> {
    future: Option<Pin<Box<F>>>,
    runtime: Runtime,
}

impl<F: Future + Send + 'static> Future for GoesOn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.future.as_mut().expect("it is not polled after its end");
        let output = ready!(future.as_mut().poll(cx));
        self.future = None;
        Poll::Ready(output)
    }
}

impl<F: Future + Send + 'static> Drop for GoesOn<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            drop(self.runtime.spawn(boxed_task(async move { drop(future.await) })));
        }
    }
}

/// Waits for the load of an entry's key, and holds on to what keeps other reads from loading it: until new joins pass over its
/// flight, which may never end.
async fn wait_holding<K, V, E, G>(
    guard: G,
    entry: &Entry<V, E>,
    mut join: Pin<&mut impl Future<Output = Joined<V, E>>>,
    state: &CacheState<K, V, E>,
) -> Joined<V, E>
where
    K: Clone + Eq + Hash,
{
    let joined = within(state.config.passed_over_after, join.as_mut()).await;
    // Of an error that the loader returned, the load has told.
    if joined.as_ref().map_or(true, |joined| joined.as_ref().is_err_and(is_load_failure)) {
        state.note_failure(entry, state.clock.now());
    }
    drop(guard);
    match joined {
        Ok(joined) => joined,
        Err(_) => join.await,
    }
}

/// Whether the load failed, rather than the caller's use of the cache: then an expired value is the better answer.
pub(super) fn is_load_failure(error: &JoinError) -> bool {
    !matches!(error.kind(), JoinErrorKind::Reentrant | JoinErrorKind::Closed)
}

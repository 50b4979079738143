//! Loads that go on without their readers: in tasks, which are callers of the flight.

use std::{
    future::poll_fn,
    hash::Hash,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::future::Either;

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
    sync::{boxed_task, oneshot},
    unwind::Contained,
};

/// A join with a soft timeout.
struct SoftJoin<V, E> {
    /// Told if the timeout passes first, and dropped otherwise.
    is_slow: oneshot::AsyncReceiver<()>,
    joined: oneshot::AsyncReceiver<Joined<V, E>>,
}

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
        let mut join = Box::pin(join);
        if let Some(joined) = at_once(&mut join).await {
            return Ok(Either::Right(joined));
        }
        let SoftJoin { is_slow, joined } = self.go_on_softly(join, limit, Arc::clone(entry));
        if is_slow.await.is_ok()
            && let Some(answer) = self.fall_back(key, entry, StaleReason::LoadSlow)?
        {
            return Ok(Either::Left(answer));
        }
        Ok(Either::Right(joined.await.unwrap_or(Err(JoinError::Aborted))))
    }

    /// Waits for a join in a task, which goes on when the reader has left.
    fn go_on_softly(
        &self,
        mut join: Pin<Box<impl Future<Output = Joined<V, E>> + Send + 'static>>,
        limit: Duration,
        entry: Arc<Entry<V, E>>,
    ) -> SoftJoin<V, E> {
        let state = Arc::clone(self.state());
        let ((slow, is_slow), (sender, answer)) = (oneshot::async_channel(), oneshot::async_channel());
        let runtime = state.runtime.clone();
        drop(runtime.spawn(boxed_task(async move {
            if let Ok(joined) = within(Some(limit), &mut join).await {
                let _ = sender.send(joined);
                return;
            }
            // Before the reader is told: the next one doesn't wait for this load.
            let mark = SlowMark::on(Arc::clone(&entry));
            let _ = slow.send(());
            trace::load_slow(state.config.name());
            let _ = sender.send(wait_holding(mark, &entry, join.as_mut(), &state).await);
        })));
        SoftJoin { is_slow, joined: answer }
    }
}

/// The first poll of a join, where its caller is: a load that reads its own key is told so (G12).
pub(super) async fn at_once<T>(join: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut *join).poll(cx))).await;
    match polled {
        Poll::Ready(joined) => Some(joined),
        Poll::Pending => None,
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

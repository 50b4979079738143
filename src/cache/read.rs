//! A read: a hit, or a join of the key's load.

use std::{
    borrow::Borrow,
    future::{poll_fn, ready},
    hash::Hash,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::future::{Either, select};

use super::{
    entry::{Entry, RefreshClaim, SlowMark},
    fill::{Fill, Previous},
    find::{Answer, Found, work_error},
    handle::CacheHandle,
    key::ReadKey,
    limit::within,
    load::{Load, LoadResult, Loader, Reason},
    served::StaleReason,
    store::StoredKey,
    trace,
};
use crate::{
    error::{JoinError, JoinErrorKind, TryJoinError},
    sync::{oneshot, sleep},
    unwind::{Contained, catch},
};

/// A load that a read waits for: short for what it stands on.
pub(super) trait Loading<V, E>: Future<Output = Read<V, E>> + Send {}

impl<V, E, F: Future<Output = Read<V, E>> + Send> Loading<V, E> for F {}

pub(super) type Read<V, E> = Result<Answer<V, E>, TryJoinError<E>>;
type Joined<V, E> = Result<LoadResult<V, E>, JoinError>;

/// A join with a soft timeout.
struct SoftJoin<V, E> {
    /// Told if the timeout passes first, and dropped otherwise.
    is_slow: oneshot::AsyncReceiver<()>,
    answer: oneshot::AsyncReceiver<Joined<V, E>>,
}

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// What the cache has, or the load of the key: boxed, so that hits don't move a future with room for a join.
    pub(super) fn read<Q, L, Fut>(&self, key: Q, load: L) -> impl Loading<V, E>
    where
        K: Borrow<Q::Borrowed>,
        Q: ReadKey<K>,
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let load = Contained::new(load);
        // A panic in the key's `Hash` or `Eq`, or in its conversion.
        let panicked = |panic| Either::Left(ready(Err(JoinError::Panicked(panic).into())));
        let (hash, found) = match catch(|| self.state().find(key.borrowed())) {
            Ok(found) => found,
            Err(panic) => return panicked(panic),
        };
        match found {
            Found::Answer(answer) => Either::Left(ready(Ok(answer))),
            Found::Refresh(answer, claim) => {
                // If the key can't be cloned, the right goes with it, and the answer stands.
                let _ = catch(|| {
                    let key = StoredKey::new(hash, key.into_owned());
                    self.refresh_in_background(&key, load, claim);
                });
                Either::Left(ready(Ok(answer)))
            }
            Found::Missed(fallback) => {
                self.state().counters.misses.up();
                match catch(|| key.into_owned()) {
                    Ok(key) => Either::Right(Box::pin(self.load(StoredKey::new(hash, key), load, fallback))),
                    Err(panic) => panicked(panic),
                }
            }
        }
    }

    /// Has the key loaded whatever the cache has, and goes on with that if the caller leaves.
    pub(super) async fn load_anew<L, Fut>(&self, key: K, load: L) -> Read<V, E>
    where
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let state = self.state();
        let key = Contained::new(key);
        let hash = catch(|| state.store.hash(key.get())).map_err(JoinError::Panicked)?;
        let key = StoredKey::new(hash, key.into_inner());
        let began = state.tags.generation();
        let mut loader = Loader::new(Contained::new(load), began);
        let loading = async {
            loop {
                let join = catch(|| self.join(&key, loader.lend(), Reason::Asked)).map_err(JoinError::Panicked)?;
                let mut join = Box::pin(join);
                // At first here: a load that refreshes its own key is told so (G12).
                let joined = match poll_fn(|cx| Poll::Ready(join.as_mut().poll(cx))).await {
                    Poll::Ready(joined) => joined,
                    Poll::Pending => {
                        let (sender, joined) = oneshot::async_channel();
                        drop(state.runtime.spawn(async move {
                            let _ = sender.send(join.await);
                        }));
                        joined.await.unwrap_or(Err(JoinError::Aborted))
                    }
                };
                let LoadResult(result) = joined?;
                if let Some(result) = state.unless_too_old(result, began) {
                    let answer = result.map(|outcome| state.answer(outcome));
                    return answer.map_err(|failure| work_error(failure.error));
                }
            }
        };
        within(self.max_wait(), loading).await.unwrap_or_else(|after| Err(JoinError::TimedOut { after }.into()))
    }

    fn load<L, Fut>(
        &self,
        key: StoredKey<K>,
        load: Contained<L>,
        fallback: Option<Arc<Entry<V, E>>>,
    ) -> impl Loading<V, E>
    where
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let state = self.state();
        let began = state.tags.generation();
        let mut loader = Loader::new(load, began);
        async move {
            let loading = async {
                loop {
                    let join = catch(|| self.join(&key, loader.lend(), Reason::Missed)).map_err(JoinError::Panicked)?;
                    let joined = match (&fallback, state.config.soft_timeout) {
                        (Some(entry), Some(limit)) => {
                            let joined = self.join_softly(join, limit, Arc::clone(entry));
                            if joined.is_slow.await.is_ok()
                                && let Some(answer) = self.fall_back(&key, entry, StaleReason::LoadSlow)?
                            {
                                return Ok(answer);
                            }
                            joined.answer.await.unwrap_or(Err(JoinError::Aborted))
                        }
                        _ => join.await,
                    };
                    let result = match joined {
                        Ok(LoadResult(result)) => result,
                        Err(error) => {
                            let Some(entry) = fallback.as_ref().filter(|_| is_load_failure(&error)) else {
                                return Err(error.into());
                            };
                            state.note_failure(entry, state.clock.now());
                            return self
                                .fall_back(&key, entry, StaleReason::LoadFailed)?
                                .ok_or(TryJoinError::Join(error));
                        }
                    };
                    if let Some(result) = state.unless_too_old(result, began) {
                        let answer = result.map(|outcome| state.answer_read(outcome));
                        return answer.map_err(|failure| work_error(failure.error));
                    }
                }
            };
            match within(self.max_wait(), loading).await {
                Ok(read) => read,
                // The load goes on, so the key's next one needs no backoff.
                Err(after) => match &fallback {
                    Some(entry) => self.fall_back(&key, entry, StaleReason::LoadSlow)?,
                    None => None,
                }
                .ok_or(JoinError::TimedOut { after }.into()),
            }
        }
    }

    /// An expired value in place of a load's, if it may be served. Runs the key's `Eq`.
    fn fall_back(
        &self,
        key: &StoredKey<K>,
        entry: &Arc<Entry<V, E>>,
        why: StaleReason,
    ) -> Result<Option<Answer<V, E>>, JoinError> {
        catch(|| self.state().fall_back(key, entry, why)).map_err(JoinError::Panicked)
    }

    fn join<L, Fut>(
        &self,
        key: &StoredKey<K>,
        loader: Loader<L>,
        reason: Reason<V, E>,
    ) -> impl Future<Output = Joined<V, E>> + Send + 'static + use<K, V, E, L, Fut>
    where
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let load = Load { state: Arc::clone(self.state()), key: key.clone(), loader, reason };
        self.flights().join(key.get().clone(), move || load.run())
    }

    /// In a task, which is a caller of the flight: it goes on when all readers have left, whatever
    /// [`OnAbandon`](crate::OnAbandon) says.
    fn refresh_in_background<L, Fut>(&self, key: &StoredKey<K>, load: Contained<L>, claim: RefreshClaim<V, E>)
    where
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let state = Arc::clone(self.state());
        let join = self.join(key, Loader::once(load), Reason::Refresh(Arc::clone(claim.entry())));
        state.counters.refreshes.up();
        let runtime = state.runtime.clone();
        drop(runtime.spawn(async move {
            // Of an error that the loader returned, the load has told.
            if join.await.is_err() {
                state.note_failure(claim.entry(), state.clock.now());
            }
        }));
    }

    /// Joins in a task, which goes on when the reader has left.
    fn join_softly(
        &self,
        join: impl Future<Output = Joined<V, E>> + Send + 'static,
        limit: Duration,
        entry: Arc<Entry<V, E>>,
    ) -> SoftJoin<V, E> {
        let state = Arc::clone(self.state());
        let ((slow, is_slow), (sender, answer)) = (oneshot::async_channel(), oneshot::async_channel());
        let runtime = state.runtime.clone();
        drop(runtime.spawn(async move {
            let mut join = pin!(join);
            if let Either::Left((joined, _)) = select(join.as_mut(), pin!(sleep(limit))).await {
                let _ = sender.send(joined);
                return;
            }
            // Before the reader is told: the next one doesn't wait for this load.
            let mark = SlowMark::on(entry);
            let _ = slow.send(());
            trace::load_slow(state.config.name());
            let joined = join.await;
            if joined.is_err() {
                state.note_failure(mark.entry(), state.clock.now());
            }
            let _ = sender.send(joined);
        }));
        SoftJoin { is_slow, answer }
    }
}

/// Whether the load failed, rather than the caller's use of the cache: then an expired value is the better answer.
fn is_load_failure(error: &JoinError) -> bool {
    !matches!(error.kind(), JoinErrorKind::Reentrant | JoinErrorKind::Closed)
}

//! A read: a hit, or a join of the key's load.

use std::{
    borrow::Borrow,
    future::{poll_fn, ready},
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
    find::{Answer, Found, Missed, work_error},
    handle::CacheHandle,
    key::ReadKey,
    limit::within,
    load::{Load, Reason},
    loader::Loader,
    outcome::{LoadResult, Outcome, Source},
    served::StaleReason,
    state::CacheState,
    store::StoredKey,
    take::Take,
    trace,
};
use crate::{
    error::{JoinError, JoinErrorKind, TryJoinError},
    sync::{boxed_task, oneshot},
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
    joined: oneshot::AsyncReceiver<Joined<V, E>>,
}

impl<K, V, E> CacheHandle<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// What the cache has, or what a load of the key brings.
    pub(super) async fn read<T, Q, L, Fut>(&self, key: Q, load: L) -> Result<T::Taken, TryJoinError<E>>
    where
        T: Take<V, E>,
        K: Borrow<Q::Borrowed>,
        Q: ReadKey<K>,
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let load = Contained::new(load);
        let mut missed = Missed::default();
        match catch(|| self.state().hit(key.borrowed(), T::of_hit, &mut missed)) {
            Ok(Some(taken)) => return Ok(taken),
            Ok(None) => {}
            // In the key's `Hash` or `Eq`, or in the value's `Clone`.
            Err(panic) => return Err(JoinError::Panicked(panic).into()),
        }
        let answer = self.read_on(key, load, missed).await?;
        T::of_answer(answer, &self.state().clock)
    }

    /// A read that was no hit. A load is boxed, so that hits don't move a future with room for a join.
    #[inline(never)]
    fn read_on<Q, L, Fut>(&self, key: Q, load: Contained<L>, missed: Missed<V, E>) -> impl Loading<V, E>
    where
        K: Borrow<Q::Borrowed>,
        Q: ReadKey<K>,
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        let hash = missed.hash;
        match self.state().find(missed) {
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
                // The conversion of a key that is borrowed may panic.
                match catch(|| key.into_owned()) {
                    Ok(key) => Either::Right(Box::pin(self.load(StoredKey::new(hash, key), load, fallback))),
                    Err(panic) => Either::Left(ready(Err(JoinError::Panicked(panic).into()))),
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
        let mut loader = Loader::repeated(Contained::new(load));
        let loading = async {
            loop {
                let join = catch(|| self.join(&key, loader.lend(), Reason::Asked)).map_err(JoinError::Panicked)?;
                let mut join = Box::pin(join);
                let joined = match at_once(&mut join).await {
                    Some(joined) => joined,
                    None => {
                        let (sender, joined) = oneshot::async_channel();
                        drop(state.runtime.spawn(boxed_task(async move {
                            let _ = sender.send(join.await);
                        })));
                        joined.await.unwrap_or(Err(JoinError::Aborted))
                    }
                };
                let LoadResult(result) = joined?;
                // A read's load that found the key filled has loaded nothing.
                let is_loaded = !matches!(result, Ok(Outcome { source: Source::Kept, .. }));
                if is_loaded && let Some(result) = state.unless_too_old(result, began) {
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
                        (Some(entry), Some(limit)) => match self.join_softly(&key, join, limit, entry).await? {
                            Either::Left(answer) => return Ok(answer),
                            Either::Right(joined) => joined,
                        },
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
                // It is this reader alone that gave up, so the key needs no backoff.
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
        let (runtime, entry) = (state.runtime.clone(), Arc::clone(claim.entry()));
        let waiting = async move { drop(wait_holding(claim, &entry, pin!(join), &state).await) };
        drop(runtime.spawn(boxed_task(waiting)));
    }

    /// What a join ends with, or the expired entry if that takes longer than the soft timeout.
    async fn join_softly(
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
async fn at_once<T>(join: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
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
fn is_load_failure(error: &JoinError) -> bool {
    !matches!(error.kind(), JoinErrorKind::Reentrant | JoinErrorKind::Closed)
}

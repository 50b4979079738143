//! A read: a hit, or a join of the key's load.

use std::{borrow::Borrow, future::ready, hash::Hash, sync::Arc};

use futures_util::future::Either;

use super::{
    background::is_load_failure,
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
    store::StoredKey,
    take::Take,
};
use crate::{
    config::Priority,
    error::{JoinError, TryJoinError},
    unwind::{Contained, catch},
};

/// A load that a read waits for: short for what it stands on.
pub(super) trait Loading<V, E>: Future<Output = Read<V, E>> + Send {}

impl<V, E, F: Future<Output = Read<V, E>> + Send> Loading<V, E> for F {}

pub(super) type Read<V, E> = Result<Answer<V, E>, TryJoinError<E>>;
pub(super) type Joined<V, E> = Result<LoadResult<V, E>, JoinError>;

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
                let LoadResult(result) = self.go_on(join).await?;
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
    pub(super) fn fall_back(
        &self,
        key: &StoredKey<K>,
        entry: &Arc<Entry<V, E>>,
        why: StaleReason,
    ) -> Result<Option<Answer<V, E>>, JoinError> {
        catch(|| self.state().fall_back(key, entry, why)).map_err(JoinError::Panicked)
    }

    pub(super) fn join<L, Fut>(
        &self,
        key: &StoredKey<K>,
        loader: Loader<L>,
        reason: Reason<V, E>,
    ) -> impl Future<Output = Joined<V, E>> + Send + 'static + use<K, V, E, L, Fut>
    where
        L: FnOnce(Option<Previous<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fill<V, E>, E>> + Send + 'static,
    {
        // Its readers have a value: where executions have a limit, those that have none come first.
        let waits_behind = matches!(reason, Reason::Refresh(_));
        let load = Load { state: Arc::clone(self.state()), key: key.clone(), loader, reason };
        let (key, work) = (key.get().clone(), move || load.run());
        if waits_behind {
            self.flights().with_priority(Priority::Background).join(key, work)
        } else {
            self.flights().join(key, work)
        }
    }
}

//! A load: the work of a cache's flights.

use std::{hash::Hash, sync::Arc};

use super::{
    entry::{Entry, Standing},
    fill::{Fill, Previous},
    loader::Loader,
    observer::LoadEnd,
    outcome::{Failure, LoadResult, Outcome, Source},
    state::{CacheState, Made, Start},
    stats::RejectReason,
    store::{Place, StoredKey, Target},
    trace,
    unfinished::Unfinished,
};
use crate::unwind::{Contained, awaited};

/// How often a load tries to find its key's place before it loads for its callers alone. Each try but the first is for a load
/// that was passed over, or for an entry whose tag was invalidated; only keys that are never equal to themselves need more.
const TRIES: usize = 16;

/// What makes a load call its loader although the key has a fresh entry.
pub(super) enum Reason<V, E> {
    /// Nothing.
    Missed,
    /// The key still has this entry.
    Refresh(Arc<Entry<V, E>>),
    Asked,
}

pub(super) struct Load<K, V, E, L> {
    pub(super) state: Arc<CacheState<K, V, E>>,
    pub(super) key: StoredKey<K>,
    pub(super) loader: Loader<L>,
    pub(super) reason: Reason<V, E>,
}

impl<K, V, E, L, Fut> Load<K, V, E, L>
where
    K: Clone + Eq + Hash,
    L: FnOnce(Option<Previous<V>>) -> Fut,
    Fut: Future<Output = Result<Fill<V, E>, E>>,
{
    /// (The future of an async function would have room for `self` twice.)
    pub(super) fn run(self) -> impl Future<Output = LoadResult<V, E>> + use<K, V, E, L, Fut> {
        let Self { state, key, loader, reason } = self;
        async move {
            let start = state.start(&key);
            // Before the loader is called. Whatever invalidates the key from here on takes the place away, so what the loader has
            // read by then is not kept. A loader that is called after an invalidation finds no place of before.
            let target = match find_target(&state, &key, &reason) {
                Ok(target) => target,
                Err(entry) => return LoadResult(Ok(Outcome { entry, source: Source::Kept })),
            };
            let unfinished = Unfinished::count(&state, start);
            let previous = target.basis().and_then(|basis| {
                let age = basis.age(state.clock.now());
                Some(Previous::new(Arc::clone(basis.value()?), age))
            });
            let loaded = awaited(loader.take()(previous)).await;
            let fill = match loaded {
                Ok(fill) => fill,
                Err(error) => {
                    // If the predicate panics, the error is dropped on the way.
                    let error = Contained::new(error);
                    let is_negative = state.config.is_negative(error.get());
                    let error = error.into_inner();
                    if !is_negative {
                        unfinished.end(LoadEnd::Failed);
                        trace::load_failed(state.config.name());
                        let failure = Failure { error: Arc::new(error), generation: start.generation };
                        return LoadResult(fail(&state, &key, target.basis(), failure));
                    }
                    Fill::negative(error)
                }
            };
            let made = state.make(key.get(), fill, start, target.basis().map(|basis| &**basis));
            unfinished.end(if made.entry.value().is_some() { LoadEnd::Value } else { LoadEnd::Negative });
            let entry = keep(&state, &key, target, made, start);
            LoadResult(Ok(Outcome { entry, source: Source::Loaded }))
        }
    }
}

/// The place for a load's value, or the entry that makes the load unnecessary.
fn find_target<'a, K, V, E>(
    state: &'a CacheState<K, V, E>,
    key: &StoredKey<K>,
    reason: &Reason<V, E>,
) -> Result<Target<'a, K, V, E>, Arc<Entry<V, E>>>
where
    K: Clone + Eq + Hash,
{
    for _ in 0..TRIES {
        match state.store.place(key) {
            Place::Reserved(reservation) => return Ok(Target::Reserved(reservation)),
            // Its load may have outlived its deadline, and may never end: this one is newer. If both end, this one stays.
            Place::Taken => state.store.pass_over(key),
            Place::Kept(entry) if state.is_invalid(&entry) => state.store.remove_if(key, &entry),
            Place::Kept(entry) => {
                let standing = entry.standing(state.clock.now(), &state.config.windows);
                let is_fresh = matches!(standing, Standing::Fresh | Standing::RefreshDue);
                return if is_fresh && !reason.replaces(&entry) { Err(entry) } else { Ok(Target::Replace(entry)) };
            }
        }
    }
    Ok(Target::Nowhere)
}

/// Puts a loaded entry into its place, if that is still there.
fn keep<K, V, E>(
    state: &CacheState<K, V, E>,
    key: &StoredKey<K>,
    target: Target<'_, K, V, E>,
    made: Made<V, E>,
    start: Start,
) -> Arc<Entry<V, E>>
where
    K: Clone + Eq + Hash,
{
    let Made { entry, is_to_keep } = made;
    let reject = |reason: RejectReason| {
        state.counters.rejected_fills[reason as usize].up();
        trace::fill_rejected(state.config.name(), reason);
    };
    let is_invalid = state.is_invalid(&entry);
    if !is_to_keep || is_invalid {
        // What it was to replace is older still.
        if let Some(basis) = target.basis() {
            state.store.remove_if(key, basis);
        }
        if is_invalid {
            reject(RejectReason::Invalidated);
        }
        return entry;
    }
    let kept = state.store.fill(key, target, start.stamp, &entry);
    if let Err(reason) = kept {
        reject(reason);
    }
    entry
}

/// The error, or the entry that may be served in its place.
fn fail<K, V, E>(
    state: &CacheState<K, V, E>,
    key: &StoredKey<K>,
    basis: Option<&Arc<Entry<V, E>>>,
    failure: Failure<E>,
) -> Result<Outcome<V, E>, Failure<E>>
where
    K: Clone + Eq + Hash,
{
    let now = state.clock.now();
    let Some(entry) = basis.filter(|entry| state.is_servable(key, entry, now)) else { return Err(failure) };
    state.note_failure(entry, now);
    Ok(Outcome { entry: Arc::clone(entry), source: Source::Failed(failure) })
}

impl<V, E> Reason<V, E> {
    fn replaces(&self, entry: &Arc<Entry<V, E>>) -> bool {
        match self {
            Self::Missed => false,
            Self::Refresh(basis) => Arc::ptr_eq(basis, entry),
            Self::Asked => true,
        }
    }
}

//! A load: the work of a cache's flights.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    clock::{Clock, Nanos},
    counters::Counters,
    entry::{Entry, Standing},
    fill::{Fill, Previous},
    observer::{CacheObserver, LoadEnd},
    state::{CacheState, Made, Start},
    stats::RejectReason,
    store::{Place, Reservation, StoredKey},
    trace,
};
use crate::unwind::Contained;

/// How often a load tries to find its key's place before it loads for its callers alone. Each try but the first is for a load
/// that was passed over, or for an entry whose tag was invalidated; only keys that are never equal to themselves need more.
const TRIES: usize = 16;

/// What the flights of a cache share: opaque, and named only in the type of the
/// [coalescer's builder](crate::cache::CacheBuilder::coalescer).
pub struct LoadResult<V, E>(pub(super) Result<Outcome<V, E>, Failure<E>>);

pub(super) struct Outcome<V, E> {
    pub(super) entry: Arc<Entry<V, E>>,
    pub(super) source: Source<E>,
}

/// Where an outcome's entry comes from.
pub(super) enum Source<E> {
    Loaded,
    /// The key was filled by another load or an insert before this load began.
    Kept,
    /// The load failed, and the entry that it was to replace is served.
    Failed(Failure<E>),
}

pub(super) struct Failure<E> {
    pub(super) error: Arc<E>,
    /// Of tag invalidations; the load began in it.
    pub(super) generation: u64,
}

/// What makes a load call its loader although the key has a fresh entry.
pub(super) enum Reason<V, E> {
    /// Nothing.
    Missed,
    /// The key still has this entry.
    Refresh(Arc<Entry<V, E>>),
    Asked,
}

/// A loader, until the load that it is for calls it.
pub(super) enum Loader<L> {
    /// For one join. `None` when that has it.
    Once(Option<Contained<L>>),
    Repeated(Arc<Repeated<L>>),
}

/// The read that brought it joins again with the same one, where the flight that it joined was led by another and is too old.
pub(super) struct Repeated<L>(Mutex<Option<Contained<L>>>);

impl<L> Loader<L> {
    /// For a read that began in this generation. In the first one, no load is too old for it.
    pub(super) fn new(load: Contained<L>, began: u64) -> Self {
        match began {
            0 => Self::once(load),
            _ => Self::repeated(load),
        }
    }

    pub(super) fn repeated(load: Contained<L>) -> Self {
        Self::Repeated(Arc::new(Repeated(Mutex::new(Some(load)))))
    }

    pub(super) fn once(load: Contained<L>) -> Self {
        Self::Once(Some(load))
    }

    /// What a join takes along.
    pub(super) fn lend(&mut self) -> Self {
        match self {
            Self::Once(load) => Self::Once(load.take()),
            Self::Repeated(shared) => Self::Repeated(Arc::clone(shared)),
        }
    }

    fn take(self) -> L {
        let load = match self {
            Self::Once(load) => load,
            Self::Repeated(shared) => shared.0.lock().unwrap_or_else(PoisonError::into_inner).take(),
        };
        load.expect("a join that led took its loader, and is never repeated").into_inner()
    }
}

pub(super) struct Load<K, V, E, L> {
    pub(super) state: Arc<CacheState<K, V, E>>,
    pub(super) key: StoredKey<K>,
    pub(super) loader: Loader<L>,
    pub(super) reason: Reason<V, E>,
}

/// Where a load puts its value.
enum Target<'a, K, V, E> {
    Reserved(Reservation<'a, K, V, E>),
    Replace(Arc<Entry<V, E>>),
    Nowhere,
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
            let loaded = loader.take()(previous).await;
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
    let is_latest = state.store.note_fill(key, start.stamp);
    let kept = match target {
        Target::Reserved(reservation) => reservation.fill(Arc::clone(&entry)),
        Target::Replace(basis) => state.store.replace(key, &basis, Arc::clone(&entry)),
        Target::Nowhere => Err(RejectReason::Invalidated),
    };
    let kept = match kept {
        Err(RejectReason::Invalidated) => state.store.fill_all_the_same(key, start.stamp, is_latest, &entry),
        kept => kept,
    };
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

impl<K, V, E> Target<'_, K, V, E> {
    fn basis(&self) -> Option<&Arc<Entry<V, E>>> {
        match self {
            Self::Replace(basis) => Some(basis),
            Self::Reserved(_) | Self::Nowhere => None,
        }
    }
}

/// Counts a load that fails, panics or is dropped, and tells the observer of every load's end.
struct Unfinished<'a> {
    counters: &'a Counters,
    observed: Option<Observed<'a>>,
    end: LoadEnd,
}

struct Observed<'a> {
    observer: &'a dyn CacheObserver,
    clock: &'a Clock,
    since: Nanos,
}

impl<'a> Unfinished<'a> {
    fn count<K, V, E>(state: &'a CacheState<K, V, E>, start: Start) -> Self {
        let CacheState { counters, clock, config, .. } = state;
        counters.loads.up();
        let observed =
            config.observer.as_deref().zip(start.at).map(|(observer, since)| Observed { observer, clock, since });
        Self { counters, observed, end: LoadEnd::Failed }
    }

    fn end(mut self, end: LoadEnd) {
        self.end = end;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.end == LoadEnd::Failed {
            self.counters.load_errors.up();
        }
        if let Some(Observed { observer, clock, since }) = &self.observed {
            observer.loaded(Duration::from_nanos(clock.now().saturating_sub(*since)), self.end);
        }
    }
}

impl<V, E> Clone for LoadResult<V, E> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Ok(Outcome { entry, source }) => {
                let source = match source {
                    Source::Loaded => Source::Loaded,
                    Source::Kept => Source::Kept,
                    Source::Failed(failure) => Source::Failed(failure.clone()),
                };
                Ok(Outcome { entry: Arc::clone(entry), source })
            }
            Err(failure) => Err(failure.clone()),
        })
    }
}

impl<E> Clone for Failure<E> {
    fn clone(&self) -> Self {
        Self { error: Arc::clone(&self.error), generation: self.generation }
    }
}

impl<V, E> std::fmt::Debug for LoadResult<V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadResult").field("is_ok", &self.0.is_ok()).finish_non_exhaustive()
    }
}

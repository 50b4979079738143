//! What a read finds in the cache, and what it is answered.

use std::{borrow::Borrow, hash::Hash, sync::Arc, time::Duration};

use super::{
    claims::RefreshClaim,
    clock::Nanos,
    counters::Got,
    entry::{Content, Entry, Standing},
    outcome::{Failure, Outcome, Source},
    served::{Lookup, StaleReason},
    state::CacheState,
    store::StoredKey,
};
use crate::{
    error::{JoinError, TryJoinError},
    unwind::{Contained, catch},
};

/// What a read ends with.
pub(super) struct Answer<V, E> {
    pub(super) entry: Arc<Entry<V, E>>,
    pub(super) how: How,
    /// Set where the load failed: only a caller that asked for a load wants to know.
    pub(super) error: Option<Arc<E>>,
    /// When the entry was found. `None` after a load: few who load ask for an age.
    pub(super) now: Option<Nanos>,
}

/// A [`Lookup`] without ages.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Fresh,
    Negative,
    Loaded,
    Revalidating,
    LoadFailed,
    BackingOff,
    LoadSlow,
}

/// A look at the store that was no hit.
pub(super) struct Missed<V, E> {
    pub(super) hash: u64,
    /// What the key has, unless its tag was invalidated, and when it was found.
    found: Option<(Arc<Entry<V, E>>, Nanos)>,
}

/// What comes of it.
pub(super) enum Found<V, E> {
    Answer(Answer<V, E>),
    /// An answer, and the right to have it refreshed.
    Refresh(Answer<V, E>, RefreshClaim<V, E>),
    /// Nothing but what may be served if the load fails.
    Missed(Option<Arc<Entry<V, E>>>),
}

impl<V, E> Default for Missed<V, E> {
    fn default() -> Self {
        Self { hash: 0, found: None }
    }
}

impl How {
    fn stale(why: StaleReason) -> Self {
        match why {
            StaleReason::Revalidating => Self::Revalidating,
            StaleReason::LoadFailed => Self::LoadFailed,
            StaleReason::BackingOff => Self::BackingOff,
            StaleReason::LoadSlow => Self::LoadSlow,
        }
    }

    fn why_stale(self) -> Option<StaleReason> {
        match self {
            Self::Fresh | Self::Negative | Self::Loaded => None,
            Self::Revalidating => Some(StaleReason::Revalidating),
            Self::LoadFailed => Some(StaleReason::LoadFailed),
            Self::BackingOff => Some(StaleReason::BackingOff),
            Self::LoadSlow => Some(StaleReason::LoadSlow),
        }
    }

    pub(super) fn told(self, age: Duration) -> Lookup {
        match (self, self.why_stale()) {
            (_, Some(why)) => Lookup::Stale { age, why },
            (Self::Negative, None) => Lookup::Negative,
            (Self::Loaded, None) => Lookup::Loaded,
            (_, None) => Lookup::Fresh,
        }
    }
}

impl<K, V, E> CacheState<K, V, E>
where
    K: Clone + Eq + Hash,
{
    /// Looks the key up, and takes what is asked for of a value that is fresh. That costs a hash, a read lock of one of the
    /// store's shards, a clock read and a count.
    ///
    /// A hit hands on nothing but what it takes. An enum of entry, reason and time would cost a fifth of it: a processor waits where
    /// it copies in wide pieces what it has just written in narrow ones.
    #[inline]
    pub(super) fn hit<Q, T>(
        &self,
        key: &Q,
        take: impl FnOnce(&Arc<V>, &Entry<V, E>, Nanos) -> T,
        missed: &mut Missed<V, E>,
    ) -> Option<T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let probe = self.store.probe(key);
        missed.hash = probe.hash();
        let entry = self.store.get(&probe)?;
        if self.is_invalid(&entry) {
            return None;
        }
        let now = self.clock.now();
        if entry.is_fresh(now)
            && let Some(value) = entry.value()
        {
            self.counters.reads.up(Got::Fresh);
            return Some(take(value, &entry, now));
        }
        missed.found = Some((entry, now));
        None
    }

    /// What a read that is no hit goes on with.
    pub(super) fn find(&self, missed: Missed<V, E>) -> Found<V, E> {
        let Some((entry, now)) = missed.found else { return Found::Missed(None) };
        match entry.standing(now, &self.config.windows) {
            Standing::Fresh => Found::Answer(self.fresh_hit(entry, now)),
            Standing::RefreshDue => match claim_refresh(&entry, now) {
                Ok(claim) => Found::Refresh(self.fresh_hit(entry, now), claim),
                Err(_) => Found::Answer(self.fresh_hit(entry, now)),
            },
            Standing::Revalidate => match claim_refresh(&entry, now) {
                Ok(claim) => Found::Refresh(self.stale_hit(entry, now, StaleReason::Revalidating), claim),
                Err(why) => Found::Answer(self.stale_hit(entry, now, why)),
            },
            Standing::Fallback if entry.is_backing_off(now) => {
                Found::Answer(self.stale_hit(entry, now, StaleReason::BackingOff))
            }
            Standing::Fallback if entry.is_slow() => Found::Answer(self.stale_hit(entry, now, StaleReason::LoadSlow)),
            Standing::Fallback => Found::Missed(Some(entry)),
            Standing::Over => Found::Missed(None),
        }
    }

    fn fresh_hit(&self, entry: Arc<Entry<V, E>>, now: Nanos) -> Answer<V, E> {
        let (got, how) = match entry.content() {
            Content::Value(_) => (Got::Fresh, How::Fresh),
            Content::Negative(_) => (Got::Negative, How::Negative),
        };
        self.counters.reads.up(got);
        Answer { entry, how, error: None, now: Some(now) }
    }

    fn stale_hit(&self, entry: Arc<Entry<V, E>>, now: Nanos, why: StaleReason) -> Answer<V, E> {
        self.counters.reads.up(Got::Stale(why));
        Answer { entry, how: How::stale(why), error: None, now: Some(now) }
    }

    /// An expired value in place of a load's.
    pub(super) fn fall_back(
        &self,
        key: &StoredKey<K>,
        entry: &Arc<Entry<V, E>>,
        why: StaleReason,
    ) -> Option<Answer<V, E>> {
        let now = self.clock.now();
        if !self.is_servable(key, entry, now) {
            return None;
        }
        self.count_fallback(why);
        Some(Answer { entry: Arc::clone(entry), how: How::stale(why), error: None, now: Some(now) })
    }

    /// A read that has waited gets a fallback.
    fn count_fallback(&self, why: StaleReason) {
        self.counters.reads.up(Got::Stale(why));
        self.counters.fallbacks.up();
    }

    /// What a load that a read has joined is to the read. Nothing if it is older than a tag's invalidation that had returned when the
    /// read began: only its end tells its tags. An error tells none.
    ///
    /// The read then joins again. It still has its loader, as the load was another's: its own would have begun after it. So will all
    /// that it joins from here on, but for one in each other domain of its [`Scope`](crate::Scope). What these have loaded is never too
    /// old, so it joins few times, however often tags are invalidated meanwhile.
    pub(super) fn unless_too_old(
        &self,
        result: Result<Outcome<V, E>, Failure<E>>,
        began: u64,
    ) -> Option<Result<Outcome<V, E>, Failure<E>>> {
        let is_invalid = result.as_ref().is_ok_and(|outcome| self.is_invalid(&outcome.entry));
        let result = match result {
            // It has lost its tag since the load failed, which is what the read is told instead: its loader may be used up.
            Ok(Outcome { source: Source::Failed(failure), .. }) if is_invalid => Err(failure),
            result => result,
        };
        let is_too_old = match &result {
            // By the entry's generation: the load may have found the entry valid just before the invalidation was noted.
            Ok(Outcome { entry, .. }) => is_invalid && entry.tags().is_some_and(|tags| tags.generation() < began),
            Err(failure) => failure.generation < began,
        };
        (!is_too_old).then_some(result)
    }

    /// What a load's end is to a read.
    pub(super) fn answer_read(&self, outcome: Outcome<V, E>) -> Answer<V, E> {
        let answer = self.answer(outcome);
        if let Some(why) = answer.how.why_stale() {
            self.count_fallback(why);
        }
        answer
    }

    /// What a load's end is to the caller that asked for the load.
    pub(super) fn answer(&self, outcome: Outcome<V, E>) -> Answer<V, E> {
        let Outcome { entry, source } = outcome;
        let (how, error, now) = match source {
            Source::Loaded => (How::Loaded, None, None),
            Source::Kept if entry.value().is_none() => (How::Negative, None, None),
            Source::Kept => (How::Fresh, None, None),
            Source::Failed(failure) => {
                let now = self.clock.now();
                let how = if entry.has_expired(now) { How::LoadFailed } else { How::Fresh };
                (how, Some(failure.error), Some(now))
            }
        };
        Answer { entry, how, error, now }
    }
}

/// Runs the error's `Clone`, where others have it, too.
pub(super) fn work_error<E: Clone>(error: Arc<E>) -> TryJoinError<E> {
    let shared = match Arc::try_unwrap(error) {
        Ok(error) => return TryJoinError::Work(error),
        // Contained: by the end of a clone that panics it may be the last, and of two panics the second would end the process (G13).
        Err(shared) => Contained::new(shared),
    };
    match catch(|| E::clone(shared.get())) {
        Ok(error) => TryJoinError::Work(error),
        Err(panic) => JoinError::Panicked(panic).into(),
    }
}

/// The right to refresh an entry, or why it is served without a refresh.
fn claim_refresh<V, E>(entry: &Arc<Entry<V, E>>, now: Nanos) -> Result<RefreshClaim<V, E>, StaleReason> {
    if entry.is_backing_off(now) {
        return Err(StaleReason::BackingOff);
    }
    RefreshClaim::of(entry).ok_or(StaleReason::Revalidating)
}

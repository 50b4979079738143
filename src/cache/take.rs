//! What a read takes of an entry: a copy of its value, a share of it, or all that can be told.

use std::sync::Arc;

use super::{
    clock::{Clock, Nanos},
    entry::{Content, Entry},
    find::{Answer, work_error},
    served::{Lookup, Served},
};
use crate::{
    error::{JoinError, TryJoinError},
    unwind::catch,
};

/// A kind of read.
pub(super) trait Take<V, E> {
    type Taken;

    /// Of a hit. Runs the value's `Clone`, which may panic.
    fn of_hit(value: &Arc<V>, entry: &Entry<V, E>, now: Nanos) -> Self::Taken;

    fn of_answer(answer: Answer<V, E>, clock: &Clock) -> Result<Self::Taken, TryJoinError<E>>;
}

/// A clone of the value.
pub(super) struct Copied;

impl<V: Clone, E: Clone> Take<V, E> for Copied {
    type Taken = V;

    #[inline]
    fn of_hit(value: &Arc<V>, _: &Entry<V, E>, _: Nanos) -> V {
        V::clone(value)
    }

    fn of_answer(answer: Answer<V, E>, _: &Clock) -> Result<V, TryJoinError<E>> {
        content(&answer)?.map_err(TryJoinError::Work)
    }
}

/// The value's `Arc`.
pub(super) struct Shared;

impl<V, E: Clone> Take<V, E> for Shared {
    type Taken = Arc<V>;

    #[inline]
    fn of_hit(value: &Arc<V>, _: &Entry<V, E>, _: Nanos) -> Arc<V> {
        Arc::clone(value)
    }

    fn of_answer(answer: Answer<V, E>, _: &Clock) -> Result<Arc<V>, TryJoinError<E>> {
        match answer.entry.content() {
            Content::Value(kept) => Ok(Arc::clone(kept.value())),
            Content::Negative(error) => Err(work_error(Arc::clone(error))),
        }
    }
}

/// A clone of the value or of a kept error, and how it came.
pub(super) struct Told;

impl<V: Clone, E: Clone> Take<V, E> for Told {
    type Taken = Served<V, E>;

    #[inline]
    fn of_hit(value: &Arc<V>, entry: &Entry<V, E>, now: Nanos) -> Served<V, E> {
        Served::new(Ok(V::clone(value)), Lookup::Fresh, entry.age(now))
    }

    fn of_answer(answer: Answer<V, E>, clock: &Clock) -> Result<Served<V, E>, TryJoinError<E>> {
        let age = answer.entry.age(answer.now.unwrap_or_else(|| clock.now()));
        Ok(Served::new(content(&answer)?, answer.how.told(age), age))
    }
}

/// Runs the value's `Clone`, or the error's.
fn content<V: Clone, E: Clone>(answer: &Answer<V, E>) -> Result<Result<V, E>, JoinError> {
    catch(|| match answer.entry.content() {
        Content::Value(kept) => Ok(V::clone(kept.value())),
        Content::Negative(error) => Err(E::clone(error)),
    })
    .map_err(JoinError::Panicked)
}

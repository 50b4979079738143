//! A flight's value, as its callers find it.

use std::{any::Any, sync::Arc};

use crate::{
    error::JoinError,
    sync::OnceLock,
    unwind::{Contained, catch, drop_contained},
};

/// What a join takes of its flight's value.
pub(crate) enum Takes<V> {
    /// A clone.
    Clone(PublishMixed<V>),
    /// The `Arc` that all such callers share.
    Arc,
    /// A clone of the value in a `Result`, or the `Arc` of its error that all such callers share.
    SharedError(PublishMixed<V>),
}

/// How a value is published where a caller wants its error in an `Arc`. A function of the joins' types, as a shard knows nothing
/// of what its values are. Runs nothing of the user's.
pub(crate) type PublishMixed<V> = fn(V, ArcWanted) -> Published<V>;

/// Whether a caller wants the whole value in an `Arc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArcWanted(pub(crate) bool);

// By hand, as a derive would ask for `V: Clone`.
impl<V> Clone for Takes<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Takes<V> {}

/// The error of a `Result`, whose type only its callers know.
type SharedError = Arc<dyn Any + Send + Sync>;

/// A flight's value, as its callers find it.
pub(crate) enum Published<V> {
    Plain(V),
    /// A caller wants an `Arc`, and all of them find the same. Most flights have none that does, and save the allocation.
    Shared(Arc<V>),
    /// The error of a `Result`: all callers share it. Boxed, as it would make every record larger.
    Error(Box<SharedError>),
    /// Some callers share the error, and others want the whole `Result`.
    Mixed(Box<Mixed<V>>),
}

pub(crate) struct Mixed<V> {
    value: Arc<V>,
    /// `None` where no caller could say how.
    clone: Option<fn(&V) -> V>,
    /// The error of a clone, made by the first caller that needs it. Contained: of two panics in one drop, the second would end
    /// the process (G13).
    error: OnceLock<Contained<SharedError>>,
}

/// For callers that can clone the value.
pub(crate) fn publish_clonable<V: Clone>(value: V, _: ArcWanted) -> Published<V> {
    Published::mixed(value, Some(V::clone))
}

/// For callers that cannot.
pub(crate) fn publish_by_error<T, E>(value: Result<T, E>, arc_wanted: ArcWanted) -> Published<Result<T, E>>
where
    E: Send + Sync + 'static,
{
    match value {
        value if arc_wanted.0 => Published::mixed(value, None),
        Err(error) => Published::Error(Box::new(Arc::new(error))),
        Ok(value) => Published::Plain(Ok(value)),
    }
}

impl<V> Published<V> {
    pub(super) fn mixed(value: V, clone: Option<fn(&V) -> V>) -> Self {
        Self::Mixed(Box::new(Mixed { value: Arc::new(value), clone, error: OnceLock::new() }))
    }

    /// `None` for an error that only callers wait for who share it.
    fn get(&self) -> Option<&V> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Shared(value) => Some(value),
            Self::Mixed(mixed) => Some(&mixed.value),
            Self::Error(_) => None,
        }
    }

    /// A clone, made in its caller's poll. A panicking `Clone` or `Drop` reaches this caller alone (G13).
    pub(super) fn to_value(&self, clone: fn(&V) -> V) -> Result<V, JoinError> {
        self.get().map_or(Err(JoinError::Aborted), |value| caught(value, clone))
    }

    /// The value itself, for the last caller.
    pub(super) fn into_value(self, clone: fn(&V) -> V) -> Result<V, JoinError> {
        let shared = match self {
            Self::Plain(value) => return Ok(value),
            Self::Shared(value) => value,
            Self::Mixed(mixed) => mixed.value,
            Self::Error(error) => {
                drop_contained(error);
                return Err(JoinError::Aborted);
            }
        };
        Arc::try_unwrap(shared).or_else(|value| {
            let own = caught(&*value, clone);
            drop_contained(value);
            own
        })
    }

    /// The value that all callers share, if one of them wanted that.
    pub(super) fn to_arc(&self) -> Option<Arc<V>> {
        match self {
            Self::Shared(value) => Some(Arc::clone(value)),
            Self::Mixed(mixed) => Some(Arc::clone(&mixed.value)),
            Self::Plain(_) | Self::Error(_) => None,
        }
    }
}

impl<T, E: Send + Sync + 'static> Published<Result<T, E>> {
    /// The error that all callers share who asked for that. `None` where there is a value.
    pub(super) fn to_shared_error(&self) -> Option<Result<Arc<E>, JoinError>> {
        match self {
            Self::Error(error) => Some(downcast(error)),
            Self::Mixed(mixed) if mixed.value.is_err() => Some(mixed.to_shared_error()),
            published => published.get().is_none_or(Result::is_err).then_some(Err(JoinError::Aborted)),
        }
    }
}

impl<T, E: Send + Sync + 'static> Mixed<Result<T, E>> {
    fn to_shared_error(&self) -> Result<Arc<E>, JoinError> {
        if let Some(error) = self.error.get() {
            return downcast(error.get());
        }
        let clone = self.clone.ok_or(JoinError::MixedJoins)?;
        let Err(error) = caught(&*self.value, clone)? else {
            return Err(JoinError::MixedJoins);
        };
        // Not `get_or_init`: callers would block their threads on the `Clone` of another one's.
        drop(self.error.set(Contained::new(Arc::new(error))));
        self.error.get().map_or(Err(JoinError::Aborted), |error| downcast(error.get()))
    }
}

fn caught<V>(value: &V, clone: fn(&V) -> V) -> Result<V, JoinError> {
    catch(|| clone(value)).map_err(JoinError::Panicked)
}

fn downcast<E: Send + Sync + 'static>(error: &SharedError) -> Result<Arc<E>, JoinError> {
    Arc::clone(error).downcast().map_err(|_| JoinError::Aborted)
}

//! A join's value, on its way to its caller.

use std::sync::Arc;

use crate::{
    engine::Record,
    error::{JoinError, TryJoinError},
};

/// Where a caller's value is.
pub(crate) enum Delivered<V> {
    /// No other caller waited for it.
    Own(V),
    /// In the record of a flight that is over, with the flight's own error if it has failed.
    Recorded(Arc<Record<V>>),
}

pub(super) type Delivery<V> = Result<Delivered<V>, JoinError>;

impl<V> Delivered<V> {
    pub(crate) fn into_value(self, clone: fn(&V) -> V) -> Result<V, JoinError> {
        match self {
            Self::Own(value) => Ok(value),
            Self::Recorded(record) => record.into_value(clone),
        }
    }

    /// For a join that [takes](crate::engine::Takes::Arc) it.
    pub(crate) fn into_arc(self) -> Result<Arc<V>, JoinError> {
        match self {
            Self::Own(value) => Ok(Arc::new(value)),
            Self::Recorded(record) => record.into_arc(),
        }
    }
}

impl<T: Clone, E: Send + Sync + 'static> Delivered<Result<T, E>> {
    /// For a join that [takes](crate::engine::Takes::SharedError) the error in an `Arc`.
    pub(crate) fn into_result(self) -> Result<T, TryJoinError<Arc<E>>> {
        match self {
            Self::Own(Ok(value)) => Ok(value),
            Self::Own(Err(error)) => Err(TryJoinError::Work(Arc::new(error))),
            Self::Recorded(record) => record.into_result(),
        }
    }
}

//! The kinds of joins, each a type.

use crate::engine::{Takes, publish_by_error, publish_clonable};

/// What the engine has to know of the method that a join was made by. A type and not a value, as a value would take up room in
/// every caller's future and task.
pub(crate) trait JoinKind<V>: 'static {
    const TAKES: Takes<V>;

    /// Whether a value is the work's own error.
    fn is_error(value: &V) -> bool;
}

/// Each caller takes a clone, and a value is a value.
pub(crate) struct ByClone;

impl<V: Clone> JoinKind<V> for ByClone {
    const TAKES: Takes<V> = Takes::Clone(publish_clonable);

    fn is_error(_: &V) -> bool {
        false
    }
}

/// All callers take the same `Arc`, and a value is a value.
pub(crate) struct ByArc;

impl<V> JoinKind<V> for ByArc {
    const TAKES: Takes<V> = Takes::Arc;

    fn is_error(_: &V) -> bool {
        false
    }
}

/// Each caller takes a clone, and a value is a result.
pub(crate) struct ByResult;

impl<T: Clone, E: Clone> JoinKind<Result<T, E>> for ByResult {
    const TAKES: Takes<Result<T, E>> = Takes::Clone(publish_clonable);

    fn is_error(value: &Result<T, E>) -> bool {
        value.is_err()
    }
}

/// Each caller takes a clone of the value, or the same `Arc` of the error.
pub(crate) struct BySharedError;

impl<T, E: Send + Sync + 'static> JoinKind<Result<T, E>> for BySharedError {
    const TAKES: Takes<Result<T, E>> = Takes::SharedError(publish_by_error);

    fn is_error(value: &Result<T, E>) -> bool {
        value.is_err()
    }
}

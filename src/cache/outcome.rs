//! What a load ends with, and the callers of its flight share.

use std::{fmt, sync::Arc};

use super::entry::Entry;

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

impl<V, E> fmt::Debug for LoadResult<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadResult").field("is_ok", &self.0.is_ok()).finish_non_exhaustive()
    }
}

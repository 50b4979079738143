//! The inner service's errors, shared by the callers of a flight.

use std::{convert::Infallible, error::Error, fmt, marker::PhantomData, sync::Arc};

/// A boxed error, as in tower.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// A shared error.
pub(super) type ArcError = Arc<dyn Error + Send + Sync>;

/// An error of the inner service or of its body, shared by all callers of a flight (G8); it need not be `Clone`. No later
/// request gets it.
///
/// `Display` and `source` are those of the inner error. `E` is the type of the inner service's error. A
/// `SharedError<Infallible>` can't exist, and converts into [`Infallible`] as axum's routers require.
pub struct SharedError<E> {
    error: ArcError,
    original: PhantomData<fn() -> E>,
}

impl<E> SharedError<E> {
    pub(super) fn new(error: ArcError) -> Self {
        Self { error, original: PhantomData }
    }

    /// The inner error; for a service with boxed errors, the error in the box.
    pub fn get(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// The inner error, if it is a `T`.
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        self.error.downcast_ref()
    }
}

/// Makes an error shareable.
pub(super) fn share(error: impl Into<BoxError>) -> ArcError {
    Arc::from(error.into())
}

impl<E> Clone for SharedError<E> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.error))
    }
}

impl<E> fmt::Debug for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedError").field(&self.error).finish()
    }
}

impl<E> fmt::Display for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E> Error for SharedError<E> {
    // `Display` already shows the inner error, so the chain continues with that error's source.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl From<SharedError<Infallible>> for Infallible {
    fn from(_: SharedError<Infallible>) -> Self {
        unreachable!("a service that can't fail has failed")
    }
}

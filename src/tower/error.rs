//! The inner service's errors, shared by the callers of a flight.

use std::{convert::Infallible, error::Error, fmt, marker::PhantomData, sync::Arc};

/// What tower calls an error whose type is nobody's business.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// An error as it is shared.
pub(super) type ArcError = Arc<dyn Error + Send + Sync>;

/// An error of the service or of the body below, which need not be `Clone`: all callers of a flight hold the same one
/// (G8). No later request sees it.
///
/// It speaks as the error inside does, and goes on with its sources. `E` says what that was; it isn't used but for
/// `SharedError<Infallible>`, which is as impossible as [`Infallible`] and turns into one, as axum's routers ask.
pub struct SharedError<E> {
    error: ArcError,
    original: PhantomData<fn() -> E>,
}

impl<E> SharedError<E> {
    pub(super) fn new(error: ArcError) -> Self {
        Self { error, original: PhantomData }
    }

    /// The error itself; of a service whose errors are boxed, what was in the box.
    pub fn get(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// The error itself, if it is a `T`.
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        self.error.downcast_ref()
    }
}

/// Any error, ready to be shared.
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
    // `Display` already speaks for the inner error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl From<SharedError<Infallible>> for Infallible {
    fn from(_: SharedError<Infallible>) -> Self {
        unreachable!("a service that can't fail has failed")
    }
}

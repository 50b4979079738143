//! An error that can't be cloned, in the hands of several callers.

use std::{error::Error, fmt, ops::Deref, sync::Arc};

/// One caller's share of an error that holds any error, such as `anyhow::Error` or `Box<dyn Error + Send + Sync>`.
///
/// These are neither `Clone` nor an [`Error`], and nor is the `Arc` of one, which callers of
/// [`try_join_shared`](crate::Handle::try_join_shared) get. This is an [`Error`]: it shows what the shared error shows, and
/// has its [`source`](Error::source), so an error made from it reads like the original. The original is behind the `Deref`.
///
/// # Examples
///
/// ```
/// use std::{error::Error, io};
/// use shardflight::{Coalescer, SharedError, TryJoinError};
///
/// type AnyError = Box<dyn Error + Send + Sync>;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let handle = Coalescer::<u64, Result<String, AnyError>>::new().handle();
/// let load = || async { Err(AnyError::from(io::Error::from(io::ErrorKind::NotFound))) };
/// let shared = handle.try_join_shared(7_u64, load).await;
/// let error: AnyError = shared.map_err(|error| error.map_work(SharedError::from)).unwrap_err().into();
/// assert_eq!(error.to_string(), "entity not found");
///
/// let error = error.downcast_ref::<TryJoinError<SharedError<AnyError>>>().and_then(TryJoinError::work).unwrap();
/// assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
/// # }
/// ```
pub struct SharedError<E>(Arc<E>);

impl<E> SharedError<E> {
    /// The `Arc` that all callers of the flight have.
    pub fn into_arc(self) -> Arc<E> {
        self.0
    }
}

impl<E> From<Arc<E>> for SharedError<E> {
    fn from(error: Arc<E>) -> Self {
        Self(error)
    }
}

impl<E> Clone for SharedError<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Deref for SharedError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

impl<E: fmt::Debug> fmt::Debug for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: fmt::Display> fmt::Display for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E> Error for SharedError<E>
where
    E: Deref<Target = dyn Error + Send + Sync> + fmt::Debug + fmt::Display,
{
    // `Display` already speaks for the shared error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        E::deref(&self.0).source()
    }
}

//! The error of joins that tell the work's own error from the coalescer's.

use std::{error::Error, fmt};

use super::JoinError;

/// What [`Handle::try_join`](crate::Handle::try_join) and its like return in place of a value.
///
/// There are no more than these two variants, so a `match` needs no arm for others.
///
/// It is an [`Error`] where `E` is one, and so is a `TryJoinError<Arc<E>>` of
/// [`try_join_shared`](crate::Handle::try_join_shared). Types that hold any error, such as `anyhow::Error` and
/// `Box<dyn Error + Send + Sync>`, are none themselves: `map_work(SharedError::from)` makes a [`SharedError`](super::SharedError)
/// of them, which is one; see [`map_work`](Self::map_work).
///
/// # Examples
///
/// ```
/// use std::{error::Error, io};
/// use shardflight::{Coalescer, Handle};
///
/// type Users = Handle<u64, Result<String, io::Error>>;
///
/// async fn greet(users: &Users, id: u64) -> Result<String, Box<dyn Error + Send + Sync>> {
///     let name = users.try_join_shared(id, || async { Err(io::Error::other("no such user")) }).await?;
///     Ok(format!("hello {name}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let users = Coalescer::new().handle();
/// assert_eq!(greet(&users, 7).await.unwrap_err().to_string(), "no such user");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryJoinError<E> {
    /// The work ran to its end and returned this error; every caller of the flight gets a clone of it, or the same `Arc` (G8).
    Work(E),
    /// The coalescer could not answer.
    Join(JoinError),
}

impl<E> TryJoinError<E> {
    /// The work's error, if it is one.
    pub fn work(&self) -> Option<&E> {
        match self {
            Self::Work(error) => Some(error),
            Self::Join(_) => None,
        }
    }

    /// The coalescer's error, if it is one.
    pub fn join(&self) -> Option<&JoinError> {
        match self {
            Self::Work(_) => None,
            Self::Join(error) => Some(error),
        }
    }

    /// The work's error, if it is one.
    pub fn into_work(self) -> Option<E> {
        match self {
            Self::Work(error) => Some(error),
            Self::Join(_) => None,
        }
    }

    /// The coalescer's error, if it is one.
    pub fn into_join(self) -> Option<JoinError> {
        match self {
            Self::Work(_) => None,
            Self::Join(error) => Some(error),
        }
    }

    /// Makes another error of the work's, and leaves the coalescer's as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{error::Error, io, sync::Arc};
    /// use shardflight::TryJoinError;
    ///
    /// type AnyError = Box<dyn Error + Send + Sync>;
    ///
    /// fn report(error: TryJoinError<Arc<AnyError>>) -> io::Error {
    ///     io::Error::other(error.map_work(|error| io::Error::other(error.to_string())))
    /// }
    ///
    /// let error = TryJoinError::Work(Arc::new(AnyError::from("no such user")));
    /// assert_eq!(report(error).to_string(), "no such user");
    /// ```
    pub fn map_work<F>(self, make: impl FnOnce(E) -> F) -> TryJoinError<F> {
        match self {
            Self::Work(error) => TryJoinError::Work(make(error)),
            Self::Join(error) => TryJoinError::Join(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TryJoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(error) => error.fmt(f),
            Self::Join(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TryJoinError<E> {
    // `Display` already speaks for the inner error, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Work(error) => error.source(),
            Self::Join(error) => error.source(),
        }
    }
}

impl<E> From<JoinError> for TryJoinError<E> {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}

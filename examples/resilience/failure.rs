//! Why a caller has no page.

use std::fmt;

use shardflight::{JoinErrorKind, TryJoinError};
use tower::{BoxError, load_shed::error::Overloaded, timeout::error::Elapsed};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    /// The backend answered with this status.
    Status(u16),
    /// The connection failed.
    Connection,
    /// The call took longer than the timeout.
    TimedOut,
    /// As many calls as the limit allows were under way.
    Shed,
    /// The breaker is open.
    Open,
    /// The coalescer's own answer.
    Join(JoinErrorKind),
}

impl Failure {
    /// Names the errors of the layers below the breaker.
    pub(crate) fn of_call(error: BoxError) -> Self {
        if error.is::<Elapsed>() {
            return Self::TimedOut;
        }
        if error.is::<Overloaded>() {
            return Self::Shed;
        }
        error.downcast::<Self>().map_or(Self::Connection, |failure| *failure)
    }

    pub(crate) fn of_join(error: TryJoinError<Self>) -> Self {
        match error {
            TryJoinError::Work(failure) => failure,
            TryJoinError::Join(error) => Self::Join(error.kind()),
        }
    }

    /// Whether the backend is to blame. Only then does the breaker count it, and only then is another attempt worthwhile: neither
    /// an open breaker nor the own limit says anything new about the backend, and a 404 is an answer.
    pub(crate) fn is_of_the_backend(self) -> bool {
        match self {
            Self::Status(status) => status >= 500,
            Self::Connection | Self::TimedOut => true,
            Self::Shed | Self::Open | Self::Join(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Connection => f.write_str("the connection failed"),
            Self::TimedOut => f.write_str("the call timed out"),
            Self::Shed => f.write_str("shed by the limit"),
            Self::Open => f.write_str("the breaker is open"),
            Self::Join(kind) => write!(f, "the coalescer's answer: {kind}"),
        }
    }
}

impl std::error::Error for Failure {}

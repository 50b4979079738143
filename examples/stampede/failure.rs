//! The server's errors.

use std::fmt;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use shardflight::{Closed, TryJoinError};

/// `Clone`, as each caller of a failed flight gets a clone.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Database(String),
    Upstream(String),
    RateLimited,
    Coalescer(String),
}

impl From<TryJoinError<Failure>> for Failure {
    fn from(error: TryJoinError<Failure>) -> Self {
        match error {
            TryJoinError::Work(failure) => failure,
            other @ TryJoinError::Join(_) => Self::Coalescer(other.to_string()),
        }
    }
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Self {
        Self::Coalescer(closed.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Database(_) | Self::Coalescer(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        };
        (status, self.to_string()).into_response()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(cause) => write!(f, "database: {cause}"),
            Self::Upstream(cause) => write!(f, "upstream: {cause}"),
            Self::RateLimited => f.write_str("upstream: too many requests"),
            Self::Coalescer(cause) => write!(f, "coalescer: {cause}"),
        }
    }
}

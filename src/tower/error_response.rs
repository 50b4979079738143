//! The default response to a request whose join failed.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::error::{ArcError, SharedError};
use crate::error::JoinError;

/// Names the status alone: a panic's message may hold internals that clients must not see.
pub(super) fn response(error: &JoinError, retry_after: Duration) -> Response<Bytes> {
    let (status, may_retry) = match error {
        JoinError::Panicked(_) | JoinError::MixedJoins => (StatusCode::INTERNAL_SERVER_ERROR, false),
        JoinError::TooManyWaiters { .. }
        | JoinError::TooManyFlights { .. }
        | JoinError::Overloaded { .. }
        | JoinError::QueueTimedOut { .. } => (StatusCode::SERVICE_UNAVAILABLE, true),
        JoinError::TimedOut { .. } => (StatusCode::GATEWAY_TIMEOUT, true),
        JoinError::Aborted | JoinError::Closed => (StatusCode::SERVICE_UNAVAILABLE, false),
        JoinError::Reentrant => (StatusCode::LOOP_DETECTED, false),
    };
    let mut response = of(status);
    if may_retry {
        // Rounded up: the header holds whole seconds.
        let seconds = retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0));
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The response to callers of a flight whose body has failed before any of it was sent.
pub(super) fn of_failed_body(error: ArcError) -> Response<Bytes> {
    let mut response = of(StatusCode::BAD_GATEWAY);
    response.extensions_mut().insert(SharedError::<()>::new(error));
    response
}

fn of(status: StatusCode) -> Response<Bytes> {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

//! A layer's configuration, and its defaults.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Response, request, response};

use super::{
    error_response,
    headers::{CREDENTIALS, DEFAULT_KEY_HEADERS},
};
use crate::error::JoinError;

pub(super) type Principal = Arc<dyn Fn(&request::Parts) -> Option<Box<[u8]>> + Send + Sync>;
pub(super) type CoalesceIf = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;
pub(super) type ShareIf = Arc<dyn Fn(&response::Parts) -> bool + Send + Sync>;
pub(super) type MapJoinError = Arc<dyn Fn(&JoinError) -> Response<Bytes> + Send + Sync>;

/// What becomes of a caller that reads a body over the cap more slowly than the fastest caller of its flight, by more than the
/// buffer that they share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSlowReader {
    /// It makes a call of its own, skips what it has read already, and reads on from there. If what it has read is not what the
    /// new body begins with, its body ends in an error.
    #[default]
    CallAlone,
    /// Its body ends in an error.
    Fail,
}

pub(super) struct Config {
    pub(super) max_body_bytes: usize,
    /// The headers whose values are in the key.
    pub(super) key_headers: Vec<HeaderName>,
    pub(super) credentials: Vec<HeaderName>,
    pub(super) principal: Option<Principal>,
    pub(super) coalesce_if: CoalesceIf,
    pub(super) share_if: ShareIf,
    pub(super) on_slow_reader: OnSlowReader,
    pub(super) retry_after: Duration,
    pub(super) map_join_error: Option<MapJoinError>,
}

impl Config {
    /// The response to a request whose join failed.
    pub(super) fn error_response(&self, error: &JoinError) -> Response<Bytes> {
        match &self.map_join_error {
            Some(map) => map(error),
            None => error_response::response(error, self.retry_after),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            key_headers: DEFAULT_KEY_HEADERS.to_vec(),
            credentials: CREDENTIALS.to_vec(),
            principal: None,
            coalesce_if: Arc::new(|_| true),
            share_if: Arc::new(|_| true),
            on_slow_reader: OnSlowReader::default(),
            retry_after: Duration::from_secs(1),
            map_join_error: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("max_body_bytes", &self.max_body_bytes)
            .field("key_headers", &self.key_headers)
            .field("credentials", &self.credentials)
            .field("has_principal", &self.principal.is_some())
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

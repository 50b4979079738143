//! A layer's configuration, and its defaults.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, request, response};

use super::{error_response, key_headers::KeyHeaders};
use crate::error::JoinError;

/// Makes a part of the key: the principal, or the user's own key.
pub(super) type KeyPart = Arc<dyn Fn(&request::Parts) -> Option<Box<[u8]>> + Send + Sync>;
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
    pub(super) key_headers: KeyHeaders,
    pub(super) principal: Option<KeyPart>,
    pub(super) shares_private_within_principal: bool,
    pub(super) key_by: Option<KeyPart>,
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
            key_headers: KeyHeaders::default(),
            principal: None,
            shares_private_within_principal: false,
            key_by: None,
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
            .field("has_principal", &self.principal.is_some())
            .field("shares_private_within_principal", &self.shares_private_within_principal)
            .field("has_key_by", &self.key_by.is_some())
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

//! What the builder was told: what enters the key, what passes, and how failures look.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Response, request, response};

use super::{
    headers::{ALWAYS_IN_THE_KEY, CREDENTIALS},
    refusal,
};
use crate::error::JoinError;

pub(super) type Principal = Arc<dyn Fn(&request::Parts) -> Option<Box<[u8]>> + Send + Sync>;
pub(super) type CoalesceIf = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;
pub(super) type ShareIf = Arc<dyn Fn(&response::Parts) -> bool + Send + Sync>;
pub(super) type MapJoinError = Arc<dyn Fn(&JoinError) -> Response<Bytes> + Send + Sync>;

pub(super) struct Rules {
    pub(super) max_body_bytes: usize,
    /// Those whose values are in the key.
    pub(super) keyed: Vec<HeaderName>,
    pub(super) credentials: Vec<HeaderName>,
    pub(super) principal: Option<Principal>,
    pub(super) coalesce_if: CoalesceIf,
    pub(super) share_if: ShareIf,
    pub(super) retry_after: Duration,
    pub(super) map_join_error: Option<MapJoinError>,
}

impl Rules {
    pub(super) fn refuse(&self, error: &JoinError) -> Response<Bytes> {
        match &self.map_join_error {
            Some(map) => map(error),
            None => refusal::response(error, self.retry_after),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            keyed: ALWAYS_IN_THE_KEY.to_vec(),
            credentials: CREDENTIALS.to_vec(),
            principal: None,
            coalesce_if: Arc::new(|_| true),
            share_if: Arc::new(|_| true),
            retry_after: Duration::from_secs(1),
            map_join_error: None,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("max_body_bytes", &self.max_body_bytes)
            .field("keyed", &self.keyed)
            .field("credentials", &self.credentials)
            .field("has_principal", &self.principal.is_some())
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

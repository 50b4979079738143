//! The builder: every option of a layer, and its default. `key_options.rs` has those about the key.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, request, response};

use super::{
    answer::Answer,
    config::{Config, OnSlowReader},
    key::Key,
    layer::CoalesceLayer,
    state::LayerState,
};
use crate::{error::JoinError, handle::Handle};

/// Builds a [`CoalesceLayer`].
///
/// Each closure is called once per request or response at most, but for requests that join again, as the layer's own coalescer was
/// lost with its runtime. A panic in a closure about requests or errors unwinds into the
/// request's own task; a panic in [`share_if`](Self::share_if) fails the flight, whose callers get a 500.
///
/// # Examples
///
/// ```
/// use http::header;
/// use shardflight::{Coalescer, tower::CoalesceLayer};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
/// let coalescer = Coalescer::builder().max_flight_duration(Duration::from_secs(5)).max_flights(1_000).build()?;
/// let layer = CoalesceLayer::builder()
///     .handle(coalescer.handle())
///     .max_body_bytes(64 * 1024)
///     .ignore(["X-Device-Id", "Accept-Language"])
///     // The whole header is the principal: clients with the same token share.
///     .principal(|request| request.headers.get(header::AUTHORIZATION).cloned())
///     .build();
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[must_use = "there is no layer before `build`"]
pub struct CoalesceLayerBuilder {
    pub(super) config: Config,
    handle: Option<Handle<Key, Answer>>,
}

impl CoalesceLayerBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The coalescer whose flights requests join. Build one to set its caps, its deadline and its policies, and keep it to shut
    /// it down.
    ///
    /// # Default
    ///
    /// One with the defaults of [`Builder`](crate::Builder), but with [`OnAbandon::Abort`](crate::OnAbandon::Abort): a call whose
    /// clients have all hung up is dropped, as axum drops a handler. The first request builds it, on its own runtime; when that
    /// runtime has shut down, the next request builds another. With [`RunWork::InPlace`](crate::RunWork::InPlace), a call that one
    /// client alone waits for costs no task.
    pub fn handle(mut self, handle: Handle<Key, Answer>) -> Self {
        self.handle = Some(handle);
        self
    }

    /// The memory that a flight may use for its body, which its callers share, in bytes.
    ///
    /// Up to that size, a body is read whole before the response is delivered. A larger one is delivered as it arrives: at once if
    /// `Content-Length` shows the size, otherwise when the cap is exceeded. It is read at the pace of its fastest caller, through
    /// a buffer of this size, and [`on_slow_reader`](Self::on_slow_reader) says what becomes of a caller that falls behind. A chunk
    /// counts as 64 bytes more than its data. One of less than 4 KiB is copied, as it may be a slice of a larger buffer; one that is
    /// larger than the cap is kept until the fastest caller has it.
    ///
    /// # Default
    ///
    /// 1 MiB.
    pub fn max_body_bytes(mut self, limit: usize) -> Self {
        self.config.max_body_bytes = limit;
        self
    }

    /// What becomes of a caller that reads a body over [`max_body_bytes`](Self::max_body_bytes) too slowly to share it. In either
    /// case it slows the others by 100 ms at most, however many such callers there are.
    ///
    /// # Default
    ///
    /// [`OnSlowReader::CallAlone`].
    pub fn on_slow_reader(mut self, on_slow_reader: OnSlowReader) -> Self {
        self.config.on_slow_reader = on_slow_reader;
        self
    }

    /// Decides on requests that would otherwise be coalesced: with `false` a request passes through. It can't have other
    /// requests coalesced.
    ///
    /// # Default
    ///
    /// Always `true`.
    pub fn coalesce_if(mut self, predicate: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.config.coalesce_if = Arc::new(predicate);
        self
    }

    /// Decides on responses that would otherwise be shared: with `false` a response goes to its leader only. It can't have
    /// other responses shared. Runs in the flight's task, before the body is read.
    ///
    /// # Default
    ///
    /// Always `true`.
    pub fn share_if(mut self, predicate: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.config.share_if = Arc::new(predicate);
        self
    }

    /// The `Retry-After` of a 503 for overload or a 504 for a deadline, rounded up to whole seconds.
    ///
    /// # Default
    ///
    /// 1 second.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.config.retry_after = after;
        self
    }

    /// Makes the response to a request whose join failed. Errors of the inner service don't come here: they are returned as
    /// [`SharedError`](crate::tower::SharedError).
    ///
    /// # Default
    ///
    /// The responses of [this table](crate::tower#failures), with a body that names the status alone.
    pub fn map_join_error(mut self, map: impl Fn(&JoinError) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        self.config.map_join_error = Some(Arc::new(map));
        self
    }

    /// Builds the layer.
    pub fn build(self) -> CoalesceLayer {
        CoalesceLayer::with_state(LayerState::new(self.config, self.handle))
    }
}

//! Every choice of a layer, with its default.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Response, request, response};

use super::{answer::Answer, common::Common, key::Key, layer::CoalesceLayer, rules::Rules};
use crate::{error::JoinError, handle::Handle};

/// Builds a [`CoalesceLayer`].
///
/// What is given closures calls them once per request or response that comes so far. A panic in one about requests or
/// errors unwinds into its request's own task; one in [`share_if`](Self::share_if) is its flight's, and a 500.
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
///     .vary([header::ACCEPT, header::ACCEPT_ENCODING])
///     // The whole header is the principal: whoever sends the same token may share.
///     .principal(|request| request.headers.get(header::AUTHORIZATION).cloned())
///     .build();
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[must_use = "there is no layer before `build`"]
pub struct CoalesceLayerBuilder {
    rules: Rules,
    handle: Option<Handle<Key, Answer>>,
}

impl CoalesceLayerBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The coalescer to join through: build one for its caps, its deadline, and what becomes of work that nobody waits
    /// for any more. To shut it down, keep it.
    ///
    /// # Default
    ///
    /// One with every default of [`Builder`](crate::Builder), built at the first request, on the runtime it comes on.
    pub fn handle(mut self, handle: Handle<Key, Answer>) -> Self {
        self.handle = Some(handle);
        self
    }

    /// The largest body that is shared, in bytes. So much memory a flight may take for it, and its callers share that.
    ///
    /// A response with a larger one is its leader's alone: it gets what was read, and the rest as it comes. Followers
    /// then call for themselves, at once if `Content-Length` tells, else when the cap is passed.
    ///
    /// # Default
    ///
    /// 1 MiB.
    pub fn max_body_bytes(mut self, limit: usize) -> Self {
        self.rules.max_body_bytes = limit;
        self
    }

    /// Headers whose values enter the key, in addition to those that are always in it: requests that differ in one of
    /// them aren't the same, and responses may `Vary` with them. Each call adds.
    ///
    /// Naming a header that carries credentials has requests with it coalesced, each value by itself.
    ///
    /// # Default
    ///
    /// None.
    pub fn vary(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.rules.keyed.extend(names);
        self
    }

    /// Further headers that carry credentials: requests with one of them pass through, unless the key accounts for it.
    /// Each call adds.
    ///
    /// # Default
    ///
    /// `Authorization`, `Proxy-Authorization`, `Cookie` and
    /// [what the table has](crate::tower#headers-that-carry-credentials).
    pub fn credentials(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.rules.credentials.extend(names);
        self
    }

    /// Whom a request is made for. `Some` enters the key, accounts for every credential that the request carries, and has
    /// it coalesced with those of the same principal alone; with `None` a request that carries credentials passes
    /// through, and one that doesn't is nobody's in particular.
    ///
    /// The request's extensions are there as well, for whoever is known by a client certificate or by an address.
    ///
    /// **Whatever this leaves out, principals share.** Two of them must never have the same bytes: where one is made of
    /// several parts, separate them by what can't be in any. And name who has *authenticated*: a user's name that nobody
    /// has checked is anyone's to send, and what joins a flight is never checked again below.
    ///
    /// # Default
    ///
    /// Nobody is known.
    pub fn principal<P: AsRef<[u8]>>(
        mut self,
        principal: impl Fn(&request::Parts) -> Option<P> + Send + Sync + 'static,
    ) -> Self {
        self.rules.principal = Some(Arc::new(move |parts| principal(parts).map(|principal| principal.as_ref().into())));
        self
    }

    /// A veto on requests that would be coalesced: with `false` one passes through. It can't allow what isn't by
    /// itself.
    ///
    /// # Default
    ///
    /// No veto.
    pub fn coalesce_if(mut self, predicate: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.rules.coalesce_if = Arc::new(predicate);
        self
    }

    /// A veto on responses that would be shared: with `false` one is its leader's alone. It can't allow what isn't by
    /// itself. Runs in the flight's task, before the body is read.
    ///
    /// # Default
    ///
    /// No veto.
    pub fn share_if(mut self, predicate: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.rules.share_if = Arc::new(predicate);
        self
    }

    /// The `Retry-After` of a 503 or 504 for overload or time that is up, in whole seconds, rounded up.
    ///
    /// # Default
    ///
    /// 1 second.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.rules.retry_after = after;
        self
    }

    /// The response where a join has failed. Errors of the inner service are none of these: they come out as
    /// [`SharedError`](crate::tower::SharedError).
    ///
    /// # Default
    ///
    /// What [the table](crate::tower#failures) has, with a body that names the status alone.
    pub fn map_join_error(mut self, map: impl Fn(&JoinError) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        self.rules.map_join_error = Some(Arc::new(map));
        self
    }

    /// The layer.
    pub fn build(self) -> CoalesceLayer {
        CoalesceLayer::with_common(Common::new(self.rules, self.handle))
    }
}

//! A call of the inner service that is still to be made.

use std::future::poll_fn;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body::Body;
use tower_service::Service;

use super::{
    body::CoalescedBody,
    error::{BoxError, SharedError, share},
    nesting,
    read_body::BodyForKey,
};
use crate::unwind::awaited;

/// In a box from the start: it is handed from place to place, and is large.
pub(super) struct Call<S, ReqB> {
    pub(super) inner: S,
    pub(super) parts: request::Parts,
    pub(super) body: ReqB,
    /// The layer that makes it.
    pub(super) layer_id: u64,
}

impl<S, ReqB, ResB> Call<S, ReqB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
{
    /// Waits for the readiness of the very clone that it calls: clones don't share readiness.
    pub(super) async fn make(mut self: Box<Self>) -> Result<Response<ResB>, S::Error> {
        poll_fn(|cx| self.inner.poll_ready(cx)).await?;
        // In a block, so that the future below has no room for them.
        let calling = {
            let Self { mut inner, mut parts, body, layer_id } = *self;
            nesting::meet(&mut parts.extensions, layer_id);
            // The inner service may send the request on with another body. A layer behind it would take this one for that.
            parts.extensions.remove::<BodyForKey>();
            inner.call(Request::from_parts(parts, body))
        };
        awaited(calling).await
    }

    /// For its caller only, as if the layer weren't there.
    pub(super) async fn alone(self: Box<Self>) -> Result<Response<CoalescedBody<ResB>>, SharedError<S::Error>>
    where
        ResB: Body<Data = Bytes>,
    {
        match self.make().await {
            Ok(response) => Ok(response.map(CoalescedBody::own)),
            Err(error) => Err(SharedError::new(share(error))),
        }
    }
}

//! Reads the bodies of requests, so that they can be in the key.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, header};
use http_body::{Frame, SizeHint};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    body::{CoalescedBody, Content, End},
    collect::{Collected, collect},
};

/// A request's whole body, in its extensions. The layer that calls the inner service takes it out.
#[derive(Clone, Debug)]
pub(super) struct BodyForKey(pub(super) Bytes);

/// A layer that reads the bodies of requests, up to a limit, so that a [`CoalesceLayer`](crate::tower::CoalesceLayer) **directly
/// below it** can have them in its key. They are only in the key of requests for which
/// [`key_by`](crate::tower::CoalesceLayerBuilder::key_by) returned `Some`; other requests with a body pass through. A body counts
/// for that one layer alone, whether it coalesces the request or passes it through: another one further below needs a
/// `ReadBodyLayer` of its own.
///
/// Each request holds up to `max_bytes` of memory while it waits. A body that is larger or of unknown length, that fails, or that has
/// trailers reaches the service as it is, and its request passes through. So does a request with `Expect`. The bytes themselves are compared, and no digest of them: so no client
/// can make up a body that shares the response to another one.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::post};
/// use http::request::Parts;
/// use shardflight::tower::{CoalesceLayer, ReadBodyLayer};
///
/// // A POST that only reads. Its body is in the key, too, as are its path and its headers.
/// let reads = |request: &Parts| (request.uri.path() == "/search").then_some("");
/// let router: Router = Router::new()
///     .route("/search", post(async |query: String| format!("what matches {query}")))
///     .layer(CoalesceLayer::builder().key_by(reads).build())
///     .layer(ReadBodyLayer::new(16 * 1024));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReadBodyLayer {
    max_bytes: usize,
}

impl ReadBodyLayer {
    /// A layer that reads bodies of up to `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes }
    }
}

impl<S> Layer<S> for ReadBodyLayer {
    type Service = ReadBody<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReadBody { inner, max_bytes: self.max_bytes }
    }
}

/// A service wrapped by [`ReadBodyLayer`].
#[derive(Clone, Debug)]
pub struct ReadBody<S> {
    inner: S,
    max_bytes: usize,
}

impl<S> Service<Request<Body>> for ReadBody<S>
where
    S: Service<Request<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone that is ready makes the call; clones don't share readiness.
        let next = self.inner.clone();
        let (mut inner, max_bytes) = (mem::replace(&mut self.inner, next), self.max_bytes);
        Box::pin(async move { inner.call(read(request, max_bytes).await).await })
    }
}

async fn read(request: Request<Body>, max_bytes: usize) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    // Only what says that it is short: a client may wait for the response before it sends the rest.
    let upper = http_body::Body::size_hint(&body).upper().and_then(|upper| usize::try_from(upper).ok());
    let is_short = upper.is_some_and(|upper| (1..=max_bytes).contains(&upper));
    if !is_short || parts.headers.contains_key(header::EXPECT) {
        return Request::from_parts(parts, body);
    }
    let body = match collect(body, max_bytes).await {
        Collected::Whole(Content { data, end: End::Plain }) => {
            parts.extensions.insert(BodyForKey(data.clone()));
            Body::from(data)
        }
        Collected::Whole(content) => Body::new(CoalescedBody::<Body>::whole(content)),
        Collected::TooLarge { read, rest } => Body::new(Resumed { read, rest }),
    };
    Request::from_parts(parts, body)
}

/// A body of which a part was read before it exceeded the limit.
struct Resumed {
    read: VecDeque<Bytes>,
    rest: Pin<Box<Body>>,
}

impl http_body::Body for Resumed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.read.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => self.rest.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (read, rest) = (self.read.iter().map(Bytes::len).sum::<usize>() as u64, self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

//! The service: answers each request by a flight, or passes it through.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    answer::{self, Answer, Outcome},
    body::{CoalescedBody, Content},
    collect::{Collected, collect},
    error::{BoxError, SharedError, share},
    reason::Reason,
    request_slot::{RequestSlot, SlotState},
    state::LayerState,
};

/// A service wrapped by [`CoalesceLayer`](crate::tower::CoalesceLayer).
///
/// It is always ready: a request that follows another doesn't call the inner service, and each other request waits for a clone
/// of the inner service of its own before it calls it. To bound the requests that wait there, use an inner service that
/// rejects (load shedding), or set the coalescer's caps.
#[derive(Clone, Debug)]
pub struct Coalesce<S> {
    inner: S,
    state: Arc<LayerState>,
}

impl<S> Coalesce<S> {
    pub(super) fn new(inner: S, state: Arc<LayerState>) -> Self {
        Self { inner, state }
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for Coalesce<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    type Response = Response<CoalescedBody<ResB>>;
    type Error = SharedError<S::Error>;
    type Future = ResponseFuture<ResB, S::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Don't wait for the inner service here: followers need no call. With a limit of one concurrent call below, no
        // request could ever follow another.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let (inner, state) = (self.inner.clone(), Arc::clone(&self.state));
        ResponseFuture { inner: Box::pin(serve(inner, request, state)) }
    }
}

/// The response future of [`Coalesce`]. Dropping it affects no other request (G2).
#[must_use = "nothing happens before the future is polled"]
pub struct ResponseFuture<B, E> {
    inner: Pin<Box<dyn Future<Output = Served<B, E>> + Send>>,
}

type Served<B, E> = Result<Response<CoalescedBody<B>>, SharedError<E>>;

impl<B, E> Future for ResponseFuture<B, E> {
    type Output = Served<B, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl<B, E> fmt::Debug for ResponseFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Answers one request, by a flight or by a call of its own.
async fn serve<S, ReqB, ResB>(inner: S, request: Request<ReqB>, state: Arc<LayerState>) -> Served<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let admitted = state.config.admit(state.layer_id, &parts, &body);
    let request = Request::from_parts(parts, body);
    let (key, handle) = match admitted.and_then(|key| Ok((key, state.handle().ok_or(Reason::NoRuntime)?))) {
        Ok(admitted) => admitted,
        Err(reason) => {
            state.pass_through.count(reason);
            return call_alone(inner, request).await;
        }
    };
    let slot = RequestSlot::new(inner, request);
    let (work_slot, work_state) = (slot.clone(), Arc::clone(&state));
    match handle.join(key, move || lead(work_slot, work_state)).await {
        Ok(Answer(Outcome::Shared { parts, content })) => Ok(answer::response(parts, content)),
        Ok(Answer(Outcome::Failed(error))) => Err(SharedError::new(error)),
        Ok(Answer(Outcome::LeaderOnly(reason))) => {
            state.pass_through.count(reason);
            match slot.take() {
                SlotState::Response(response) => Ok(response),
                SlotState::Request(inner, request) => call_alone(inner, request).await,
                SlotState::Empty => unreachable!("a leader's response is in its slot before its flight completes"),
            }
        }
        Err(error) => {
            let (parts, data) = state.config.error_response(&error).into_parts();
            Ok(answer::response(parts, Content { data, ..Content::default() }))
        }
    }
}

/// The work of a flight: makes the leader's call, and collects the response if it is shareable.
async fn lead<S, ReqB, ResB>(slot: RequestSlot<S, ReqB, ResB>, state: Arc<LayerState>) -> Answer
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
    ResB::Error: Into<BoxError>,
{
    let SlotState::Request(inner, request) = slot.take() else {
        unreachable!("work runs once, and takes the request before its caller looks")
    };
    let method = request.method().clone();
    let (parts, body) = match call(inner, request).await {
        Ok(response) => response.into_parts(),
        Err(error) => return Answer(Outcome::Failed(share(error))),
    };
    if let Some(reason) = state.config.not_shareable(&method, &parts, &body) {
        slot.put_response(Response::from_parts(parts, CoalescedBody::own(body)));
        return Answer(Outcome::LeaderOnly(reason));
    }
    match collect(body, state.config.max_body_bytes).await {
        Collected::Whole(content) => Answer::shared(parts, content),
        Collected::TooLarge { read, rest } => {
            slot.put_response(Response::from_parts(parts, CoalescedBody::resumed(read, rest)));
            Answer(Outcome::LeaderOnly(Reason::TooLarge))
        }
    }
}

/// Calls the inner service for this request only, as if the layer weren't there.
async fn call_alone<S, ReqB, ResB>(inner: S, request: Request<ReqB>) -> Served<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
{
    match call(inner, request).await {
        Ok(response) => Ok(response.map(CoalescedBody::own)),
        Err(error) => Err(SharedError::new(share(error))),
    }
}

/// Waits for the readiness of the very clone that it calls: clones don't share readiness.
async fn call<S: Service<R>, R>(mut inner: S, request: R) -> Result<S::Response, S::Error> {
    poll_fn(|cx| inner.poll_ready(cx)).await?;
    inner.call(request).await
}

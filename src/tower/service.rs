//! The service that a layer makes of another.

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
    common::Common,
    desk::{Desk, Paper},
    error::{BoxError, SharedError, share},
    reason::Reason,
};

/// What [`CoalesceLayer`](crate::tower::CoalesceLayer) makes of a service.
///
/// It is always ready: a request that follows another needs nothing of the service below, and one that doesn't gets a
/// clone of its own, which it waits for before it calls. To bound what waits there, have something below that refuses,
/// or give the coalescer caps.
#[derive(Clone, Debug)]
pub struct Coalesce<S> {
    inner: S,
    common: Arc<Common>,
}

impl<S> Coalesce<S> {
    pub(super) fn new(inner: S, common: Arc<Common>) -> Self {
        Self { inner, common }
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
        // Waiting for the inner service here would keep out the very requests that need no call: behind a limit of one
        // call at a time, none would ever follow another.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let (inner, common) = (self.inner.clone(), Arc::clone(&self.common));
        ResponseFuture { inner: Box::pin(serve(inner, request, common)) }
    }
}

/// The future of [`Coalesce`]'s responses. Drop it whenever you like: no other request notices (G2).
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

/// One request's way: past the coalescer, or through a flight.
async fn serve<S, ReqB, ResB>(inner: S, request: Request<ReqB>, common: Arc<Common>) -> Served<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let admitted = common.rules.admit(common.layer, &parts, &body);
    let request = Request::from_parts(parts, body);
    let (key, handle) = match admitted.and_then(|key| Ok((key, common.handle().ok_or(Reason::NoRuntime)?))) {
        Ok(admitted) => admitted,
        Err(reason) => {
            common.passes.count(reason);
            return call_alone(inner, request).await;
        }
    };
    let desk = Desk::new(inner, request);
    let (at_work, rules) = (desk.clone(), Arc::clone(&common));
    match handle.join(key, move || lead(at_work, rules)).await {
        Ok(Answer(Outcome::Shared { parts, content })) => Ok(answer::response(parts, content)),
        Ok(Answer(Outcome::Failed(error))) => Err(SharedError::new(error)),
        Ok(Answer(Outcome::LeadersAlone(reason))) => {
            common.passes.count(reason);
            match desk.take() {
                Paper::Response(response) => Ok(response),
                Paper::Request(inner, request) => call_alone(inner, request).await,
                Paper::Gone => unreachable!("a leader's response is on its desk before its flight has landed"),
            }
        }
        Err(error) => {
            let (parts, data) = common.rules.refuse(&error).into_parts();
            Ok(answer::response(parts, Content { data, ..Content::default() }))
        }
    }
}

/// The work of a flight: the leader's call, and as much of its response as is for everyone.
async fn lead<S, ReqB, ResB>(desk: Desk<S, ReqB, ResB>, common: Arc<Common>) -> Answer
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
    ResB::Error: Into<BoxError>,
{
    let Paper::Request(inner, request) = desk.take() else { unreachable!("work is called once, before its caller") };
    let method = request.method().clone();
    let (parts, body) = match call(inner, request).await {
        Ok(response) => response.into_parts(),
        Err(error) => return Answer(Outcome::Failed(share(error))),
    };
    if let Some(reason) = common.rules.objection(&method, &parts, &body) {
        desk.leave_response(Response::from_parts(parts, CoalescedBody::own(body)));
        return Answer(Outcome::LeadersAlone(reason));
    }
    match collect(body, common.rules.max_body_bytes).await {
        Collected::Whole(content) => Answer::shared(parts, content),
        Collected::TooLarge { read, rest } => {
            desk.leave_response(Response::from_parts(parts, CoalescedBody::resumed(read, rest)));
            Answer(Outcome::LeadersAlone(Reason::TooLarge))
        }
    }
}

/// As if the layer weren't there.
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

/// A clone's readiness is its own, so it is waited for on the clone that is called.
async fn call<S: Service<R>, R>(mut inner: S, request: R) -> Result<S::Response, S::Error> {
    poll_fn(|cx| inner.poll_ready(cx)).await?;
    inner.call(request).await
}

//! The service: answers each request by a flight, or passes it through.

use std::{
    fmt,
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
    call::Call,
    config::OnSlowReader,
    error::{BoxError, SharedError, share},
    key::Key,
    nesting,
    reader::{Reader, Refetch, Refetches},
    reason::Reason,
    request_slot::{RequestSlot, SlotState},
    shareable::{Asked, Said},
    shared_stream::BodyError,
    state::LayerState,
    vary::varied_names,
    work::lead,
};
use crate::{error::JoinError, handle::Handle, task::current::Current};

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
        let (parts, body) = request.into_parts();
        let call = Box::new(Call { inner, parts, body, layer_id: state.layer_id });
        ResponseFuture { inner: Box::pin(serve(call, state)) }
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

/// How often a request joins. Again only where the layer's coalescer was lost with its runtime, and another was built.
const ATTEMPTS: usize = 16;

/// Answers one request, by a flight or by a call of its own.
async fn serve<S, ReqB, ResB>(mut call: Box<Call<S, ReqB>>, mut layer: Arc<LayerState>) -> Served<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let mut attempts = 1..=ATTEMPTS;
    let mut _under_way;
    // All that ends in a call of the request's own does so in one place: each would make this future larger.
    let call = loop {
        let is_last = attempts.next().is_none_or(|attempt| attempt == ATTEMPTS);
        let (key, handle) = match admit(&call, &layer) {
            Ok(admitted) => admitted,
            Err(reason) => {
                layer.count_pass(reason);
                break call;
            }
        };
        if handle.router().bypasses(&key) {
            break call;
        }
        _under_way = layer.under_way.enter(&key);
        let slot = RequestSlot::new(layer, key.clone(), call);
        let work_slot = slot.clone();
        let error = match handle.join(key, move || lead(work_slot)).await {
            Ok(answer) => match deliver(answer, &slot) {
                Delivered::Response(response) => return Ok(response),
                Delivered::Failed(error) => return Err(error),
                Delivered::Call(own) => break own,
            },
            Err(error) => error,
        };
        layer = Arc::clone(slot.layer());
        // Not otherwise: a caller that only waits no longer leaves its work to others, which need the request.
        if !is_last
            && layer.renews(&handle, &error)
            && let SlotState::Call(again) = slot.take()
        {
            call = again;
            continue;
        }
        return Ok(failed(&layer, &error));
    };
    call.alone().await
}

/// The response to a request whose join failed.
fn failed<B>(layer: &LayerState, error: &JoinError) -> Response<CoalescedBody<B>> {
    let (parts, data) = layer.config.error_response(error).into_parts();
    answer::response(parts, Content { data, ..Content::default() })
}

/// What a request joins, or why it passes through.
fn admit<S, ReqB: Body>(call: &Call<S, ReqB>, layer: &LayerState) -> Result<(Key, Handle<Key, Answer>), Reason> {
    if nesting::has_met(&call.parts.extensions, layer.layer_id) {
        return Err(Reason::Nested);
    }
    let key = layer.config.admit(layer.layer_id, &call.parts, &call.body)?;
    if layer.unshareable.contains(&key) {
        return Err(Reason::RecentlyUnshareable);
    }
    let handle = layer.handle().ok_or(Reason::NoRuntime)?;
    Ok((key, handle))
}

/// What a caller gets of its flight.
enum Delivered<S, ReqB, B, E> {
    Response(Response<CoalescedBody<B>>),
    Failed(SharedError<E>),
    /// Nothing: it makes a call of its own.
    Call(Box<Call<S, ReqB>>),
}

fn deliver<S, ReqB, ResB>(answer: Answer, slot: &RequestSlot<S, ReqB, ResB>) -> Delivered<S, ReqB, ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
{
    let (layer, key, flight) = (slot.layer(), slot.key(), answer.flight());
    if let Some(call) = answer.varied().and_then(|varied| slot.take_unless_matched(varied)) {
        layer.count_recall(Reason::Vary, flight);
        return Delivered::Call(call);
    }
    let outcome = match answer.into_outcome() {
        Ok(outcome) => outcome,
        Err(panic) => return Delivered::Response(failed(layer, &JoinError::Panicked(panic))),
    };
    match outcome {
        Outcome::Shared { parts, content } => {
            layer.unshareable.note(key, true);
            Delivered::Response(answer::response(parts, content))
        }
        Outcome::Streamed { parts, stream, refetches } => {
            layer.unshareable.note(key, true);
            let refetches = refetches.downcast::<Refetches<ResB>>().ok();
            let refetches = refetches.filter(|_| layer.config.on_slow_reader == OnSlowReader::CallAlone);
            let own_call = match slot.take() {
                SlotState::Call(call) if refetches.is_some() => Some(refetch(call, flight, Asked::by(key), layer)),
                _ => None,
            };
            let reader = Reader::new(stream, &parts, refetches, own_call);
            Delivered::Response(Response::from_parts(parts, CoalescedBody::streamed(reader)))
        }
        Outcome::Failed(error) => Delivered::Failed(SharedError::new(error)),
        Outcome::LeaderOnly(reason) => match slot.take() {
            SlotState::Response(response) => {
                layer.count_pass(reason);
                // Once for each flight. What the user says of one response says nothing of the next, and a status may be about
                // one client: it must not have others' requests pass.
                if !matches!(reason, Reason::ResponseVetoed | Reason::Status) {
                    layer.unshareable.note(key, false);
                }
                Delivered::Response(*response)
            }
            SlotState::Call(call) => {
                layer.count_recall(reason, flight);
                Delivered::Call(call)
            }
            SlotState::Empty => unreachable!("a leader's response is in its slot before its flight completes"),
        },
    }
}

/// A follower's call, for a reader of the shared body that is too slow for it.
fn refetch<S, ReqB, ResB>(
    call: Box<Call<S, ReqB>>,
    flight: Option<Current>,
    asked: Asked,
    state: &Arc<LayerState>,
) -> Refetch<ResB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Send + 'static,
    ResB: Send + 'static,
{
    // Weak, as a body must not keep the coalescer alive.
    let (state, passes) = (Arc::downgrade(state), state.pass_through.clone());
    Box::new(move |is_own| {
        match state.upgrade() {
            Some(state) => state.count_recall(Reason::TooLarge, flight),
            None => passes.count(Reason::TooLarge),
        }
        Box::pin(async move {
            let response = call.make().await.map_err(share)?;
            let (parts, body) = response.into_parts();
            // The answer to one client's request must not reach another but as it would in a flight.
            let may_be_shared = |state: Arc<LayerState>| {
                state.config.not_shareable(asked, &parts, &Said::by(&parts.headers)).is_none()
                    && varied_names(&state.config.key_headers, &parts.headers).is_empty()
            };
            if is_own || state.upgrade().is_some_and(may_be_shared) {
                Ok(Response::from_parts(parts, body))
            } else {
                Err(BodyError::Changed.into())
            }
        })
    })
}

//! The service: answers each request by a flight, or passes it through.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, header, response};
use http_body::Body;
use tower_service::Service;

use super::{
    answer::{self, Answer, Outcome},
    body::{CoalescedBody, Content, End},
    call::Call,
    collect::{Collected, collect},
    config::OnSlowReader,
    error::{BoxError, SharedError, share},
    error_response,
    key::Key,
    nesting,
    reader::{Reader, Refetch, Refetches},
    reason::Reason,
    request_slot::{RequestSlot, SlotState},
    shareable::{Asked, Said},
    shared_stream::BodyError,
    state::LayerState,
    vary::{Varied, varied_names},
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

/// The work of a flight: makes the leader's call, and reads the body if it is to be shared whole.
async fn lead<S, ReqB, ResB>(slot: RequestSlot<S, ReqB, ResB>) -> Answer
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let SlotState::Call(call) = slot.take() else {
        unreachable!("work runs once, and takes the request before its caller looks")
    };
    let is_head = call.parts.method == Method::HEAD;
    let (parts, body) = match call.make().await {
        Ok(response) => response.into_parts(),
        Err(error) => return Answer::new(Outcome::Failed(share(error)), None),
    };
    let (config, said) = (&slot.layer().config, Said::by(&parts.headers));
    if let Some(reason) = config.not_shareable(Asked::by(slot.key()), &parts, &said) {
        slot.put_response(Response::from_parts(parts, CoalescedBody::own(body)));
        return Answer::new(Outcome::LeaderOnly(reason), None);
    }
    let varied = said.may_vary.then(|| Varied::new(&config.key_headers, &parts.headers, slot.key())).flatten();
    if is_head {
        let outcome = Outcome::shared(head_only(parts, &body), Content { end: End::Head, ..Content::default() });
        return Answer::new(outcome, varied);
    }
    let max_bytes = config.max_body_bytes;
    let (read, rest) = if config.is_too_large(&parts.headers, &body) {
        (VecDeque::new(), Box::pin(body))
    } else {
        match collect(body, max_bytes).await {
            Collected::Whole(Content { end: End::Failed(error), .. }) => {
                let (parts, data) = error_response::of_failed_body(error).into_parts();
                return Answer::new(Outcome::shared(parts, Content { data, ..Content::default() }), varied);
            }
            Collected::Whole(content) => return Answer::new(Outcome::shared(parts, content), varied),
            Collected::TooLarge { read, rest } => (read, rest),
        }
    };
    // Boxed, as few responses need it.
    let callers = Box::pin(callers(slot.layer())).await;
    Answer::new(Outcome::streamed(parts, read, rest, max_bytes, callers), varied)
}

/// How many wait for the flight whose work this is.
async fn callers(layer: &LayerState) -> usize {
    let Some(flight) = layer.existing_handle().and_then(|handle| handle.current_flight()) else { return 1 };
    flight.info().await.map_or(1, |info| info.waiters)
}

/// A response to HEAD has no body, whatever its service has made. A server above the layer may take the length from the body.
fn head_only(mut parts: response::Parts, body: &impl Body) -> response::Parts {
    // Of a body that is empty it is not known whether that is its length, or was made so for HEAD.
    let length = body.size_hint().exact().filter(|&length| length > 0);
    if let (Some(length), false) = (length, parts.headers.contains_key(header::CONTENT_LENGTH)) {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    parts
}

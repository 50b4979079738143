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
    vary::Varied,
};
use crate::{handle::Handle, task::current::Current};

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
async fn serve<S, ReqB, ResB>(mut call: Box<Call<S, ReqB>>, state: Arc<LayerState>) -> Served<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let mut attempts = 1..=ATTEMPTS;
    loop {
        let is_last = attempts.next().is_none_or(|attempt| attempt == ATTEMPTS);
        let (key, handle) = match admit(&call, &state) {
            Ok(admitted) => admitted,
            Err(reason) => {
                state.count_pass(reason);
                return call.alone().await;
            }
        };
        if handle.router().bypasses(&key) {
            return call.alone().await;
        }
        let slot = RequestSlot::new(call);
        let (work_slot, work_state, asked) = (slot.clone(), Arc::clone(&state), Asked::by(&key));
        let _under_way = state.under_way.enter(&key);
        let error = match handle.join(key.clone(), move || lead(work_slot, work_state, asked)).await {
            Ok(answer) => return deliver(answer, slot, &key, &state).await,
            Err(error) => error,
        };
        // Not otherwise: a caller that only waits no longer leaves its work to others, which need the request.
        if !is_last
            && state.renews(&handle, &error)
            && let SlotState::Call(again) = slot.take()
        {
            call = again;
            continue;
        }
        let (parts, data) = state.config.error_response(&error).into_parts();
        return Ok(answer::response(parts, Content { data, ..Content::default() }));
    }
}

/// What a request joins, or why it passes through.
fn admit<S, ReqB: Body>(call: &Call<S, ReqB>, state: &LayerState) -> Result<(Key, Handle<Key, Answer>), Reason> {
    if nesting::has_met(&call.parts.extensions, state.layer_id) {
        return Err(Reason::Nested);
    }
    let key = state.config.admit(state.layer_id, &call.parts, &call.body)?;
    if state.unshareable.contains(&key) {
        return Err(Reason::RecentlyUnshareable);
    }
    let handle = state.handle().ok_or(Reason::NoRuntime)?;
    Ok((key, handle))
}

/// One caller's response.
async fn deliver<S, ReqB, ResB>(
    answer: Answer,
    slot: RequestSlot<S, ReqB, ResB>,
    key: &Key,
    state: &Arc<LayerState>,
) -> Served<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    ReqB: Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
{
    let flight = answer.flight;
    if let Some(call) = answer.varied.and_then(|varied| slot.take_unless_matched(&varied)) {
        state.count_recall(Reason::Vary, flight);
        return call.alone().await;
    }
    match answer.outcome {
        Outcome::Shared { parts, content } => {
            state.unshareable.note(key, true);
            Ok(answer::response(parts, content))
        }
        Outcome::Streamed { parts, stream, refetches } => {
            state.unshareable.note(key, true);
            let refetches = refetches.downcast::<Refetches<ResB>>().ok();
            let refetches = refetches.filter(|_| state.config.on_slow_reader == OnSlowReader::CallAlone);
            let own_call = match slot.take() {
                SlotState::Call(call) if refetches.is_some() => Some(refetch(call, flight, Asked::by(key), state)),
                _ => None,
            };
            let reader = Reader::new(stream, &parts, refetches, own_call);
            Ok(Response::from_parts(parts, CoalescedBody::streamed(reader)))
        }
        Outcome::Failed(error) => Err(SharedError::new(error)),
        Outcome::LeaderOnly(reason) => match slot.take() {
            SlotState::Response(response) => {
                state.count_pass(reason);
                // Once for each flight. What the user says of one response says nothing of the next, and a status may be about
                // one client: it must not have others' requests pass.
                if !matches!(reason, Reason::ResponseVetoed | Reason::Status) {
                    state.unshareable.note(key, false);
                }
                Ok(*response)
            }
            SlotState::Call(call) => {
                state.count_recall(reason, flight);
                call.alone().await
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
                    && Varied::new(&state.config.key_headers, &parts.headers, Vec::new()).is_none()
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
async fn lead<S, ReqB, ResB>(slot: RequestSlot<S, ReqB, ResB>, state: Arc<LayerState>, asked: Asked) -> Answer
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let SlotState::Call(call) = slot.take() else {
        unreachable!("work runs once, and takes the request before its caller looks")
    };
    let (config, is_head) = (&state.config, call.parts.method == Method::HEAD);
    let outside_key = config.key_headers.outside(&call.parts.headers);
    let (parts, body) = match call.make().await {
        Ok(response) => response.into_parts(),
        Err(error) => return Answer::of(Outcome::Failed(share(error))),
    };
    let said = Said::by(&parts.headers);
    if let Some(reason) = config.not_shareable(asked, &parts, &said) {
        slot.put_response(Response::from_parts(parts, CoalescedBody::own(body)));
        return Answer::of(Outcome::LeaderOnly(reason));
    }
    let varied = said.may_vary.then(|| Varied::new(&config.key_headers, &parts.headers, outside_key)).flatten();
    share_with_all(parts, body, is_head, &state).await.varying(varied)
}

/// A response that is to be shared, whole or as it arrives.
async fn share_with_all<ResB>(parts: response::Parts, body: ResB, is_head: bool, state: &LayerState) -> Answer
where
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    if is_head {
        return Answer::shared(head_only(parts, &body), Content { end: End::Head, ..Content::default() });
    }
    let max_bytes = state.config.max_body_bytes;
    if state.config.is_too_large(&parts.headers, &body) {
        return Answer::streamed(parts, VecDeque::new(), Box::pin(body), max_bytes, callers(state).await);
    }
    match collect(body, max_bytes).await {
        Collected::Whole(Content { end: End::Failed(error), .. }) => {
            let (parts, data) = error_response::of_failed_body(error).into_parts();
            Answer::shared(parts, Content { data, ..Content::default() })
        }
        Collected::Whole(content) => Answer::shared(parts, content),
        Collected::TooLarge { read, rest } => Answer::streamed(parts, read, rest, max_bytes, callers(state).await),
    }
}

/// How many wait for the flight whose work this is.
async fn callers(state: &LayerState) -> usize {
    let Some(flight) = state.existing_handle().and_then(|handle| handle.current_flight()) else { return 1 };
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

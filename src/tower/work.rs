//! The work of a flight.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Method, Request, Response, header, response};
use http_body::Body;
use tower_service::Service;

use super::{
    answer::{Answer, Outcome},
    body::{CoalescedBody, Content, End},
    collect::{Collected, collect},
    error::{BoxError, share},
    error_response,
    length::as_announced,
    request_slot::{RequestSlot, SlotState},
    shareable::{Asked, Said},
    state::LayerState,
    vary::Varied,
};
use crate::unwind::Contained;

/// Makes the leader's call, and reads the body if it is to be shared whole.
pub(super) async fn lead<S, ReqB, ResB>(slot: RequestSlot<S, ReqB, ResB>) -> Answer
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
    // What is asked of it and of the response may panic, and so may its drop.
    let body = Contained::new(body);
    let (config, said) = (&slot.layer().config, Said::by(&parts.headers));
    if let Some(reason) = config.not_shareable(Asked::by(slot.key()), &parts, &said) {
        slot.put_response(Response::from_parts(parts, CoalescedBody::own(body.into_inner())));
        return Answer::new(Outcome::LeaderOnly(reason), None);
    }
    let varied = said.may_vary.then(|| Varied::new(&config.key_headers, &parts.headers, slot.key())).flatten();
    if is_head {
        let outcome = Outcome::shared(head_only(parts, body.get()), Content { end: End::Head, ..Content::default() });
        return Answer::new(outcome, varied);
    }
    let max_bytes = config.max_body_bytes;
    let (read, rest) = if config.is_too_large(&parts.headers, body.get()) {
        (VecDeque::new(), Box::pin(body.into_inner()))
    } else {
        match collect(body.into_inner(), max_bytes).await {
            Collected::Whole(content) => return Answer::new(collected(parts, content), varied),
            Collected::TooLarge { read, rest } => (read, rest),
        }
    };
    // Boxed, as few responses need it.
    let callers = Box::pin(callers(slot.layer())).await;
    Answer::new(Outcome::streamed(parts, read, rest, max_bytes, callers), varied)
}

/// Nothing of the body was sent so far: if it has failed, there is still time for another response.
fn collected(parts: response::Parts, content: Content) -> Outcome {
    match as_announced(&parts, content) {
        Content { end: End::Failed(error), .. } => {
            let (parts, data) = error_response::of_failed_body(error).into_parts();
            Outcome::shared(parts, Content { data, ..Content::default() })
        }
        content => Outcome::shared(parts, content),
    }
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

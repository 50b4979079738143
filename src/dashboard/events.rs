//! What a viewer is sent: frames as they are made, until the last one.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use tokio::{sync::watch, time::timeout};

use super::{
    page::plain,
    shared::{Frame, Shared},
    viewers::Viewer,
};
use crate::sync::Runtime;

/// Between two comments that keep proxies from closing a connection on which nothing else is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a single snapshot may take.
const PATIENCE: Duration = Duration::from_secs(3);

struct Events {
    frames: watch::Receiver<Option<Frame>>,
    _viewer: Viewer,
    /// Sent first.
    fresh: Option<Frame>,
    has_ended: bool,
}

impl Events {
    fn frame(&mut self, frame: Frame) -> Bytes {
        self.has_ended = frame.is_last;
        frame.event
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        if let Some(fresh) = self.fresh.take() {
            return Some(self.frame(fresh));
        }
        match timeout(KEEP_ALIVE, self.frames.changed()).await {
            Ok(Ok(())) => {
                let frame = self.frames.borrow_and_update().clone();
                // The newest, however many were made since the last one was sent.
                Some(frame.map_or_else(comment, |frame| self.frame(frame)))
            }
            Ok(Err(_)) => None,
            Err(_) => Some(comment()),
        }
    }
}

fn comment() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

/// `GET events`
pub(super) fn events(shared: &Arc<Shared>) -> Response {
    let viewer = match enter(shared) {
        Ok(viewer) => viewer,
        Err(response) => return *response,
    };
    // Before the look for a fresh one: of two frames it may miss none.
    let frames = shared.frames.subscribe();
    let events = Events { frames, fresh: shared.fresh(), _viewer: viewer, has_ended: false };
    let stream = stream::unfold(events, |mut events| async move {
        let bytes = events.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), events))
    });
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would hold events back until a buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// `GET snapshot.json`: a viewer for one frame, so that many requests cost one snapshot per tick, too.
pub(super) async fn snapshot(shared: &Arc<Shared>) -> Response {
    let frame = match shared.fresh() {
        Some(frame) => Some(frame),
        None => {
            let viewer = match enter(shared) {
                Ok(viewer) => viewer,
                Err(response) => return *response,
            };
            let mut frames = shared.frames.subscribe();
            let fresh = shared.fresh();
            let next = async { if frames.changed().await.is_ok() { frames.borrow().clone() } else { None } };
            let frame = if fresh.is_some() { fresh } else { timeout(PATIENCE, next).await.ok().flatten() };
            drop(viewer);
            frame
        }
    };
    match frame {
        Some(frame) => ([(header::CONTENT_TYPE, "application/json")], frame.json).into_response(),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "no snapshot in time"),
    }
}

/// The response is boxed, as it is large and rare.
fn enter(shared: &Arc<Shared>) -> Result<Viewer, Box<Response>> {
    if Runtime::try_current().is_err() {
        return Err(Box::new(plain(StatusCode::INTERNAL_SERVER_ERROR, "the page needs a Tokio runtime")));
    }
    Viewer::enter(shared).ok_or_else(|| {
        let mut refusal = plain(StatusCode::SERVICE_UNAVAILABLE, "too many viewers");
        refusal.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        Box::new(refusal)
    })
}

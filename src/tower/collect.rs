//! Reads a body to its end, or up to the cap.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tokio::task::coop::poll_proceed;

use super::{
    body::{Content, End},
    error::{BoxError, share},
};
use crate::unwind::Contained;

pub(super) enum Collected<B> {
    Whole(Content),
    /// The body exceeds the cap: the data read so far, and the rest.
    TooLarge {
        read: VecDeque<Bytes>,
        rest: Pin<Box<B>>,
    },
}

/// Reads up to `max_bytes` of data. A body that fails counts as whole: it ends in its error for all callers.
pub(super) async fn collect<B>(body: B, max_bytes: usize) -> Collected<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = Contained::new(Box::pin(body));
    let mut buffered = Buffered::default();
    let end = loop {
        let frame = poll_fn(|cx| {
            // Yields now and then: a body that is always ready would block its thread, and its flight's deadline would not fire.
            let budget = ready!(poll_proceed(cx));
            let frame = ready!(body.get_mut().as_mut().poll_frame(cx));
            budget.made_progress();
            Poll::Ready(frame)
        });
        match frame.await {
            None => break End::Plain,
            Some(Err(error)) => break End::Failed(share(error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.len() > max_bytes - buffered.len() => {
                    let read = [buffered.into_bytes(), data].into_iter().filter(|data| !data.is_empty()).collect();
                    return Collected::TooLarge { read, rest: body.into_inner() };
                }
                Ok(data) => buffered.push(data),
                // Ignores kinds of frames that `http-body` may add.
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        break End::Trailers(Box::new(trailers));
                    }
                }
            },
        }
        // Most bodies are one chunk, and say so.
        if body.get().is_end_stream() {
            break End::Plain;
        }
    };
    Collected::Whole(Content { data: buffered.into_bytes(), end })
}

/// The data so far: uncopied while it is one chunk, otherwise copied into one buffer. A list of chunks could take more memory
/// than the cap allows, as each chunk has its own overhead and may keep the larger buffer that it was split from alive.
#[derive(Default)]
struct Buffered {
    first: Bytes,
    joined: BytesMut,
}

impl Buffered {
    fn len(&self) -> usize {
        // One of them is empty.
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        self.joined.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

//! Reading a body to its end, or to the cap.

use std::{collections::VecDeque, future::poll_fn, pin::Pin};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tokio::task::coop::consume_budget;

use super::{
    body::{Content, End},
    error::{BoxError, share},
};

pub(super) enum Collected<B> {
    Whole(Content),
    /// The cap is passed: what came up to there, and what comes after.
    TooLarge {
        read: VecDeque<Bytes>,
        rest: Pin<Box<B>>,
    },
}

/// Reads up to `max_bytes` of data. A body that fails is whole as well: it ends in its error for everyone.
pub(super) async fn collect<B>(body: B, max_bytes: usize) -> Collected<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = Box::pin(body);
    let mut gathered = Gathered::default();
    let end = loop {
        // A body that is always ready would keep its thread, and its flight from its deadline.
        consume_budget().await;
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => break End::Plain,
            Some(Err(error)) => break End::Failed(share(error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.len() > max_bytes - gathered.len() => {
                    let read = [gathered.into_bytes(), data].into_iter().filter(|data| !data.is_empty()).collect();
                    return Collected::TooLarge { read, rest: body };
                }
                Ok(data) => gathered.push(data),
                // Whatever else a frame may come to be, it isn't for us.
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        break End::Trailers(trailers);
                    }
                }
            },
        }
    };
    Collected::Whole(Content { data: gathered.into_bytes(), end })
}

/// The data so far: as it came while it is one piece, else copied together. Pieces as they came would cost more than the
/// cap allows, as each has its own overhead and may hold on to the buffer it was cut from.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    joined: BytesMut,
}

impl Gathered {
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

//! The body of the layer's responses.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::error::{ArcError, BoxError, SharedError, share};

pin_project! {
    /// A response's body: the inner service's body, or one that was collected for all callers of its flight.
    ///
    /// Shared bytes aren't copied. The inner service's body comes through unchanged, its errors and trailers included.
    pub struct CoalescedBody<B> {
        #[pin]
        source: Source<B>,
    }
}

pin_project! {
    #[project = SourceProjection]
    enum Source<B> {
        /// The inner service's body, unread.
        Own { #[pin] body: B },
        /// The inner service's body, of which a part was read before it exceeded the cap for sharing.
        Resumed { read: VecDeque<Bytes>, rest: Pin<Box<B>> },
        /// Collected, and possibly shared.
        Whole { content: Content },
    }
}

/// A collected body.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) data: Bytes,
    pub(super) end: End,
}

/// How a collected body ends after its data.
#[derive(Clone, Debug, Default)]
pub(super) enum End {
    #[default]
    Plain,
    Trailers(HeaderMap),
    /// The body failed; all callers that share it get the error.
    Failed(ArcError),
}

impl Content {
    fn next<E>(&mut self) -> Option<Result<Frame<Bytes>, SharedError<E>>> {
        if !self.data.is_empty() {
            return Some(Ok(Frame::data(mem::take(&mut self.data))));
        }
        match mem::take(&mut self.end) {
            End::Plain => None,
            End::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            End::Failed(error) => Some(Err(SharedError::new(error))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.len() as u64;
        if matches!(self.end, End::Plain) {
            return SizeHint::with_exact(length);
        }
        // With an exact size servers send a `Content-Length`, and then no trailers.
        let mut at_least = SizeHint::new();
        at_least.set_lower(length);
        at_least
    }
}

impl<B> CoalescedBody<B> {
    pub(super) fn own(body: B) -> Self {
        Self { source: Source::Own { body } }
    }

    pub(super) fn resumed(read: VecDeque<Bytes>, rest: Pin<Box<B>>) -> Self {
        Self { source: Source::Resumed { read, rest } }
    }

    pub(super) fn whole(content: Content) -> Self {
        Self { source: Source::Whole { content } }
    }
}

impl<B> Body for CoalescedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = SharedError<B::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = match self.project().source.project() {
            SourceProjection::Own { body } => ready!(body.poll_frame(cx)),
            SourceProjection::Resumed { read, rest } => match read.pop_front() {
                Some(data) => Some(Ok(Frame::data(data))),
                None => ready!(rest.as_mut().poll_frame(cx)),
            },
            SourceProjection::Whole { content } => return Poll::Ready(content.next()),
        };
        Poll::Ready(frame.map(|frame| frame.map_err(|error| SharedError::new(share(error)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own { body } => body.is_end_stream(),
            Source::Resumed { read, rest } => read.is_empty() && rest.is_end_stream(),
            Source::Whole { content } => content.data.is_empty() && matches!(content.end, End::Plain),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own { body } => body.size_hint(),
            Source::Resumed { read, rest } => {
                after(read.iter().map(Bytes::len).sum::<usize>() as u64, &rest.size_hint())
            }
            Source::Whole { content } => content.size_hint(),
        }
    }
}

/// The size hint of a body of which `read` bytes were already taken out of `rest`.
fn after(read: u64, rest: &SizeHint) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower().saturating_add(read));
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
        hint.set_upper(upper);
    }
    hint
}

/// Empty, for responses that layers above produce themselves.
impl<B> Default for CoalescedBody<B> {
    fn default() -> Self {
        Self::whole(Content::default())
    }
}

impl<B> fmt::Debug for CoalescedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Own { .. } => "own",
            Source::Resumed { .. } => "resumed",
            Source::Whole { .. } => "whole",
        };
        f.debug_tuple("CoalescedBody").field(&source).finish()
    }
}

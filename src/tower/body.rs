//! The body of the layer's responses.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    error::{ArcError, BoxError, SharedError, share},
    reader::Reader,
};

pin_project! {
    /// A response's body: the inner service's body, or one that all callers of a flight share.
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
        /// One that is larger than the cap, read by all callers of a flight as it arrives.
        Streamed { reader: Box<Reader<B>> },
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

/// How a collected body ends after its data. Trailers are rare, and large.
#[derive(Clone, Debug, Default)]
pub(super) enum End {
    #[default]
    Plain,
    /// In the response to HEAD: there is no body, and nothing is said of its length.
    Head,
    Trailers(Box<HeaderMap>),
    /// The body failed; all callers that share it get the error.
    Failed(ArcError),
}

impl Content {
    fn next<E>(&mut self) -> Option<Result<Frame<Bytes>, SharedError<E>>> {
        if !self.data.is_empty() {
            return Some(Ok(Frame::data(mem::take(&mut self.data))));
        }
        match mem::take(&mut self.end) {
            End::Plain | End::Head => None,
            End::Trailers(trailers) => Some(Ok(Frame::trailers(*trailers))),
            End::Failed(error) => Some(Err(SharedError::new(error))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.len() as u64;
        match self.end {
            End::Plain => return SizeHint::with_exact(length),
            End::Head => return SizeHint::new(),
            End::Trailers(_) | End::Failed(_) => {}
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

    pub(super) fn streamed(reader: Reader<B>) -> Self {
        Self { source: Source::Streamed { reader: Box::new(reader) } }
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
            SourceProjection::Streamed { reader } => {
                let frame = ready!(reader.poll_frame(cx));
                return Poll::Ready(frame.map(|frame| frame.map_err(SharedError::new)));
            }
            SourceProjection::Whole { content } => return Poll::Ready(content.next()),
        };
        Poll::Ready(frame.map(|frame| frame.map_err(|error| SharedError::new(share(error)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own { body } => body.is_end_stream(),
            Source::Streamed { reader } => reader.is_end_stream(),
            Source::Whole { content } => content.data.is_empty() && matches!(content.end, End::Plain | End::Head),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own { body } => body.size_hint(),
            Source::Streamed { reader } => reader.size_hint(),
            Source::Whole { content } => content.size_hint(),
        }
    }
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
            Source::Streamed { .. } => "streamed",
            Source::Whole { .. } => "whole",
        };
        f.debug_tuple("CoalescedBody").field(&source).finish()
    }
}

//! One caller's reading of a shared body, and how it goes on when it was too slow for the buffer.

use std::{
    hash::{DefaultHasher, Hasher},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::{
    body::End,
    error::{ArcError, BoxError, share},
    shared_stream::{BodyError, Next, Place, SharedStream},
};

/// A call of the inner service, for a reader that has lost its place.
pub(super) type Refetch<B> = Box<dyn FnOnce() -> Refetching<B> + Send>;

type Refetching<B> = Pin<Box<dyn Future<Output = Result<Response<B>, ArcError>> + Send>>;

/// The calls that the readers of one body may make.
///
/// Each follower brings the one that it had no need for; the leader has made its own. That is enough for all: of those that read,
/// one is the fastest, and does not lose its place.
pub(super) struct Refetches<B>(Mutex<Vec<Refetch<B>>>);

impl<B> Refetches<B> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Vec::new())))
    }

    pub(super) fn add(&self, refetch: Refetch<B>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(refetch);
    }

    /// No more than there are others that may need one.
    fn keep(&self, readers: usize) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = readers.min(calls.len());
        let unneeded = calls.split_off(at);
        drop(calls);
        // Outside of the lock, as requests are the user's.
        drop(unneeded);
    }

    fn take(&self) -> Option<Refetch<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

pub(super) struct Reader<B> {
    stream: Arc<SharedStream>,
    place: Place,
    status: StatusCode,
    refetches: Option<Arc<Refetches<B>>>,
    source: Source<B>,
}

enum Source<B> {
    Shared,
    /// It has lost that place, and makes a call.
    Refetching(Refetching<B>),
    /// In the part of its own body that it has read before.
    Skipping {
        left: u64,
        digest: DefaultHasher,
        body: Pin<Box<B>>,
    },
    Own(Pin<Box<B>>),
    Done,
}

type Frames = Option<Result<Frame<Bytes>, ArcError>>;

impl<B> Reader<B> {
    /// Without `refetches`, a reader that has lost its place ends in an error.
    pub(super) fn new(stream: Arc<SharedStream>, status: StatusCode, refetches: Option<Arc<Refetches<B>>>) -> Self {
        let place = stream.reader();
        Self { stream, place, status, refetches, source: Source::Shared }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.stream.length() {
            Some(length) if !self.is_end_stream() => {
                SizeHint::with_exact(length.saturating_sub(self.place.position.bytes))
            }
            _ => SizeHint::default(),
        }
    }

    fn fail(&mut self, error: impl Into<ArcError>) -> Poll<Frames> {
        self.source = Source::Done;
        Poll::Ready(Some(Err(error.into())))
    }

    fn end(&mut self, end: End) -> Poll<Frames> {
        self.source = Source::Done;
        Poll::Ready(match end {
            End::Plain => None,
            End::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            End::Failed(error) => Some(Err(error)),
        })
    }
}

impl<B> Reader<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Frames> {
        loop {
            match &mut self.source {
                Source::Shared => match ready!(self.stream.poll(&mut self.place, cx)) {
                    Next::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Next::End(end) => return self.end(end),
                    Next::Lost => match self.refetches.take().and_then(|refetches| refetches.take()) {
                        Some(refetch) => self.source = Source::Refetching(refetch()),
                        None => return self.fail(BodyError::TooSlow),
                    },
                },
                Source::Refetching(call) => match ready!(call.as_mut().poll(cx)) {
                    Ok(response) if response.status() == self.status => {
                        let (left, digest, body) =
                            (self.place.position.bytes, DefaultHasher::new(), Box::pin(response.into_body()));
                        self.source = Source::Skipping { left, digest, body };
                    }
                    Ok(_) => return self.fail(BodyError::Changed),
                    Err(error) => return self.fail(error),
                },
                Source::Skipping { .. } => {
                    if let Some(frame) = ready!(self.poll_skipping(cx)) {
                        return Poll::Ready(Some(frame));
                    }
                }
                Source::Own(body) => {
                    let frame = ready!(body.as_mut().poll_frame(cx));
                    if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
                        self.place.position.bytes += data.map_or(0, |data| data.len() as u64);
                    }
                    return Poll::Ready(frame.map(|frame| frame.map_err(share)));
                }
                Source::Done => return Poll::Ready(None),
            }
        }
    }

    /// Skips what the reader has. What comes back is the first frame after that, or an error.
    fn poll_skipping(&mut self, cx: &mut Context<'_>) -> Poll<Frames> {
        let Source::Skipping { left, digest, body } = &mut self.source else { return Poll::Ready(None) };
        let mut rest = Bytes::new();
        while *left > 0 {
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(mut data) = frame.into_data() else { return self.fail(BodyError::Changed) };
                    let known = data.split_to(data.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                    digest.write(&known);
                    *left -= known.len() as u64;
                    rest = data;
                }
                Some(Err(error)) => {
                    let error = share(error);
                    return self.fail(error);
                }
                None => return self.fail(BodyError::Changed),
            }
        }
        if digest.finish() != self.place.position.digest {
            return self.fail(BodyError::Changed);
        }
        if let Source::Skipping { body, .. } = mem::replace(&mut self.source, Source::Done) {
            self.source = Source::Own(body);
        }
        self.place.position.bytes += rest.len() as u64;
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }
}

impl<B> Drop for Reader<B> {
    fn drop(&mut self) {
        self.stream.leave(&mut self.place);
        if let Some(refetches) = self.refetches.take() {
            refetches.keep(Arc::strong_count(&refetches) - 1);
        }
    }
}

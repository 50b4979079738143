//! One caller's reading of a shared body, and how it goes on when it was too slow for the buffer.

use std::{
    hash::{DefaultHasher, Hasher},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response};
use http_body::{Body, Frame, SizeHint};
use tokio::task::coop::poll_proceed;

use super::{
    body::End,
    error::{ArcError, BoxError, share},
    length,
    shared_stream::{BodyError, Next, Place, SharedStream},
};

/// A call of the inner service, for a reader that has lost its place. It is told whether the reader brought it itself: the response
/// to another caller's request must be one that may be shared.
pub(super) type Refetch<B> = Box<dyn FnOnce(bool) -> Refetching<B> + Send>;

type Refetching<B> = Pin<Box<dyn Future<Output = Result<Response<B>, ArcError>> + Send>>;

/// The calls that the readers of one body may make.
///
/// Each follower brings the one that it had no need for; the leader has made its own, and takes another's. There is one for each
/// that needs it: of those that read, one is the fastest, and does not lose its place.
pub(super) struct Refetches<B>(Mutex<Vec<Entry<B>>>);

struct Entry<B> {
    /// Its reader's number. `None` when that has left.
    reader: Option<usize>,
    call: Refetch<B>,
}

impl<B> Refetches<B> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Vec::new())))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry<B>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader's own call if it has one, and otherwise another's, preferably of one that has left.
    fn take(&self, reader: usize) -> Option<(bool, Refetch<B>)> {
        let mut calls = self.lock();
        let of = |owner| calls.iter().position(|entry| entry.reader == owner);
        let found = of(Some(reader)).or_else(|| of(None)).or_else(|| calls.len().checked_sub(1))?;
        let Entry { reader: owner, call } = calls.swap_remove(found);
        Some((owner == Some(reader), call))
    }

    /// A reader has left. Its call may still be of use to the leader, which has none: one such is kept.
    fn leave(&self, reader: usize) {
        let mut calls = self.lock();
        let Some(own) = calls.iter().position(|entry| entry.reader == Some(reader)) else { return };
        if calls.iter().all(|entry| entry.reader.is_some()) {
            calls[own].reader = None;
            return;
        }
        let unneeded = calls.swap_remove(own);
        drop(calls);
        // Outside of the lock, as requests are the user's.
        drop(unneeded);
    }
}

pub(super) struct Reader<B> {
    place: Place,
    /// Of the whole body, if it was known at its beginning, and its head announces no other one.
    length: Option<u64>,
    status: StatusCode,
    /// Those headers of the shared response that a response has to have, too, with which a reader goes on by itself.
    representation: Vec<(HeaderName, HeaderValue)>,
    refetches: Option<Arc<Refetches<B>>>,
    source: Source<B>,
}

enum Source<B> {
    Shared(Arc<SharedStream>),
    /// It has lost its place in that, and makes a call.
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

/// The headers that say which representation a body is.
const REPRESENTATION: [HeaderName; 7] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LAST_MODIFIED,
];

fn representation(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    REPRESENTATION.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)))
}

type Frames = Option<Result<Frame<Bytes>, ArcError>>;

impl<B> Reader<B> {
    /// Without `refetches`, a reader that has lost its place ends in an error.
    pub(super) fn new(
        stream: Arc<SharedStream>,
        head: &response::Parts,
        refetches: Option<Arc<Refetches<B>>>,
        own_call: Option<Refetch<B>>,
    ) -> Self {
        let place = stream.reader();
        if let (Some(refetches), Some(call)) = (&refetches, own_call) {
            refetches.lock().push(Entry { reader: Some(place.number()), call });
        }
        let representation = representation(&head.headers).map(|(name, value)| (name.clone(), value.clone())).collect();
        // Servers believe the size rather than the head. Without it, they keep to the head.
        let length = stream.length().filter(|&length| match length::announced(&head.headers) {
            Ok(announced) => announced.is_none_or(|announced| announced == length),
            Err(_) => false,
        });
        let status = head.status;
        Self { place, length, status, representation, refetches, source: Source::Shared(stream) }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) if !self.is_end_stream() => {
                SizeHint::with_exact(length.saturating_sub(self.place.position.bytes))
            }
            _ => SizeHint::default(),
        }
    }

    fn fail(&mut self, error: impl Into<ArcError>) -> Poll<Frames> {
        self.leave_for(Source::Done);
        Poll::Ready(Some(Err(error.into())))
    }

    /// Lets go of the shared body: with its last reader, the rest of it is dropped.
    fn leave_for(&mut self, source: Source<B>) {
        if let Source::Shared(stream) = mem::replace(&mut self.source, source) {
            stream.leave(&mut self.place);
        }
    }

    /// Its place is lost. What it may hold, such as a connection, is free before another call is made.
    fn go_on_alone(&mut self) -> Option<BodyError> {
        self.leave_for(Source::Done);
        let Some((is_own, call)) = self.refetches.as_ref().and_then(|refetches| refetches.take(self.place.number()))
        else {
            return Some(BodyError::TooSlow);
        };
        self.source = Source::Refetching(call(is_own));
        None
    }

    fn end(&mut self, end: End) -> Poll<Frames> {
        self.leave_for(Source::Done);
        Poll::Ready(match end {
            End::Plain | End::Head => None,
            End::Trailers(trailers) => Some(Ok(Frame::trailers(*trailers))),
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
                Source::Shared(stream) => match ready!(stream.poll(&mut self.place, cx)) {
                    Next::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Next::End(end) => return self.end(end),
                    Next::Lost => {
                        if let Some(error) = self.go_on_alone() {
                            return self.fail(error);
                        }
                    }
                },
                Source::Refetching(call) => match ready!(call.as_mut().poll(cx)) {
                    Ok(response) if self.is_the_same(&response) => {
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

    /// Whether a response has the shared one's head, as far as that describes its body.
    fn is_the_same(&self, response: &Response<B>) -> bool {
        let ours = self.representation.iter().map(|(name, value)| (name, value));
        let lengths = self.length.zip(response.body().size_hint().exact());
        response.status() == self.status
            && ours.eq(representation(response.headers()))
            && lengths.is_none_or(|(ours, theirs)| ours == theirs)
    }

    /// Skips what the reader has. What comes back is the first frame after that, or an error.
    fn poll_skipping(&mut self, cx: &mut Context<'_>) -> Poll<Frames> {
        let Source::Skipping { left, digest, body } = &mut self.source else { return Poll::Ready(None) };
        let mut rest = Bytes::new();
        while *left > 0 {
            // Yields now and then, as this may be much, and a body may always be ready.
            ready!(poll_proceed(cx)).made_progress();
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
        self.leave_for(Source::Done);
        if let Some(refetches) = &self.refetches {
            refetches.leave(self.place.number());
        }
    }
}

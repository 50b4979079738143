//! The value of the layer's flights.

use std::{any::Any, collections::VecDeque, fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Response, response};
use http_body::Body;

use super::{
    body::{CoalescedBody, Content},
    error::{ArcError, BoxError},
    headers::strip_hop_by_hop,
    reader::Refetches,
    reason::Reason,
    shared_stream::SharedStream,
    vary::Varied,
};
use crate::{
    error::CaughtPanic,
    task::current::{self, Current},
    unwind::{catch, drop_contained},
};

/// The value type of the coalescer that a layer uses, as in [`Coalescer<Key, Answer>`](crate::Coalescer). Opaque: only the
/// layer makes and reads it. A clone costs a reference count.
// One pointer, as it is handed from place to place on its way from the work to its caller.
#[derive(Clone)]
pub struct Answer(Arc<Inner>);

struct Inner {
    outcome: Outcome,
    /// What a follower has to have in common with the leader, besides the key.
    varied: Option<Varied>,
    /// Followers that make a call of their own after all are counted by it.
    flight: Option<Current>,
}

#[derive(Clone)]
pub(super) enum Outcome {
    Shared {
        parts: response::Parts,
        content: Content,
    },
    /// The body is larger than the cap, and all callers read it as it arrives.
    Streamed {
        parts: response::Parts,
        stream: Arc<SharedStream>,
        /// `Refetches`, whose type is that of the inner service's body: a layer may have several.
        refetches: Arc<dyn Any + Send + Sync>,
    },
    /// The inner service's error.
    Failed(ArcError),
    /// Only the leader gets the response, by its request slot; the followers make calls of their own.
    LeaderOnly(Reason),
}

impl Answer {
    /// To be called in the work, as it notes the flight.
    #[inline]
    pub(super) fn new(outcome: Outcome, varied: Option<Varied>) -> Self {
        Self(Arc::new(Inner { outcome, varied, flight: current::get() }))
    }

    pub(super) fn varied(&self) -> Option<&Varied> {
        self.0.varied.as_ref()
    }

    pub(super) fn flight(&self) -> Option<Current> {
        self.0.flight
    }

    /// One caller's outcome: the flight's, if no other caller has it any more, else a clone. A response's extensions are the
    /// user's: a panic in their `Clone` or `Drop` ends here (G13).
    #[inline]
    pub(super) fn into_outcome(self) -> Result<Outcome, CaughtPanic> {
        Arc::try_unwrap(self.0).map(|own| own.outcome).or_else(|shared| {
            let outcome = catch(|| shared.outcome.clone());
            drop_contained(shared);
            outcome
        })
    }
}

impl Outcome {
    pub(super) fn shared(mut parts: response::Parts, content: Content) -> Self {
        strip_hop_by_hop(&mut parts.headers);
        Self::Shared { parts, content }
    }

    /// `read` was read of the body already, and so many callers wait. To be called in the work.
    pub(super) fn streamed<B>(
        mut parts: response::Parts,
        read: VecDeque<Bytes>,
        rest: Pin<Box<B>>,
        max_size: usize,
        callers: usize,
    ) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        strip_hop_by_hop(&mut parts.headers);
        let stream = SharedStream::start(read, rest, max_size, callers);
        Self::Streamed { parts, stream, refetches: Refetches::<B>::new() }
    }
}

/// Builds one caller's response.
pub(super) fn response<B>(parts: response::Parts, content: Content) -> Response<CoalescedBody<B>> {
    Response::from_parts(parts, CoalescedBody::whole(content))
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.outcome {
            Outcome::Shared { parts, .. } => f.debug_tuple("Shared").field(&parts.status).finish(),
            Outcome::Streamed { parts, .. } => f.debug_tuple("Streamed").field(&parts.status).finish(),
            Outcome::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Outcome::LeaderOnly(reason) => f.debug_tuple("LeaderOnly").field(reason).finish(),
        }
    }
}

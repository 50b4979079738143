//! The value of the layer's flights.

use std::fmt;

use http::{Response, response};

use super::{
    body::{CoalescedBody, Content},
    error::ArcError,
    headers::strip_hop_by_hop,
    reason::Reason,
};

/// The value type of the coalescer that a layer uses, as in [`Coalescer<Key, Answer>`](crate::Coalescer). Opaque: only the
/// layer makes and reads it.
#[derive(Clone)]
pub struct Answer(pub(super) Outcome);

#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "most answers are shared, and a box would be an allocation for each caller"
)]
pub(super) enum Outcome {
    Shared {
        parts: response::Parts,
        content: Content,
    },
    /// The inner service's error.
    Failed(ArcError),
    /// Only the leader gets the response, by its request slot; the followers make calls of their own.
    LeaderOnly(Reason),
}

impl Answer {
    pub(super) fn shared(mut parts: response::Parts, content: Content) -> Self {
        strip_hop_by_hop(&mut parts.headers);
        Self(Outcome::Shared { parts, content })
    }
}

/// Builds one caller's response.
pub(super) fn response<B>(parts: response::Parts, content: Content) -> Response<CoalescedBody<B>> {
    Response::from_parts(parts, CoalescedBody::whole(content))
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Shared { parts, .. } => f.debug_tuple("Shared").field(&parts.status).finish(),
            Outcome::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Outcome::LeaderOnly(reason) => f.debug_tuple("LeaderOnly").field(reason).finish(),
        }
    }
}

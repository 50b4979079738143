//! What a flight publishes.

use std::fmt;

use http::{Response, response};

use super::{
    body::{CoalescedBody, Content},
    error::ArcError,
    headers::strip_hop_by_hop,
    reason::Reason,
};

/// What the callers of a flight get: the value of the coalescer that a layer uses, as in
/// [`Coalescer<Key, Answer>`](crate::Coalescer). There is nothing to be done with one but to hand it on.
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
    /// The response is the leader's, who finds it on its desk; everyone else calls for themselves.
    LeadersAlone(Reason),
}

impl Answer {
    pub(super) fn shared(mut parts: response::Parts, content: Content) -> Self {
        strip_hop_by_hop(&mut parts.headers);
        Self(Outcome::Shared { parts, content })
    }
}

/// One caller's own response.
pub(super) fn response<B>(parts: response::Parts, content: Content) -> Response<CoalescedBody<B>> {
    Response::from_parts(parts, CoalescedBody::whole(content))
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Shared { parts, .. } => f.debug_tuple("Shared").field(&parts.status).finish(),
            Outcome::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Outcome::LeadersAlone(reason) => f.debug_tuple("LeadersAlone").field(reason).finish(),
        }
    }
}

//! Where a caller leaves its request, and a leader finds its response.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Request, Response};

use super::body::CoalescedBody;

/// Between a caller and its work, which is called if the caller comes to lead, and dropped uncalled if it doesn't.
///
/// The work takes the request from here rather than holding it, so that a follower still has it when the leader's
/// response turns out to be nobody else's. Nothing of the user's runs under the lock: values only move.
pub(super) struct Desk<S, ReqB, ResB>(Arc<Mutex<Paper<S, ReqB, ResB>>>);

pub(super) enum Paper<S, ReqB, ResB> {
    /// Not called yet: this caller follows, or is about to lead.
    Request(S, Request<ReqB>),
    /// Taken; the response is on its way, to all or to this leader.
    Gone,
    /// A response for this leader alone.
    Response(Response<CoalescedBody<ResB>>),
}

impl<S, ReqB, ResB> Desk<S, ReqB, ResB> {
    pub(super) fn new(inner: S, request: Request<ReqB>) -> Self {
        Self(Arc::new(Mutex::new(Paper::Request(inner, request))))
    }

    pub(super) fn take(&self) -> Paper<S, ReqB, ResB> {
        self.replace(Paper::Gone)
    }

    pub(super) fn leave_response(&self, response: Response<CoalescedBody<ResB>>) {
        drop(self.replace(Paper::Response(response)));
    }

    fn replace(&self, paper: Paper<S, ReqB, ResB>) -> Paper<S, ReqB, ResB> {
        mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), paper)
    }
}

impl<S, ReqB, ResB> Clone for Desk<S, ReqB, ResB> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

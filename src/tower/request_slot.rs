//! The slot through which a caller and its work exchange the request and the leader's response.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use http::Response;

use super::{body::CoalescedBody, call::Call, key::Key, state::LayerState, vary::Varied};

/// Shared by a caller and its work. The work runs if the caller leads, and is dropped without a call if it follows.
///
/// The work takes the request out of the slot instead of owning it, so that a follower still has its request if the leader's
/// response turns out not to be shareable. No user code runs under the lock: values are only moved, and headers compared.
pub(super) struct RequestSlot<S, ReqB, ResB>(Arc<Inner<S, ReqB, ResB>>);

/// What both need besides is in here as well: a count of the layer's, which all requests share, would cost more to write to.
struct Inner<S, ReqB, ResB> {
    layer: Arc<LayerState>,
    key: Key,
    state: Mutex<SlotState<S, ReqB, ResB>>,
}

pub(super) enum SlotState<S, ReqB, ResB> {
    /// Not made yet: this caller follows, or its work has not started.
    Call(Box<Call<S, ReqB>>),
    /// Taken. The response comes as the flight's value, or is stored here for the leader.
    Empty,
    /// A response for this leader only.
    Response(Box<Response<CoalescedBody<ResB>>>),
}

impl<S, ReqB, ResB> RequestSlot<S, ReqB, ResB> {
    pub(super) fn new(layer: Arc<LayerState>, key: Key, call: Box<Call<S, ReqB>>) -> Self {
        Self(Arc::new(Inner { layer, key, state: Mutex::new(SlotState::Call(call)) }))
    }

    pub(super) fn layer(&self) -> &Arc<LayerState> {
        &self.0.layer
    }

    pub(super) fn key(&self) -> &Key {
        &self.0.key
    }

    pub(super) fn take(&self) -> SlotState<S, ReqB, ResB> {
        self.replace(SlotState::Empty)
    }

    /// A follower's call, if the response varies on what the follower sent otherwise.
    pub(super) fn take_unless_matched(&self, varied: &Varied) -> Option<Box<Call<S, ReqB>>> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *state, SlotState::Empty) {
            SlotState::Call(call) if !varied.matches(&call.parts.headers) => Some(call),
            other => {
                *state = other;
                None
            }
        }
    }

    pub(super) fn put_response(&self, response: Response<CoalescedBody<ResB>>) {
        drop(self.replace(SlotState::Response(Box::new(response))));
    }

    fn replace(&self, state: SlotState<S, ReqB, ResB>) -> SlotState<S, ReqB, ResB> {
        mem::replace(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner), state)
    }
}

impl<S, ReqB, ResB> Clone for RequestSlot<S, ReqB, ResB> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::{
    answer::Answer, builder::CoalesceLayerBuilder, key::Key, pass_through::Passes, service::Coalesce, state::LayerState,
};
use crate::handle::Handle;

/// A tower layer that answers concurrent identical requests with one call of the inner service.
///
/// The [module's documentation](crate::tower) defines which requests are identical, and what is never shared.
///
/// Clones of a layer, and all services that it wraps, share flights, caps and counters. So use one layer per backend. If two
/// services answer the same request differently, such as two clients that add different credentials, give each a layer of its
/// own. Both layers may have the same [`handle`](CoalesceLayerBuilder::handle): they then share its caps, but no flights.
/// axum's routers count as one backend, nested or not, as the key contains the target before nesting strips its prefix.
#[derive(Clone, Debug)]
pub struct CoalesceLayer {
    state: Arc<LayerState>,
}

impl CoalesceLayer {
    /// A layer with all defaults; [`CoalesceLayerBuilder`] lists them.
    ///
    /// May be called outside of a runtime: the first request builds the coalescer, on its own runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder with all defaults.
    pub fn builder() -> CoalesceLayerBuilder {
        CoalesceLayerBuilder::new()
    }

    pub(super) fn with_state(state: LayerState) -> Self {
        Self { state: Arc::new(state) }
    }

    /// Counts of the requests that weren't coalesced, by reason.
    pub fn passes(&self) -> Passes {
        self.state.pass_through.clone()
    }

    /// The coalescer's handle, for [`stats`](Handle::stats), [`inspect`](Handle::inspect) and the rollout. `None` before the
    /// first request that may join, unless the builder was given one.
    pub fn handle(&self) -> Option<Handle<Key, Answer>> {
        self.state.existing_handle()
    }
}

impl Default for CoalesceLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for CoalesceLayer {
    type Service = Coalesce<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Coalesce::new(inner, Arc::clone(&self.state))
    }
}

//! What is put in front of a service.

use std::sync::Arc;

use tower_layer::Layer;

use super::{
    answer::Answer, builder::CoalesceLayerBuilder, common::Common, key::Key, passes::Passes, service::Coalesce,
};
use crate::handle::Handle;

/// A tower layer that has concurrent identical requests answered by one call of the service below.
///
/// The [module's documentation](crate::tower) says which requests those are, and what is never shared.
///
/// Clones are the same layer, and so are all services it is put in front of: they share flights, caps and counters. A
/// layer is therefore for one backend. Where the same request is answered differently, as by two clients with
/// different credentials of their own, each needs a layer of its own; a [`handle`](CoalesceLayerBuilder::handle) may be
/// in both, which then share its caps and no flights. axum's routers are one backend together, nested or not, as what
/// nesting cuts from a request's target stays in the key.
#[derive(Clone, Debug)]
pub struct CoalesceLayer {
    common: Arc<Common>,
}

impl CoalesceLayer {
    /// A layer with every default; see [`CoalesceLayerBuilder`] for what they are.
    ///
    /// It may be made outside of a runtime: the coalescer is built at the first request, on the runtime that this comes
    /// on, and stays there.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts from every default.
    pub fn builder() -> CoalesceLayerBuilder {
        CoalesceLayerBuilder::new()
    }

    pub(super) fn with_common(common: Common) -> Self {
        Self { common: Arc::new(common) }
    }

    /// How many requests weren't coalesced, and why.
    pub fn passes(&self) -> Passes {
        self.common.passes.clone()
    }

    /// The coalescer's handle, for its [`stats`](Handle::stats), [`inspect`](Handle::inspect), its rollout and its
    /// switch. `None` until the first request that may join, unless the builder was given one.
    pub fn handle(&self) -> Option<Handle<Key, Answer>> {
        self.common.handle_so_far().cloned()
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
        Coalesce::new(inner, Arc::clone(&self.common))
    }
}

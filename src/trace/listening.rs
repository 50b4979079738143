//! Subscribers of one thread, for unit tests.

use std::sync::LazyLock;

use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, set_default},
};
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt, registry};

/// Of this thread, until the guard is dropped. It misses no event, whatever other threads do.
pub(crate) fn listen(layer: impl Layer<Registry> + Send + Sync) -> DefaultGuard {
    /// While tracing knows a single subscriber, the thread that meets an event first decides for all threads whether it is
    /// wanted, even one without a subscriber. So there are two.
    static OTHER: LazyLock<Dispatch> = LazyLock::new(|| registry().into());
    LazyLock::force(&OTHER);
    set_default(registry().with(layer))
}

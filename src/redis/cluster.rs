//! What processes share: a Redis server and a namespace.

use std::{fmt, sync::Arc};

use super::{builder::ClusterBuilder, codec::Json, node::Node, server::Server, stats::ClusterStats};

/// This process's part in a cluster of processes that share flights. See the [module](crate::redis).
///
/// Cheap to clone; all clones share one connection. Handles of several coalescers may be taken
/// [across](crate::Handle::across) one cluster if their keys and values mean the same. When the last clone and the last
/// [`ClusterHandle`](crate::redis::ClusterHandle) is dropped, the connection is closed.
pub struct Cluster<C = Json> {
    node: Arc<Node>,
    codec: Arc<C>,
}

impl Cluster<Json> {
    /// Starts from every default; a [`namespace`](ClusterBuilder::namespace) has to be set.
    pub fn builder(server: impl Into<Server>) -> ClusterBuilder<Json> {
        ClusterBuilder::new(server.into())
    }
}

impl<C> Cluster<C> {
    pub(super) fn with(node: Arc<Node>, codec: Arc<C>) -> Self {
        Self { node, codec }
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(super) fn codec(&self) -> &Arc<C> {
        &self.codec
    }

    /// Its numbers, for as long as it is there.
    #[cfg(feature = "dashboard")]
    pub(crate) fn weak_stats(&self) -> Box<dyn Fn() -> Option<ClusterStats> + Send + Sync> {
        let node = Arc::downgrade(&self.node);
        Box::new(move || Some(node.upgrade()?.stats()))
    }

    /// What this process has done in the cluster.
    pub fn stats(&self) -> ClusterStats {
        self.node.stats()
    }
}

impl<C> Clone for Cluster<C> {
    fn clone(&self) -> Self {
        Self { node: Arc::clone(&self.node), codec: Arc::clone(&self.codec) }
    }
}

impl<C> fmt::Debug for Cluster<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("config", &self.node.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

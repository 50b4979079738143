//! Every option of a cluster, with its default.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    cluster::Cluster,
    codec::Json,
    config::{Config, OnUnavailable},
    error::ClusterBuildError,
    lease::Rules,
    node::{Node, Reports},
    observer::ClusterObserver,
    server::Server,
};

/// What a value may be at most: Redis' own limit.
const MOST: usize = 512 << 20;
const SHORTEST_LEASE: Duration = Duration::from_millis(10);

/// Builds a [`Cluster`].
///
/// [`build`](Self::build) refuses values that make no sense, with the value and the limit in the error. It connects to nothing.
///
/// # Examples
///
/// ```
/// use shardflight::redis::{Cluster, OnUnavailable};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), shardflight::redis::ClusterBuildError> {
/// let cluster = Cluster::builder("redis://127.0.0.1:6379")
///     .namespace("users")
///     .version(3)
///     .lease(Duration::from_secs(5))
///     .op_timeout(Duration::from_millis(100))
///     .on_unavailable(OnUnavailable::RunLocally)
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "there is no cluster before `build`"]
pub struct ClusterBuilder<C = Json> {
    server: Server,
    namespace: String,
    version: u32,
    codec: C,
    lease: Duration,
    op_timeout: Duration,
    wait_at_most: Option<Duration>,
    max_value: usize,
    inline: usize,
    on_unavailable: OnUnavailable,
    observer: Option<Box<dyn ClusterObserver>>,
}

impl ClusterBuilder<Json> {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
            namespace: String::new(),
            version: 0,
            codec: Json,
            lease: Duration::from_secs(5),
            op_timeout: Duration::from_millis(100),
            wait_at_most: None,
            max_value: 1 << 20,
            inline: 16 << 10,
            on_unavailable: OnUnavailable::RunLocally,
            observer: None,
        }
    }
}

impl<C> ClusterBuilder<C> {
    /// What tells this cluster's keys from those of others on the same server, of 1 to 64 printable ASCII characters without spaces,
    /// colons and braces. **Processes that share a namespace share the results of equal keys**, so coalescers of different values need
    /// different ones, and so do environments.
    ///
    /// # Default
    ///
    /// None: it has to be set.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses any other.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Of the values: processes of different versions still lead one after the other, but each runs its own work rather than decode
    /// another version's value. Change it whenever the values' meaning or their encoding does.
    ///
    /// # Default
    ///
    /// 0.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// How values are handed over: [`Json`], [`Postcard`](crate::redis::Postcard) with the feature `postcard`, or your own
    /// [`Codec`](crate::redis::Codec).
    ///
    /// # Default
    ///
    /// [`Json`].
    pub fn codec<D>(self, codec: D) -> ClusterBuilder<D> {
        ClusterBuilder {
            codec,
            server: self.server,
            namespace: self.namespace,
            version: self.version,
            lease: self.lease,
            op_timeout: self.op_timeout,
            wait_at_most: self.wait_at_most,
            max_value: self.max_value,
            inline: self.inline,
            on_unavailable: self.on_unavailable,
            observer: self.observer,
        }
    }

    /// How long a leader that dies, stalls or is cut off keeps the others waiting at most. While its work runs, a process renews its
    /// leases every third of this, so work may take longer. A process that is stopped for up to half of this keeps its leases. If it is
    /// stopped for longer, another may take over, and both run.
    ///
    /// # Default
    ///
    /// 5 s.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses less than 10 ms, and less than three times the [`op_timeout`](Self::op_timeout).
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long Redis may take to answer, and to be connected to, before a flight goes on without it. A failing Redis costs a flight
    /// at most this when it asks for a lease, and at most this again when it hands over its result; after five such failures in a row,
    /// a breaker has it cost nothing. A flight that follows another process notices a silent server within half a lease and one
    /// `op_timeout`.
    ///
    /// # Default
    ///
    /// 100 ms.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero.
    pub fn op_timeout(mut self, timeout: Duration) -> Self {
        self.op_timeout = timeout;
        self
    }

    /// How long a flight follows others before it runs its own work beside theirs.
    ///
    /// # Default
    ///
    /// As long as the coalescer's [`max_flight_duration`](crate::Builder::max_flight_duration) lets it.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses zero.
    pub fn wait_at_most(mut self, limit: Duration) -> Self {
        self.wait_at_most = Some(limit);
        self
    }

    /// The most bytes that an encoded value may have to be handed over. Where one is larger, each process runs its own work, once.
    ///
    /// # Default
    ///
    /// 1 MiB.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses more than 512 MiB, which is the most that a value in Redis has.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// The most bytes that an encoded value may have to be pushed. Larger ones are fetched, which takes one round trip more. Many large
    /// pushes at once fill the server's buffer for a slow subscriber, which it then disconnects.
    ///
    /// # Default
    ///
    /// 16 KiB.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses more than 512 MiB.
    pub fn inline(mut self, bytes: usize) -> Self {
        self.inline = bytes;
        self
    }

    /// What happens to work that can't get a lease.
    ///
    /// # Default
    ///
    /// [`OnUnavailable::RunLocally`].
    pub fn on_unavailable(mut self, policy: OnUnavailable) -> Self {
        self.on_unavailable = policy;
        self
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn observed_by(mut self, observer: Box<dyn ClusterObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Builds it. Redis is connected to by the first flight, in the background, and need not be there.
    ///
    /// # Errors
    ///
    /// [`ClusterBuildError`] for options that make no sense, a URL among them.
    pub fn build(self) -> Result<Cluster<C>, ClusterBuildError> {
        self.check()?;
        let address = self.server.check().map_err(ClusterBuildError::server)?;
        let rules = Rules {
            lease: self.lease,
            wait_at_most: self.wait_at_most,
            may_go_alone: self.on_unavailable == OnUnavailable::RunLocally,
        };
        let config = Config {
            namespace: self.namespace,
            rules,
            op_timeout: self.op_timeout,
            max_value: self.max_value,
            inline: self.inline,
            version: self.version,
            on_unavailable: self.on_unavailable,
        };
        let reports =
            self.observer.map(|observer| Reports { every: observer.every(), reporter: observer.built().into() });
        Ok(Cluster::with(Arc::new(Node::new(config, address, reports)), Arc::new(self.codec)))
    }

    fn check(&self) -> Result<(), ClusterBuildError> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b":{}".contains(&byte);
        if self.namespace.is_empty() || self.namespace.len() > 64 || !self.namespace.bytes().all(is_allowed) {
            return Err(ClusterBuildError::Namespace { namespace: self.namespace.clone() });
        }
        if self.op_timeout.is_zero() {
            return Err(ClusterBuildError::ZeroDuration { option: "op_timeout" });
        }
        if self.wait_at_most.is_some_and(|limit| limit.is_zero()) {
            return Err(ClusterBuildError::ZeroDuration { option: "wait_at_most" });
        }
        if let Some(Err(what)) = self.observer.as_ref().map(|observer| observer.check()) {
            return Err(ClusterBuildError::Metrics { what });
        }
        let least = self.op_timeout.saturating_mul(3).max(SHORTEST_LEASE);
        if self.lease < least {
            return Err(ClusterBuildError::Lease { lease: self.lease, least });
        }
        for (option, value) in [("max_value", self.max_value), ("inline", self.inline)] {
            if value > MOST {
                return Err(ClusterBuildError::Size { option, value, most: MOST });
            }
        }
        Ok(())
    }
}

impl<C> fmt::Debug for ClusterBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder")
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .field("version", &self.version)
            .field("lease", &self.lease)
            .field("op_timeout", &self.op_timeout)
            .field("on_unavailable", &self.on_unavailable)
            .finish_non_exhaustive()
    }
}

//! What a builder was told, and whether it makes sense.

use std::{fmt, sync::Arc, thread, time::Duration};

use crate::{
    error::BuildError,
    policy::{OnAbandon, OnExpiry},
    rollout,
    scope::{Domains, Machine, Scope, Topology},
    shard::{Budget, Rules},
    sight,
    watch::Watcher,
};

/// [`Builder::MAX_SHARDS`](crate::Builder::MAX_SHARDS).
pub(crate) const MAX_SHARDS: usize = 4096;

/// All choices that don't depend on the types.
#[derive(Clone)]
pub(crate) struct Choices {
    pub(crate) shards: Option<usize>,
    pub(crate) max_waiters_per_flight: usize,
    pub(crate) max_flights: usize,
    pub(crate) max_flight_duration: Option<Duration>,
    pub(crate) on_expiry: OnExpiry,
    pub(crate) on_abandon: OnAbandon,
    pub(crate) crowd_threshold: usize,
    pub(crate) rollout: f64,
    pub(crate) scope: Scope,
    pub(crate) topology: Arc<dyn Topology>,
    pub(crate) watcher: Option<Arc<dyn Watcher>>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            shards: None,
            max_waiters_per_flight: 1_000_000,
            max_flights: 1_000_000,
            max_flight_duration: Some(Duration::from_secs(30)),
            on_expiry: OnExpiry::default(),
            on_abandon: OnAbandon::default(),
            crowd_threshold: 1_000,
            rollout: 1.0,
            scope: Scope::default(),
            topology: Arc::new(Machine),
            watcher: None,
        }
    }
}

impl Choices {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.shards == Some(0) {
            return Err(BuildError::ZeroShards);
        }
        if self.max_waiters_per_flight == 0 {
            return Err(BuildError::ZeroWaiters);
        }
        if self.max_flights == 0 {
            return Err(BuildError::ZeroFlights);
        }
        if self.max_flight_duration == Some(Duration::ZERO) {
            return Err(BuildError::ZeroFlightDuration);
        }
        if self.crowd_threshold == 0 {
            return Err(BuildError::ZeroCrowdThreshold);
        }
        if !rollout::is_fraction(self.rollout) {
            return Err(BuildError::InvalidRollout { fraction: self.rollout });
        }
        self.watcher.as_ref().map_or(Ok(()), |watcher| watcher.check())
    }

    pub(crate) fn domains(&self) -> Option<Domains> {
        Domains::find(self.scope, Arc::clone(&self.topology)).unwrap_or_else(|reason| {
            sight::falls_back(self.scope.name(), &reason);
            None
        })
    }

    /// A shard serves several cores' joins, and every further one costs sparse traffic a wake-up.
    pub(crate) fn shards_per_domain(&self, domains: Option<&Domains>) -> Result<usize, BuildError> {
        let domains = domains.map_or(1, Domains::count);
        let by_default = || (thread::available_parallelism().map_or(1, usize::from) / domains).clamp(1, 16);
        let per_domain = self.shards.unwrap_or_else(by_default);
        let (shards, limit) = (per_domain.saturating_mul(domains), MAX_SHARDS);
        if shards > limit { Err(BuildError::TooManyShards { shards, limit }) } else { Ok(per_domain) }
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            max_waiters: self.max_waiters_per_flight,
            budget: Budget::new(self.max_flights),
            max_flight_duration: self.max_flight_duration,
            on_expiry: self.on_expiry,
            on_abandon: self.on_abandon,
            crowd: self.crowd_threshold,
        }
    }
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choices")
            .field("shards", &self.shards)
            .field("max_waiters_per_flight", &self.max_waiters_per_flight)
            .field("max_flights", &self.max_flights)
            .field("max_flight_duration", &self.max_flight_duration)
            .field("on_expiry", &self.on_expiry)
            .field("on_abandon", &self.on_abandon)
            .field("crowd_threshold", &self.crowd_threshold)
            .field("rollout", &self.rollout)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

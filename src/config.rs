//! The policies, and the validated configuration of a coalescer.

use std::{fmt, ops::Deref, sync::Arc, thread, time::Duration};

use crate::{
    admission::AdmissionLimits,
    error::BuildError,
    flight_limit::FlightLimit,
    observer::ObserverFactory,
    rollout,
    scope::{Domains, Machine, Scope, Topology},
    shard::{Limits, Permits},
    stall::OnStall,
    trace,
};

/// [`Builder::MAX_SHARDS`](crate::Builder::MAX_SHARDS).
pub(crate) const MAX_SHARDS: usize = 4096;

/// How many flights wait for a permit at most, where the builder says nothing else.
const MAX_QUEUED: usize = 10_000;

/// What happens to work whose last caller has left (G10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAbandon {
    /// Let the work run to its end. Callers that join before then share its result.
    #[default]
    Finish,
    /// Drop the work, and unmap the flight in the same step as the last caller's departure: no join ever finds a flight
    /// that is being aborted. A join that comes before the work is gone leads or shares the key's next flight, whose work
    /// begins when it is, or after [`Builder::abort_grace`](crate::Builder::abort_grace).
    ///
    /// The future is dropped at its next await point, as with [`tokio::task::AbortHandle::abort`]; a thread that it
    /// blocks is not interrupted.
    Abort,
}

/// What happens to a flight that outlives the coalescer's `max_flight_duration` (G11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnExpiry {
    /// Answer every caller with [`JoinError::TimedOut`](crate::JoinError::TimedOut) at once, drop the work at its next
    /// await point, and let the next join start anew. The new flight's work begins when the old is gone, or after
    /// [`Builder::abort_grace`](crate::Builder::abort_grace).
    #[default]
    Fail,
    /// Let the next join start anew, and leave the work running and its callers waiting for it: they get its late
    /// answer, and only their own [`max_wait`](crate::Handle::with_max_wait) ends their wait.
    ///
    /// Work that never ends then accumulates, one execution per `max_flight_duration` and key, until `max_flights`
    /// refuses more. Choose it where slow answers are still useful.
    Detach,
}

/// Which flights a join may share: see [`Handle::with_freshness`](crate::Handle::with_freshness).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// The key's flight, whenever its work began.
    #[default]
    WithinWindow,
    /// A flight whose work begins after the join's first poll.
    StartedAfterCall,
}

/// Which flights begin first where executions have a limit: see [`Handle::with_priority`](crate::Handle::with_priority).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Work that no one waits for: refreshes, prefetches.
    Background,
    /// Work that may be late, and is the first after [`Background`](Self::Background) to be given up.
    Low,
    /// All that is not told apart.
    #[default]
    Normal,
    /// Work that others must not hold up.
    High,
}

impl Priority {
    /// From the lowest to the highest.
    pub(crate) const ALL: [Self; 4] = [Self::Background, Self::Low, Self::Normal, Self::High];

    /// The name, in snake case, as tracing events have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a handle asks for each of its joins. Joins of a handle without options carry a null pointer.
#[derive(Clone, Default)]
pub(crate) struct SharedOptions(Option<Arc<CallOptions>>);

impl SharedOptions {
    pub(crate) fn new(options: CallOptions) -> Self {
        Self(Some(Arc::new(options)))
    }
}

impl Deref for SharedOptions {
    type Target = CallOptions;

    fn deref(&self) -> &CallOptions {
        static DEFAULT: CallOptions = CallOptions {
            max_wait: None,
            max_flight_duration: None,
            freshness: Freshness::WithinWindow,
            leaves_work: true,
            priority: Priority::Normal,
        };
        self.0.as_deref().unwrap_or(&DEFAULT)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct CallOptions {
    pub(crate) max_wait: Option<Duration>,
    pub(crate) max_flight_duration: Option<Duration>,
    pub(crate) freshness: Freshness,
    /// A follower's work may take its flight over. Not where the caller uses what it gave to its work for something else, or where
    /// works of one flight would disturb each other.
    pub(crate) leaves_work: bool,
    pub(crate) priority: Priority,
}

/// Where a flight's work runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunWork {
    /// As a task of its own, from the start.
    #[default]
    Detached,
    /// In its leader's own task for as long as no other caller waits for it, which saves the task. When a second caller
    /// joins, or the leader leaves under [`OnAbandon::Finish`], the work is moved into a task of its own, between two
    /// of its polls. So a leader that is parked, dropped or not polled any more delays no other caller (G2).
    ///
    /// All guarantees hold as for [`Detached`](Self::Detached). Its price:
    ///
    /// - Work sees its leader's task-locals and cooperative budget until it is moved, and not afterwards. A join that
    ///   finds its shard taken by another thread starts its work as a task, so work must not rely on seeing them at
    ///   all.
    /// - Works whose leaders are awaited in one task, by `join!` or the like, don't run in parallel.
    /// - A leader that is alive and not polled keeps its own work from going on, as long as no other caller joins.
    /// - The future is boxed.
    ///
    /// Choose it where most calls meet no other caller. Where executions have a limit
    /// ([`max_executions`](crate::Builder::max_executions)), it is without effect.
    ///
    /// Work is polled inside the coalescer's runtime, whatever executor its leader is on. The work of
    /// [`blocking_join`](crate::Handle::blocking_join) runs on the blocking pool under either policy.
    InPlace,
}

/// Describes a key, for [`inspect`](crate::Coalescer::inspect).
pub(crate) type Describe<K> = Arc<dyn Fn(&K) -> String + Send + Sync>;

/// All options that don't depend on the types.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) shards: Option<usize>,
    pub(crate) max_waiters_per_flight: usize,
    pub(crate) max_flights: usize,
    pub(crate) max_executions: Option<usize>,
    pub(crate) max_queued: Option<usize>,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) max_flight_duration: Option<Duration>,
    pub(crate) max_extended_duration: Option<Duration>,
    #[cfg(feature = "adaptive")]
    pub(crate) adaptive: Option<crate::Adaptive>,
    pub(crate) on_expiry: OnExpiry,
    pub(crate) on_abandon: OnAbandon,
    pub(crate) on_stall: OnStall,
    pub(crate) abort_grace: Duration,
    pub(crate) run_work: RunWork,
    pub(crate) crowd_threshold: usize,
    pub(crate) rollout: f64,
    pub(crate) scope: Scope,
    pub(crate) topology: Arc<dyn Topology>,
    pub(crate) observer: Option<Arc<dyn ObserverFactory>>,
    /// How many hot keys each shard counts, for the live page.
    #[cfg(feature = "dashboard")]
    pub(crate) hot_keys: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shards: None,
            max_waiters_per_flight: 1_000_000,
            max_flights: 1_000_000,
            max_executions: None,
            max_queued: None,
            queue_timeout: None,
            max_flight_duration: Some(Duration::from_secs(30)),
            max_extended_duration: None,
            #[cfg(feature = "adaptive")]
            adaptive: None,
            on_expiry: OnExpiry::default(),
            on_abandon: OnAbandon::default(),
            on_stall: OnStall::default(),
            abort_grace: Duration::from_secs(1),
            run_work: RunWork::default(),
            crowd_threshold: 1_000,
            rollout: 1.0,
            scope: Scope::default(),
            topology: Arc::new(Machine),
            observer: None,
            #[cfg(feature = "dashboard")]
            hot_keys: None,
        }
    }
}

impl Config {
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
        if let (Some(limit), Some(extended)) = (self.max_flight_duration, self.max_extended_duration)
            && extended < limit
        {
            return Err(BuildError::ExtendedBelowLimit { extended, limit });
        }
        self.on_stall.check(self.max_flight_duration, self.run_work)?;
        #[cfg(feature = "adaptive")]
        self.check_adaptive()?;
        if self.crowd_threshold == 0 {
            return Err(BuildError::ZeroCrowdThreshold);
        }
        if !rollout::is_fraction(self.rollout) {
            return Err(BuildError::InvalidRollout { fraction: self.rollout });
        }
        self.check_admission()?;
        #[cfg(feature = "dashboard")]
        crate::dashboard::check_hot_keys(self.hot_keys)?;
        self.observer.as_ref().map_or(Ok(()), |observer| observer.check())
    }

    fn check_admission(&self) -> Result<(), BuildError> {
        if self.max_executions == Some(0) {
            return Err(BuildError::ZeroExecutions);
        }
        if self.max_queued == Some(0) {
            return Err(BuildError::ZeroQueued);
        }
        if self.queue_timeout == Some(Duration::ZERO) {
            return Err(BuildError::ZeroQueueTimeout);
        }
        if self.max_executions.is_some() {
            return Ok(());
        }
        match (self.max_queued, self.queue_timeout) {
            (Some(max_queued), _) => Err(BuildError::QueueWithoutExecutions { max_queued }),
            (None, Some(queue_timeout)) => Err(BuildError::QueueTimeoutWithoutExecutions { queue_timeout }),
            (None, None) => Ok(()),
        }
    }

    /// `None` where executions have no limit.
    pub(crate) fn admission(&self) -> Option<AdmissionLimits> {
        Some(AdmissionLimits {
            max_executions: self.max_executions?,
            max_queued: self.max_queued.unwrap_or(MAX_QUEUED),
            queue_timeout: self.queue_timeout,
        })
    }

    pub(crate) fn domains(&self) -> Option<Domains> {
        Domains::find(self.scope, Arc::clone(&self.topology)).unwrap_or_else(|reason| {
            trace::falls_back(self.scope.name(), &reason);
            None
        })
    }

    /// By default four per core, so that threads rarely want the same one, and at most 64, as each has a map, a queue and an
    /// actor. A core that has a domain to itself has no thread beside it that could.
    pub(crate) fn shards_per_domain(&self, domains: Option<&Domains>) -> Result<usize, BuildError> {
        let domains = domains.map_or(1, Domains::count);
        let by_default = || match thread::available_parallelism().map_or(1, usize::from) / domains {
            0 | 1 => 1,
            cores => (4 * cores).min(64),
        };
        let per_domain = self.shards.unwrap_or_else(by_default);
        let (shards, limit) = (per_domain.saturating_mul(domains), MAX_SHARDS);
        if shards > limit { Err(BuildError::TooManyShards { shards, limit }) } else { Ok(per_domain) }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_waiters: self.max_waiters_per_flight,
            permits: Permits::new(self.max_flights),
            max_flight_duration: self.max_flight_duration,
            max_extended_duration: self.max_extended_duration,
            on_expiry: self.on_expiry,
            on_abandon: self.on_abandon,
            abort_grace: self.abort_grace,
            admits: self.max_executions.is_some(),
            crowd: self.crowd_threshold,
            takeovers: self.on_stall.takeovers(),
        }
    }
}

impl Config {
    /// How long a flight may take that isn't extended. `None`: as long as it likes.
    #[cfg(feature = "cache")]
    pub(crate) fn longest_flight(&self) -> Option<Duration> {
        #[cfg(feature = "adaptive")]
        let learned = self.greatest_learned();
        #[cfg(not(feature = "adaptive"))]
        let learned = None;
        learned.or(self.max_flight_duration)
    }

    /// For a configuration that was checked. `None` where the limit of flights is fixed.
    #[cfg_attr(not(feature = "adaptive"), expect(clippy::unused_self, reason = "nothing is learned"))]
    pub(crate) fn flight_limit(&self, shards: usize) -> Option<Arc<dyn FlightLimit>> {
        #[cfg(feature = "adaptive")]
        return self.learner(shards);
        #[cfg(not(feature = "adaptive"))]
        {
            let _ = shards;
            None
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("shards", &self.shards)
            .field("max_waiters_per_flight", &self.max_waiters_per_flight)
            .field("max_flights", &self.max_flights)
            .field("max_executions", &self.max_executions)
            .field("max_queued", &self.max_queued)
            .field("queue_timeout", &self.queue_timeout)
            .field("max_flight_duration", &self.max_flight_duration)
            .field("max_extended_duration", &self.max_extended_duration)
            .field("on_expiry", &self.on_expiry)
            .field("on_abandon", &self.on_abandon)
            .field("on_stall", &self.on_stall)
            .field("abort_grace", &self.abort_grace)
            .field("run_work", &self.run_work)
            .field("crowd_threshold", &self.crowd_threshold)
            .field("rollout", &self.rollout)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

//! Every choice there is, with its default.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use tokio::runtime::RuntimeFlavor;

use crate::{
    choices::{self, Choices},
    coalescer::Coalescer,
    error::BuildError,
    handle::Handle,
    host::{AtomicBool, Port, Runtime, timers},
    live::Lanes,
    policy::{OnAbandon, OnExpiry},
    pump::{Describe, Pump},
    rollout::Rollout,
    router::{Bypasses, Router},
    scope::{Domains, Scope, Topology},
    shard::Shard,
    watch::Surroundings,
};

/// Builds a [`Coalescer`].
///
/// Values that make no sense are refused by [`build`](Self::build), with the value and the limit in the error.
///
/// # Examples
///
/// ```
/// use shardflight::{Coalescer, OnAbandon};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
/// let coalescer = Coalescer::<String, u64>::builder()
///     .shards(4)
///     .max_waiters_per_flight(10_000)
///     .max_flight_duration(Duration::from_secs(5))
///     .on_abandon(OnAbandon::Abort)
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing runs before `build`"]
pub struct Builder<K, V, S = RandomState> {
    pub(crate) choices: Choices,
    describe: Option<Describe<K>>,
    hasher: S,
    value: PhantomData<fn() -> V>,
}

impl<K, V> Builder<K, V> {
    /// The most shards there can be, in all domains of a scope together. Each is an actor with a map of its own;
    /// thousands cost memory and wake-ups and win nothing on any machine there is.
    pub const MAX_SHARDS: usize = choices::MAX_SHARDS;

    pub(crate) fn new() -> Self {
        Self { choices: Choices::default(), describe: None, hasher: RandomState::new(), value: PhantomData }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// How many shards the keys are spread over, in each domain of the [`scope`](Self::scope).
    ///
    /// More of them help when many cores join many distinct keys at a high rate: shards serve their keys in parallel, and
    /// a key's joins wait only for those of its own shard. They don't help a herd on one key, which is one shard's to
    /// serve, whatever the count.
    ///
    /// More of them hurt when traffic is sparse: a shard that is idle has to be woken, so calls that one busy shard would
    /// have taken in the same turn cost a wake per shard, and there is less in each turn to share its cost.
    ///
    /// Which of the two it is depends on the machine and its load. `cargo run --release -p shard_tuning`, in this
    /// crate's repository, measures it: counts of shards under shapes of load, with the count to take.
    ///
    /// # Default
    ///
    /// [`std::thread::available_parallelism`] divided by the scope's domains, at least 1 and at most 16.
    pub fn shards(mut self, shards: usize) -> Self {
        self.choices.shards = Some(shards);
        self
    }

    /// The most live callers that a flight may have, its leader included; one more gets
    /// [`TooManyWaiters`](crate::JoinError::TooManyWaiters) at once (G7).
    ///
    /// Exact: callers that have left don't count. Finding them out when a full flight is joined takes a look at each of
    /// its waiters, if anyone has left since the last look.
    ///
    /// # Default
    ///
    /// 1,000,000.
    pub fn max_waiters_per_flight(mut self, limit: usize) -> Self {
        self.choices.max_waiters_per_flight = limit;
        self
    }

    /// The most flights that may be under way in the whole coalescer, forgotten and abandoned ones included; a join
    /// that would start one more gets [`TooManyFlights`](crate::JoinError::TooManyFlights) at once (G7).
    ///
    /// Exact over all shards, at the price of one shared count that starting and ending a flight touch. Followers
    /// don't.
    ///
    /// # Default
    ///
    /// 1,000,000.
    pub fn max_flights(mut self, limit: usize) -> Self {
        self.choices.max_flights = limit;
        self
    }

    /// How long a flight may take (G11); what then happens is [`on_expiry`](Self::on_expiry)'s to say: by default its
    /// callers get [`TimedOut`](crate::JoinError::TimedOut) and its work is dropped, though a thread that it blocks runs on.
    ///
    /// Counted from the moment the shard takes the work. One timer per shard serves all flights, so there is neither a
    /// sweeper task nor a cleanup interval to set: what is due goes when it is due.
    ///
    /// # Default
    ///
    /// 30 seconds.
    pub fn max_flight_duration(mut self, limit: Duration) -> Self {
        self.choices.max_flight_duration = Some(limit);
        self
    }

    /// Lets flights take as long as they like. Work that never ends then holds its key, and whoever joins it, for ever.
    pub fn no_flight_deadline(mut self) -> Self {
        self.choices.max_flight_duration = None;
        self
    }

    /// What happens to a flight that outlives [`max_flight_duration`](Self::max_flight_duration) (G11).
    ///
    /// # Default
    ///
    /// [`OnExpiry::Fail`].
    pub fn on_expiry(mut self, on_expiry: OnExpiry) -> Self {
        self.choices.on_expiry = on_expiry;
        self
    }

    /// What happens to work whose last caller has left (G10).
    ///
    /// # Default
    ///
    /// [`OnAbandon::Finish`].
    pub fn on_abandon(mut self, on_abandon: OnAbandon) -> Self {
        self.choices.on_abandon = on_abandon;
        self
    }

    /// A flight that comes to have so many waiters is worth a warning, once: the tracing event
    /// [`flight crowded`](crate#observing).
    ///
    /// # Default
    ///
    /// 1,000.
    pub fn crowd_threshold(mut self, waiters: usize) -> Self {
        self.choices.crowd_threshold = waiters;
        self
    }

    /// The fraction of the keys that is coalesced at first, from 0.0 to 1.0; changed later with
    /// [`Handle::set_rollout`].
    ///
    /// # Default
    ///
    /// 1.0: all of them.
    pub fn rollout(mut self, fraction: f64) -> Self {
        self.choices.rollout = fraction;
        self
    }

    /// Among whom identical requests are coalesced: the process, or each core or NUMA node for itself, with shards of
    /// its own.
    ///
    /// Where the machine can't tell its cores or nodes, or has but one, it is the process; if it can't tell, that is
    /// said once, by the tracing event `scope falls back to the process`.
    ///
    /// # Default
    ///
    /// [`Scope::PerProcess`].
    pub fn scope(mut self, scope: Scope) -> Self {
        self.choices.scope = scope;
        self
    }

    /// The cores and nodes that [`scope`](Self::scope) goes by.
    ///
    /// # Default
    ///
    /// [`Machine`](crate::Machine): those of the machine.
    pub fn topology(mut self, topology: impl Topology) -> Self {
        self.choices.topology = Arc::new(topology);
        self
    }

    /// What [`inspect`](Coalescer::inspect) may say of a key. It runs inside a shard, for the few keys inspected, under
    /// guard against panics; it must not block.
    ///
    /// # Default
    ///
    /// Nothing is said: keys may be secrets.
    pub fn describe(mut self, describe: impl Fn(&K) -> String + Send + Sync + 'static) -> Self {
        self.describe = Some(Arc::new(describe));
        self
    }

    /// How keys are hashed. The hash chooses the shard and the bucket, so a hasher whose values an attacker can
    /// predict lets keys from the network be piled onto one of each.
    ///
    /// # Default
    ///
    /// [`RandomState`]: `SipHash` 1-3 under random keys, one set per coalescer.
    pub fn hasher<S2>(self, hasher: S2) -> Builder<K, V, S2> {
        Builder { choices: self.choices, describe: self.describe, hasher, value: self.value }
    }

    /// Spawns the shards on the current Tokio runtime.
    ///
    /// Work that callers bring runs there too, whichever runtime they themselves are on. A runtime built without its
    /// timers will do: deadlines and waits are then kept by a thread of the crate's own, started with the first such
    /// coalescer. (Tokio tells whether a runtime has timers only by a panic, which is caught, and which the panic hook
    /// reports all the same.)
    pub fn build(self) -> Result<Coalescer<K, V, S>, BuildError>
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        self.choices.check()?;
        let runtime = Runtime::try_current().map_err(|_| BuildError::NoRuntime)?;
        let timers = timers::find(&runtime).map_err(|error| BuildError::NoTimers { reason: error.to_string() })?;
        let domains = self.choices.domains();
        let shards_per_domain = self.choices.shards_per_domain(domains.as_ref())?;
        let shards = domains.as_ref().map_or(1, Domains::count) * shards_per_domain;

        let many_threads = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        let lanes = Lanes::new(shards, many_threads.then_some(&runtime));
        let rules = self.choices.rules();
        let bypasses: Arc<[_]> = (0..shards).map(|_| Bypasses::default()).collect();
        let watch = self.choices.watcher.as_ref().map(|watcher| {
            let (bypasses, runtime, timers) = (Arc::clone(&bypasses), runtime.clone(), timers.clone());
            watcher.watch(Surroundings { bypasses, runtime, timers })
        });
        let open = |number| {
            let shard = Shard::new(number, rules.clone());
            let (timers, describe) = (timers.clone(), self.describe.clone());
            let pump = Pump::new(number, lanes.clone(), shard, runtime.clone(), timers, describe, watch.clone());
            let port = Port::open(&runtime, pump);
            if let Some(watch) = &watch {
                watch.opened(number, Box::new(port.downgrade()));
            }
            port
        };
        Ok(Coalescer::with_handle(Handle::new(Router {
            ports: (0..shards).map(open).collect(),
            lanes,
            domains,
            shards_per_domain,
            hasher: self.hasher,
            rollout: Rollout::new(self.choices.rollout),
            bypasses,
            closing: AtomicBool::new(false),
            timers: timers.clone(),
            watch,
        })))
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("choices", &self.choices).finish_non_exhaustive()
    }
}

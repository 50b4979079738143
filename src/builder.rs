//! Every option, with its default.

use std::{
    any::TypeId,
    fmt,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use crate::{
    coalescer::Coalescer,
    config::{self, Config, Describe, OnAbandon, OnExpiry, RunWork},
    engine::{Engine, EngineOptions},
    error::BuildError,
    handle::Handle,
    observer::{Environment, WeakShard},
    rollout::Rollout,
    router::Router,
    scope::{Domains, Scope, Topology},
    shard::Shard,
    stall::OnStall,
    sync::{Actors, AtomicBool, Runtime, clock},
};

/// Builds a [`Coalescer`].
///
/// [`build`](Self::build) refuses values that make no sense, with the value and the limit in the error.
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
    pub(crate) config: Config,
    describe: Option<Describe<K>>,
    hasher: S,
    value: PhantomData<fn() -> V>,
}

impl<K, V> Builder<K, V> {
    /// The most shards there can be, in all domains of a scope together. Each is an actor with a map and a queue of its
    /// own; thousands cost memory and gain nothing.
    pub const MAX_SHARDS: usize = config::MAX_SHARDS;

    pub(crate) fn new() -> Self {
        Self { config: Config::default(), describe: None, hasher: RandomState::new(), value: PhantomData }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// How many shards the keys are spread over, in each domain of the [`scope`](Self::scope).
    ///
    /// A call takes its key's shard on its own thread, for some 50 ns. Two threads that want the same shard at the same
    /// time cost more: the second tries again, and then leaves its message to the first. More shards make that rarer,
    /// so they help when many cores join many distinct keys at a high rate. They don't help many callers of one key,
    /// which is in one shard whatever the count.
    ///
    /// A shard that is not used costs a map, a queue and an actor, and no time; questions such as
    /// [`stats`](crate::Handle::stats) ask every shard. `cargo run --release -p shard_tuning`, in this crate's
    /// repository, measures counts of shards under shapes of load, and says which to take.
    ///
    /// # Default
    ///
    /// Four for each core, of [`std::thread::available_parallelism`] divided by the scope's domains, and at most 64. Where
    /// that is a single core, one.
    pub fn shards(mut self, shards: usize) -> Self {
        self.config.shards = Some(shards);
        self
    }

    /// The most live callers that a flight may have, its leader included; one more gets
    /// [`TooManyWaiters`](crate::JoinError::TooManyWaiters) at once (G7).
    ///
    /// Exact: a caller that leaves frees its place at once, and a refusal costs no look at the flight's other callers.
    ///
    /// # Default
    ///
    /// 1,000,000.
    pub fn max_waiters_per_flight(mut self, limit: usize) -> Self {
        self.config.max_waiters_per_flight = limit;
        self
    }

    /// The most executions that may be under way in the whole coalescer; a join that would start one more gets
    /// [`TooManyFlights`](crate::JoinError::TooManyFlights) at once (G7).
    ///
    /// An execution counts until its work has ended and is dropped: forgotten and abandoned flights do, and so does work
    /// that outlives its flight ([`Stats::lingering`](crate::Stats::lingering)), as it still holds its thread or its
    /// connection. Exact over all shards, at the price of one shared count that starting and ending an execution touch.
    /// Followers don't.
    ///
    /// # Default
    ///
    /// 1,000,000.
    pub fn max_flights(mut self, limit: usize) -> Self {
        self.config.max_flights = limit;
        self
    }

    /// The most executions that run at a time, in the whole coalescer. Flights beyond that wait, in the order of their
    /// [`Priority`](crate::Priority), and can be joined meanwhile: what a limit inside the work would hold up, callers share.
    ///
    /// Exact over all shards, but for what is said of waits below. An execution counts from the grant of its permit until its work is
    /// gone, or told to be lost with its runtime: however it ends, and whether or not its flight is over by then. A flight whose last
    /// caller leaves before it has a permit never runs, whatever [`OnAbandon`] says; this holds also for one that waits for another
    /// execution of its key. The time in the queue counts for
    /// [`max_flight_duration`](Self::max_flight_duration), as callers wait for that long. A flight that is detached or forgotten
    /// keeps its place. A shutdown counts flights that wait as flights under way, and answers them with `Closed` at its end.
    ///
    /// Joins that are not coalesced, as the [rollout](Self::rollout) leaves them out, run without a permit: to turn coalescing off turns
    /// the limit off, too.
    ///
    /// A further execution of a flight ([`OnStall::Takeover`](crate::OnStall), or a [`Hedge`](crate::Hedge)'s) needs a permit of its
    /// own, and is left out if none is free.
    ///
    /// # Work that waits for other flights
    ///
    /// Work that joins a key of the same coalescer has a permit, which it doesn't need while it waits. If the flight that it waits
    /// for is in the queue, that flight begins at once under this permit: otherwise all permits could be with work that waits for
    /// the queue. Work lends its permit to one flight at a time, and what runs under a lent permit may lend it on. So `limit` is the
    /// most executions that run and don't wait for one that has their permit. Work that stops waiting, as in a `select!`, goes on
    /// at once, beside the flight that has its permit; the next permit that becomes free makes up for it. So there is one execution
    /// too many for each such wait whose flight still runs.
    ///
    /// That holds for joins that are polled by the work's own task or thread. Work that waits for a task of its own which joins,
    /// or for a flight of another coalescer whose work joins this one, holds its permit meanwhile. If all permits are held so,
    /// only [`queue_timeout`](Self::queue_timeout), or the flights' deadline, ends that.
    ///
    /// # Cost
    ///
    /// Without a limit, none. With one, a step on a count that all shards share for the start and the end of each execution;
    /// followers don't touch it. A flight that has to wait costs an entry in the queue and a task of its own, and its start a wake-up
    /// by another thread. Under [`RunWork::InPlace`], work that has to wait runs as a task; a leader that polls its own work has the
    /// permit until that has ended, also while it doesn't poll. Blocking work waits before it takes a thread of the pool.
    ///
    /// # Default
    ///
    /// Not set: each execution runs at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let coalescer = shardflight::Coalescer::<u64, u64>::builder()
    ///     .max_executions(2)
    ///     .max_queued(100)
    ///     .queue_timeout(Duration::from_secs(1))
    ///     .build()?;
    /// let handle = coalescer.handle();
    /// let load = |key| handle.join(key, move || async move { key * key });
    /// let (a, b, c) = tokio::join!(load(1_u64), load(2_u64), load(3_u64));
    /// assert_eq!(a? + b? + c?, 14);
    /// # Ok(()) }
    /// ```
    pub fn max_executions(mut self, limit: usize) -> Self {
        self.config.max_executions = Some(limit);
        self
    }

    /// The most flights that wait for a permit of [`max_executions`](Self::max_executions). Of one more, the newest of the lowest
    /// [`Priority`](crate::Priority) ends in [`Overloaded`](crate::JoinError::Overloaded), which may be the one that has just come.
    ///
    /// # Default
    ///
    /// 10,000.
    pub fn max_queued(mut self, limit: usize) -> Self {
        self.config.max_queued = Some(limit);
        self
    }

    /// How long a flight waits for a permit of [`max_executions`](Self::max_executions) at most, before it ends in
    /// [`QueueTimedOut`](crate::JoinError::QueueTimedOut).
    ///
    /// # Default
    ///
    /// Not set: it waits for as long as it may take.
    pub fn queue_timeout(mut self, limit: Duration) -> Self {
        self.config.queue_timeout = Some(limit);
        self
    }

    /// How long a flight may take (G11); what then happens is [`on_expiry`](Self::on_expiry)'s to say: by default its
    /// callers get [`TimedOut`](crate::JoinError::TimedOut) and its work is dropped, though a thread that it blocks
    /// runs on.
    ///
    /// Counted from the join that starts the flight. One timer per shard serves all flights, so there is neither a
    /// sweeper task nor a cleanup interval to set. Joins and questions such as [`stats`](Handle::stats) look at the time,
    /// too: they end what is due in their shard, even where the timer is late. The timer is late where its worker has
    /// taken it and is then blocked by another task: without a join or a question meanwhile, at most for as long as that
    /// task blocks.
    ///
    /// # Default
    ///
    /// 30 seconds.
    pub fn max_flight_duration(mut self, limit: Duration) -> Self {
        self.config.max_flight_duration = Some(limit);
        self
    }

    /// How long a flight may take in all if its work, which makes progress, asks for more time with
    /// [`Flight::extend`](crate::Flight::extend). Counted as [`max_flight_duration`](Self::max_flight_duration) is, which is what
    /// a flight has whose work does not ask.
    ///
    /// # Default
    ///
    /// Not set: no work gets more time.
    ///
    /// # Examples
    ///
    /// Work that stands still for five seconds is over; work that goes on may take an hour:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
    /// let coalescer = shardflight::Coalescer::<String, u64>::builder()
    ///     .max_flight_duration(Duration::from_secs(5))
    ///     .max_extended_duration(Duration::from_secs(3600))
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn max_extended_duration(mut self, limit: Duration) -> Self {
        self.config.max_extended_duration = Some(limit);
        self
    }

    /// Lets flights take as long as they like. Work that never ends then holds its key and its callers for ever.
    pub fn no_flight_deadline(mut self) -> Self {
        self.config.max_flight_duration = None;
        self
    }

    /// What happens to a flight that outlives [`max_flight_duration`](Self::max_flight_duration) (G11).
    ///
    /// # Default
    ///
    /// [`OnExpiry::Fail`].
    pub fn on_expiry(mut self, on_expiry: OnExpiry) -> Self {
        self.config.on_expiry = on_expiry;
        self
    }

    /// What happens to work whose last caller has left (G10).
    ///
    /// # Default
    ///
    /// [`OnAbandon::Finish`].
    pub fn on_abandon(mut self, on_abandon: OnAbandon) -> Self {
        self.config.on_abandon = on_abandon;
        self
    }

    /// What happens to a flight whose work takes suspiciously long: its callers wait, or it gets another execution, for which
    /// **a follower's closure is called** beside the leader's. See [`OnStall::Takeover`] for all that this means, above all that
    /// work may run twice at the same time.
    ///
    /// # Default
    ///
    /// [`OnStall::Wait`].
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an `after` that is zero or not below [`max_flight_duration`](Self::max_flight_duration), an
    /// `at_most` that is zero or above [`OnStall::MAX_TAKEOVERS`], and [`RunWork::InPlace`] beside a takeover.
    pub fn on_stall(mut self, on_stall: OnStall) -> Self {
        self.config.on_stall = on_stall;
        self
    }

    /// How long a key's next flight waits for aborted work of the key to be gone, before it begins all the same.
    ///
    /// Work is aborted when its last caller leaves under [`OnAbandon::Abort`], and when its flight's time is up under
    /// [`OnExpiry::Fail`]; async work is then dropped at its next await point. A join that comes before
    /// that leads or shares a flight whose work waits, so two executions of one key don't overlap. If the grace passes first, a
    /// `flight overlaps` warning tells of it, and [`Stats::overlaps`](crate::Stats::overlaps) counts it: work blocks its thread,
    /// or is blocking work, which can't be interrupted. Zero has no flight wait.
    ///
    /// # Default
    ///
    /// 1 s.
    pub fn abort_grace(mut self, abort_grace: Duration) -> Self {
        self.config.abort_grace = abort_grace;
        self
    }

    /// Where a flight's work runs: as a task of its own from the start, or polled by its leader until a second caller
    /// joins.
    ///
    /// [`RunWork::InPlace`] saves the task where no other caller joins. Its price: work sees its leader's task-locals
    /// and cooperative budget until it is moved, works that are awaited in one task don't run in parallel, a leader
    /// that isn't polled holds up its own work, and the future is boxed. No other caller is affected (G2).
    ///
    /// # Default
    ///
    /// [`RunWork::Detached`].
    pub fn run_work(mut self, run_work: RunWork) -> Self {
        self.config.run_work = run_work;
        self
    }

    /// A flight with this many waiters causes one warning: the tracing event [`flight crowded`](crate#observing).
    ///
    /// # Default
    ///
    /// 1,000.
    pub fn crowd_threshold(mut self, waiters: usize) -> Self {
        self.config.crowd_threshold = waiters;
        self
    }

    /// The fraction of the keys that is coalesced at first, from 0.0 to 1.0; changed later with
    /// [`Handle::set_rollout`].
    ///
    /// # Default
    ///
    /// 1.0: all of them.
    pub fn rollout(mut self, fraction: f64) -> Self {
        self.config.rollout = fraction;
        self
    }

    /// Among whom identical requests are coalesced: the process, or each core or NUMA node for itself, with shards of
    /// its own.
    ///
    /// Where the machine's cores or nodes are not known, or there is only one, it is the process. If they are not
    /// known, the tracing event `scope falls back to the process` says so once.
    ///
    /// # Default
    ///
    /// [`Scope::PerProcess`].
    pub fn scope(mut self, scope: Scope) -> Self {
        self.config.scope = scope;
        self
    }

    /// The cores and nodes that [`scope`](Self::scope) uses.
    ///
    /// # Default
    ///
    /// [`Machine`](crate::Machine): those of the machine.
    pub fn topology(mut self, topology: impl Topology) -> Self {
        self.config.topology = Arc::new(topology);
        self
    }

    /// What [`inspect`](Coalescer::inspect) may say of a key. It runs in every caller whose join is coalesced, at the
    /// join's first poll, guarded against panics; a flight keeps its leader's text. So it is a part of every join's
    /// cost.
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
    /// Where keys in flight have the same hash, all 64 bits of it, a join of one compares its key with those of all
    /// others. Everything else finds its flight by a number and costs the same whatever shares the hash: renewed wakers,
    /// departures, completions. So do calls of keys with another hash.
    ///
    /// # Default
    ///
    /// [`RandomState`]: `SipHash` 1-3 under random keys, one set per coalescer.
    pub fn hasher<S2>(self, hasher: S2) -> Builder<K, V, S2> {
        Builder { config: self.config, describe: self.describe, hasher, value: self.value }
    }

    /// Spawns the shards' actors on the current Tokio runtime. [`build_on`](Self::build_on) takes one by its handle.
    ///
    /// Work that callers bring runs there too, whichever runtime they themselves are on. If the runtime was built
    /// without its timers, a thread of the crate's own keeps deadlines and waits; it is started with the first such
    /// coalescer. (Tokio tells whether a runtime has timers only by a panic, which is caught, and which the panic hook
    /// reports all the same.)
    ///
    /// # Errors
    ///
    /// Without a Tokio runtime, where an option's value makes no sense, and where a thread for timers is needed and
    /// cannot be started: see [`BuildError`].
    pub fn build(self) -> Result<Coalescer<K, V, S>, BuildError>
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        self.config.check()?;
        let runtime = Runtime::try_current().map_err(|_| BuildError::NoRuntime)?;
        self.build_checked(runtime)
    }

    /// [`build`](Self::build) on the runtime of this handle, from anywhere: from a plain thread, from another runtime, or in a
    /// `static`.
    ///
    /// The coalescer works for as long as that runtime does. If it is of the flavor `current_thread`, no work runs while no
    /// thread drives it. If it has shut down already, every join ends in [`Closed`](crate::JoinError::Closed).
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), without [`NoRuntime`](BuildError::NoRuntime).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = tokio::runtime::Runtime::new()?;
    /// let coalescer = shardflight::Coalescer::<u64, String>::builder().shards(4).build_on(runtime.handle())?;
    /// let handle = coalescer.handle();
    /// assert_eq!(handle.blocking_join(7_u64, || "seven".to_owned())?, "seven");
    /// # Ok(()) }
    /// ```
    #[cfg(not(shardflight_shuttle))]
    pub fn build_on(self, runtime: &Runtime) -> Result<Coalescer<K, V, S>, BuildError>
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        self.config.check()?;
        self.build_checked(runtime.clone())
    }

    fn build_checked(self, runtime: Runtime) -> Result<Coalescer<K, V, S>, BuildError>
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        let timers = clock::find(&runtime).map_err(|error| BuildError::NoTimers { reason: error.to_string() })?;
        let domains = self.config.domains();
        let shards_per_domain = self.config.shards_per_domain(domains.as_ref())?;
        let shards = domains.as_ref().map_or(1, Domains::count) * shards_per_domain;
        let limits = self.config.limits();
        let flight_limit = self.config.flight_limit(shards);
        let observer = self.config.observer.as_ref().map(|observer| {
            let (runtime, timers, flight_limit) = (runtime.clone(), timers.clone(), flight_limit.clone());
            observer.observe(Environment { shards, value: TypeId::of::<V>(), runtime, timers, flight_limit })
        });
        #[cfg(feature = "dashboard")]
        let hot_keys = self.config.hot_keys;
        let all = (0..shards).map(|number| {
            let shard = Shard::new(number, limits.clone());
            #[cfg(feature = "dashboard")]
            let shard = shard.with_profile(hot_keys);
            shard
        });
        let takeover_after = self.config.on_stall.takeover_after();
        let admission = self.config.admission();
        let options = EngineOptions { runtime, observer, takeover_after, flight_limit, admission };
        let engine = Arc::new(Engine::new(all, options));
        if let Some(observer) = &engine.observer {
            (0..shards).for_each(|shard| observer.opened(shard, Box::new(WeakShard::new(&engine, shard))));
        }
        Ok(Coalescer::with_handle(Handle::new(Router {
            actors: Actors::spawn(&engine, &timers),
            engine,
            domains,
            shards_per_domain,
            hasher: self.hasher,
            describe: self.describe,
            run_work: self.config.run_work,
            max_flight_duration: self.config.max_flight_duration,
            rollout: Rollout::new(self.config.rollout),
            closing: AtomicBool::new(false),
        })))
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

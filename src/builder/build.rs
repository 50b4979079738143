//! From the options to a coalescer.

use std::{any::TypeId, hash::BuildHasher, sync::Arc};

use super::Builder;
use crate::{
    coalescer::Coalescer,
    engine::{Engine, EngineOptions},
    error::BuildError,
    handle::Handle,
    observer::{Environment, WeakShard},
    rollout::Rollout,
    router::Router,
    scope::Domains,
    shard::Shard,
    sync::{Actors, AtomicBool, Runtime, clock},
};

impl<K, V, S> Builder<K, V, S> {
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

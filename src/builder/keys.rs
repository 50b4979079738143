//! How keys are hashed, described, and spread over shards.

use std::sync::Arc;

use super::Builder;
use crate::scope::{Scope, Topology};

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
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0, and more than [`MAX_SHARDS`](Self::MAX_SHARDS) in all domains together.
    pub fn shards(mut self, shards: usize) -> Self {
        self.config.shards = Some(shards);
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

    /// What [`inspect`](crate::Coalescer::inspect) may say of a key. It runs in every caller whose join is coalesced, at the
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
    /// [`RandomState`](std::hash::RandomState): `SipHash` 1-3 under random keys, one set per coalescer.
    pub fn hasher<S2>(self, hasher: S2) -> Builder<K, V, S2> {
        Builder { config: self.config, describe: self.describe, hasher, value: self.value }
    }
}

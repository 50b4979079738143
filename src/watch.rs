//! The seam for whoever measures what a shard's counters can't tell: how long things took.
//!
//! Where nobody watches, all of this is a look at an `Option`, and no clock is read.

#![cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "nobody watches"))]

use std::{pin::Pin, sync::Arc, time::Duration};

use crate::{
    control::Control,
    error::{BuildError, Closed, JoinError},
    host::{Runtime, WeakPort},
    live::{Key, Value},
    router::Bypasses,
    stats::Stats,
};

/// What a builder is given: makes one watch per coalescer.
pub(crate) trait Watcher: Send + Sync {
    fn check(&self) -> Result<(), BuildError>;
    fn watch(&self, surroundings: Surroundings) -> Arc<dyn Watch>;
}

/// What there is of a coalescer before its shards.
pub(crate) struct Surroundings {
    /// One for each shard.
    pub(crate) bypasses: Arc<[Bypasses]>,
    pub(crate) runtime: Runtime,
    /// The runtime that timers are made on.
    pub(crate) timers: Runtime,
}

/// Hears of one coalescer. It runs in shards and in callers: what it calls of others it contains, and nothing in it panics.
pub(crate) trait Watch: Send + Sync {
    /// A shard is there, to be asked for its totals.
    fn opened(&self, shard: usize, source: Box<dyn Source>);

    /// A flight is over. Runs in its shard, and must not block.
    fn landed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize);

    /// A caller waits no longer. Runs in the caller.
    fn waited(&self, wait: Duration, ending: Ending);

    /// A shard has answered everyone and counts no further. Runs in it, at its end.
    fn closed(&self, shard: usize, totals: Stats);
}

/// How a caller's wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By a flight's outcome or by a refusal.
    Answered,
    /// By its own work, beside the shards.
    Bypassed,
    /// It left before its answer, or gave up.
    Left,
}

/// A shard that can be asked, and that isn't kept alive by whoever may ask it.
pub(crate) trait Source: Send + Sync {
    /// What it has counted since it is there, resets or not. Bypasses are the router's.
    fn totals(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>>;
}

impl<K: Key, V: Value> Source for WeakPort<K, V> {
    fn totals(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
        Box::pin(self.ask(|reply| Control::Totals { reply }))
    }
}

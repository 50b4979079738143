//! The seam for measuring what counters can't tell: how long things took.
//!
//! Without an observer, all of this is a check of an `Option`, and no clock is read.

#![cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "nothing observes"))]

use std::{
    any::TypeId,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{
    engine::{Engine, Key, Value},
    error::{BuildError, Closed, JoinError},
    flight_limit::FlightLimit,
    stats::Stats,
    sync::Runtime,
};

/// What a builder is given: makes one observer per coalescer.
pub(crate) trait ObserverFactory: Send + Sync {
    fn check(&self) -> Result<(), BuildError>;
    fn observe(&self, environment: Environment) -> Arc<dyn Observer>;
}

/// What there is of a coalescer before its shards.
pub(crate) struct Environment {
    pub(crate) shards: usize,
    /// The type of its values: by it, an observer knows the coalescers of an adapter that it knows.
    pub(crate) value: TypeId,
    pub(crate) runtime: Runtime,
    /// The runtime that timers are made on.
    pub(crate) timers: Runtime,
    /// `None` where the limit of flights is fixed.
    pub(crate) flight_limit: Option<Arc<dyn FlightLimit>>,
}

/// Hears of one coalescer, in tasks and in callers, never inside a shard's turn. What it calls of others it contains, and
/// nothing in it panics.
pub(crate) trait Observer: Send + Sync {
    /// A shard is there, to be asked for its totals.
    fn opened(&self, shard: usize, source: Box<dyn Source>);

    /// A flight is over. Told before its callers are woken.
    fn completed(&self, latency: Duration, outcome: Option<&JoinError>, waiters: usize);

    /// A caller waits no longer. Runs in the caller.
    fn waited(&self, wait: Duration, end: WaitEnd);

    /// An adapter's request isn't coalesced, for the reason of this number. Runs in the caller.
    #[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "there is no adapter that passes requests through"))]
    fn passed(&self, reason: usize);

    /// The last handle is gone: there will be no further joins, though flights may go on.
    fn abandoned(&self);

    /// A shard has closed and counts no further.
    fn closed(&self, shard: usize, totals: Stats);
}

/// How a caller's wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// By a flight's outcome or by a refusal.
    Answered,
    /// By its own work, beside the shards.
    Bypassed,
    /// It left before its answer, or gave up.
    Left,
}

/// A shard that can be asked, and that isn't kept alive by those who may ask it.
pub(crate) trait Source: Send + Sync {
    /// What it has counted since it is there, resets or not.
    fn totals(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>>;
}

pub(crate) struct WeakShard<K: Key, V: Value> {
    engine: Weak<Engine<K, V>>,
    shard: usize,
}

impl<K: Key, V: Value> WeakShard<K, V> {
    pub(crate) fn new(engine: &Arc<Engine<K, V>>, shard: usize) -> Self {
        Self { engine: Arc::downgrade(engine), shard }
    }
}

impl<K: Key, V: Value> Source for WeakShard<K, V> {
    fn totals(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
        Box::pin(async move {
            // Held while the question is put, not until it is answered.
            let asked = {
                let engine = self.engine.upgrade().ok_or(Closed)?;
                engine.ask(self.shard, (), |state, ()| state.totals())
            };
            Ok(asked.answer().await?.1)
        })
    }
}

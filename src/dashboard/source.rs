//! What a page shows of: coalescers that it doesn't keep alive.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{
    admission::Admission,
    engine::{Asked, Key, State, Value},
    error::Closed,
    handle::Handle,
    router::Router,
    shard::{FlightSnapshot, ProfileSnapshot, hottest_first},
    stats::Stats,
    sync::now,
};

/// The most flights, and the most hot keys, that a page shows of a coalescer.
pub(super) const MOST: usize = 20;

pub(super) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Closed>> + Send>>;

/// A coalescer, whatever its keys and values are.
pub(super) trait Source: Send + Sync {
    /// It is gone, shut down, or its runtime has ended.
    fn has_stopped(&self) -> bool;

    /// Asks all shards at once. `Closed` where it has stopped.
    fn read(&self) -> Answer<Reading>;

    /// Detaches a flight by its number; false if no join would find it any more.
    fn forget(&self, flight: u64) -> Answer<bool>;

    /// False where it has stopped.
    fn set_enabled(&self, enabled: bool) -> bool;
}

/// A coalescer at a moment. Counters are those since it was built, resets or not.
pub(super) struct Reading {
    pub(super) totals: Stats,
    /// The oldest first.
    pub(super) oldest: Vec<FlightSnapshot>,
    /// `None` unless the builder asked for it.
    pub(super) profile: Option<ProfileSnapshot>,
    pub(super) enabled: bool,
    /// Of the keys, which are coalesced where `enabled`.
    pub(super) fraction: f64,
    pub(super) time_limit: Option<Duration>,
    /// Executions wait in a queue for one of this many permits.
    pub(super) max_executions: Option<usize>,
}

struct ShardReading {
    totals: Stats,
    oldest: Vec<FlightSnapshot>,
    profile: Option<ProfileSnapshot>,
    time_limit: Option<Duration>,
}

impl ShardReading {
    fn of<K: Key, V: Value>(state: &mut State<K, V>) -> Self {
        Self {
            totals: state.totals(),
            oldest: state.shard.oldest(MOST, now()),
            profile: state.shard.profile(MOST, now()),
            time_limit: state.shard.time_limit(),
        }
    }
}

/// Upgraded while a question is put, not until it is answered.
struct Watched<K: Key, V: Value, S>(Weak<Router<K, V, S>>);

pub(super) fn of<K, V, S>(handle: &Handle<K, V, S>) -> Box<dyn Source>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: Send + Sync + 'static,
{
    Box::new(Watched(Arc::downgrade(handle.router())))
}

impl<K: Key, V: Value, S: Send + Sync + 'static> Source for Watched<K, V, S> {
    fn has_stopped(&self) -> bool {
        self.0.upgrade().is_none_or(|router| router.engine.has_lost_an_actor())
    }

    fn read(&self) -> Answer<Reading> {
        let Some(router) = self.0.upgrade() else { return closed() };
        let (enabled, fraction) = router.rollout.current();
        let max_executions = router.engine.admission.as_ref().map(Admission::max_executions);
        let learned = router.engine.learned_limit(now());
        let ask = |shard| router.engine.ask(shard, (), |state, ()| ShardReading::of(state));
        let asked: Vec<Asked<(), ShardReading>> = (0..router.engine.shards()).map(ask).collect();
        Box::pin(async move {
            let mut shards = Vec::with_capacity(asked.len());
            for asked in asked {
                shards.push(asked.answer().await?.1);
            }
            let sum = Reading::sum(shards, enabled, fraction);
            Ok(Reading { max_executions, time_limit: learned.or(sum.time_limit), ..sum })
        })
    }

    fn forget(&self, flight: u64) -> Answer<bool> {
        let Some(router) = self.0.upgrade() else { return closed() };
        // As flights are numbered.
        let shard = usize::try_from(flight % crate::config::MAX_SHARDS as u64).unwrap_or(usize::MAX);
        if shard >= router.engine.shards() {
            return Box::pin(async { Ok(false) });
        }
        let asked = router.engine.ask(shard, (), move |state, ()| state.shard.forget_numbered(flight));
        Box::pin(async move { Ok(asked.answer().await?.1) })
    }

    fn set_enabled(&self, enabled: bool) -> bool {
        let router = self.0.upgrade();
        router.iter().for_each(|router| router.rollout.switch(enabled));
        router.is_some()
    }
}

fn closed<T: Send + 'static>() -> Answer<T> {
    Box::pin(async { Err(Closed) })
}

impl Reading {
    fn sum(shards: Vec<ShardReading>, enabled: bool, fraction: f64) -> Self {
        let mut totals = Vec::with_capacity(shards.len());
        let (mut oldest, mut profile, mut time_limit) = (Vec::new(), None::<ProfileSnapshot>, None);
        for shard in shards {
            totals.push(shard.totals);
            oldest.extend(shard.oldest);
            time_limit = shard.time_limit;
            if let Some(one) = shard.profile {
                profile.get_or_insert_default().add(one);
            }
        }
        oldest.sort_by_key(|flight: &FlightSnapshot| std::cmp::Reverse(flight.age));
        oldest.truncate(MOST);
        if let Some(profile) = &mut profile {
            hottest_first(&mut profile.hot_keys);
            profile.hot_keys.truncate(MOST);
        }
        Self { totals: Stats::sum(totals), oldest, profile, enabled, fraction, time_limit, max_executions: None }
    }
}

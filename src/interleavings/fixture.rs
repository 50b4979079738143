//! A coalescer on a runtime of its own, and what a scenario does with it.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::Weak,
    time::Duration,
};

use shuttle::{future::JoinHandle, rand::Rng};

use super::{
    futures::pause,
    history::{Alive, Answer, History},
};
use crate::{
    Builder, Coalescer, Freshness, Handle,
    sync::{Runtime, in_one_step},
};

pub(super) const KEY: u64 = 2;
/// Another key with the same hash.
pub(super) const TWIN: u64 = 3;
/// A key of the same shard.
pub(super) const NEIGHBOUR: u64 = 4;
/// A key of the second of two shards.
pub(super) const ELSEWHERE: u64 = 1 << 56;

/// How long a flight may take, or a caller waits, where a scenario limits it.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// A key is nearly its own hash, so that a schedule means the same each time.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key & !1;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) type KeyHashers = BuildHasherDefault<KeyHasher>;

/// The number of the execution that it is of.
pub(super) struct Value {
    number: usize,
    _alive: Alive,
}

pub(super) type Configure = Builder<u64, Value, KeyHashers>;

pub(super) struct Fixture {
    pub(super) runtime: Runtime,
    pub(super) history: History,
    pub(super) coalescer: Coalescer<u64, Value, KeyHashers>,
    handle: Handle<u64, Value, KeyHashers>,
    /// Its tasks that are there until it is closed: one per shard.
    actors: usize,
}

/// Runs a scenario once. Whether the runtime has many workers is up to chance.
pub(super) fn run(shards: usize, configure: impl FnOnce(Configure) -> Configure, scenario: impl AsyncFnOnce(Fixture)) {
    run_on(Runtime::begin(shuttle::rand::thread_rng().r#gen()), shards, configure, scenario);
}

pub(super) fn run_on(
    runtime: Runtime,
    shards: usize,
    configure: impl FnOnce(Configure) -> Configure,
    scenario: impl AsyncFnOnce(Fixture),
) {
    let builder = Coalescer::<u64, Value>::builder().shards(shards).hasher(KeyHashers::default());
    let coalescer = configure(builder).build().expect("a valid configuration");
    let (handle, history) = (coalescer.handle(), History::default());
    shuttle::future::block_on(scenario(Fixture { runtime, history, coalescer, handle, actors: shards }));
}

impl Fixture {
    pub(super) fn handle(&self) -> Handle<u64, Value, KeyHashers> {
        self.handle.clone()
    }

    /// A caller of `key`. What it gets, and of which execution, is recorded.
    pub(super) fn join<F: Future<Output = ()> + Send + 'static>(
        &self,
        key: u64,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> impl Future<Output = Answer> + Send + 'static {
        join(self.handle(), self.history.clone(), key, work)
    }

    /// A caller that shares only work which begins after it has asked.
    pub(super) fn fresh_call(&self, key: u64) -> impl Future<Output = Answer> + Send + 'static {
        let (handle, history) = (self.handle().with_freshness(Freshness::StartedAfterCall), self.history.clone());
        let join = join(handle, history.clone(), key, pause);
        async move {
            let asked = history.now();
            let answer = join.await;
            if answer.outcome.as_ref().is_ok_and(|&execution| history.began(execution) < asked) {
                history.violation(format!("{answer:?} is of work that began before {asked}"));
            }
            answer
        }
    }

    /// A caller whose work suspends once.
    pub(super) fn call(&self, key: u64) -> impl Future<Output = Answer> + Send + 'static {
        self.join(key, pause)
    }

    /// A caller in a task of its own.
    pub(super) fn caller(&self, key: u64) -> JoinHandle<Answer> {
        shuttle::future::spawn(self.call(key))
    }

    /// Waits until all work has ended, all callers have been told, and no message is left in a queue: if one is, with its
    /// shard in the cell, nothing ever handles it, and the scenario waits in vain. Asks no shard, which would.
    pub(super) async fn at_rest(&self) {
        let engine = &self.handle.router().engine;
        self.runtime.until(|alive| alive <= self.actors && in_one_step(|| engine.is_at_rest())).await;
    }

    /// Nothing is left and the numbers agree, once all work has ended; then the shards go with their last handle.
    pub(super) async fn finish(self) {
        self.at_rest().await;
        let stats = self.handle.stats().await.expect("the shards are there");
        assert_eq!((stats.flights, stats.waiters, stats.lingering), (0, 0, 0), "G6: {stats:?}");
        assert_eq!((stats.executing, stats.queue_len), (0, 0), "G14: {stats:?}");
        assert_eq!(stats.joins, stats.executions + stats.coalesced + stats.rejections, "G14: {stats:?}");
        assert_eq!(stats.executions + stats.takeovers, self.history.executions() as u64, "G14: {stats:?}");
        self.end().await;
    }

    /// [`finish`](Self::finish) where there may be no shard left to ask.
    pub(super) async fn end(self) {
        let engine = std::sync::Arc::downgrade(&self.handle.router().engine);
        self.release().await.judge();
        assert_eq!(Weak::strong_count(&engine), 0, "G6: the shards are left");
    }

    /// Drops the last handles but those of callers, and waits for all tasks to end that aren't callers.
    pub(super) async fn release(self) -> History {
        let Self { runtime, history, coalescer, handle, .. } = self;
        drop((coalescer, handle));
        runtime.until(|alive| alive == 0).await;
        history
    }
}

/// [`Fixture::join`] for work that joins.
pub(super) fn join<F: Future<Output = ()> + Send + 'static>(
    handle: Handle<u64, Value, KeyHashers>,
    history: History,
    key: u64,
    work: impl FnOnce() -> F + Send + 'static,
) -> impl Future<Output = Answer> + Send + 'static {
    let (alive, recorder) = (history.alive(), history.clone());
    let work = move || {
        let running = recorder.begin(key);
        let future = work();
        async move {
            // All of it, not its number alone: it ends when this future is dropped.
            let running = running;
            future.await;
            Value { number: running.number, _alive: alive }
        }
    };
    async move {
        let asked = history.now();
        let outcome = handle.join_shared(key, work).await.map(|value| value.number);
        history.answered(key, asked, outcome)
    }
}

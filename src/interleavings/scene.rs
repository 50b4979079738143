//! A coalescer in a world of its own, and what a scenario does with it.

use std::{
    future::poll_fn,
    hash::{BuildHasherDefault, Hasher},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::record::{Alive, Answer, Record};
use crate::{Builder, Coalescer, Handle, host::Runtime};

pub(super) const KEY: u64 = 2;
/// Another key with the same hash.
pub(super) const TWIN: u64 = 3;
/// A key of the second of two shards.
pub(super) const ELSEWHERE: u64 = 1 << 56;

/// How long a flight may take, or a caller waits, where a scenario limits it.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// A key is nearly its own hash, so that a schedule means the same each time.
#[derive(Default)]
pub(super) struct Placed(u64);

impl Hasher for Placed {
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

pub(super) type Placing = BuildHasherDefault<Placed>;

/// The number of the execution that it is of.
pub(super) struct Product {
    number: usize,
    _alive: Alive,
}

pub(super) struct Scene {
    pub(super) world: Runtime,
    pub(super) record: Record,
    pub(super) coalescer: Coalescer<u64, Product, Placing>,
    handle: Handle<u64, Product, Placing>,
    shards: usize,
}

/// Runs a scenario's story on a stage of its own.
pub(super) fn play<F: Future<Output = ()>>(
    shards: usize,
    choose: impl FnOnce(Builder<u64, Product, Placing>) -> Builder<u64, Product, Placing>,
    story: impl FnOnce(Scene) -> F,
) {
    let world = Runtime::begin();
    let builder = Coalescer::<u64, Product>::builder().shards(shards).hasher(Placing::default());
    let coalescer = choose(builder).build().expect("choices that make sense");
    let handle = coalescer.handle();
    shuttle::future::block_on(story(Scene { world, record: Record::default(), coalescer, handle, shards }));
}

impl Scene {
    pub(super) fn handle(&self) -> Handle<u64, Product, Placing> {
        self.handle.clone()
    }

    /// A caller of `key`. What it gets, and of which execution, goes on record.
    pub(super) fn join<F: Future<Output = ()> + Send + 'static>(
        &self,
        key: u64,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> impl Future<Output = Answer> + Send + 'static {
        join(self.handle(), self.record.clone(), key, work)
    }

    /// A caller whose work stops once on its way.
    pub(super) fn call(&self, key: u64) -> impl Future<Output = Answer> + Send + 'static {
        self.join(key, pause)
    }

    /// A caller on a task of its own.
    pub(super) fn caller(&self, key: u64) -> shuttle::future::JoinHandle<Answer> {
        shuttle::future::spawn(self.call(key))
    }

    /// Nothing is left and the numbers agree, once all work has ended; then the shards go with their last handle.
    pub(super) async fn finish(self) {
        // Once for what is still in the lanes, and again when the work that comes of it has ended.
        self.handle.stats().await.expect("the shards are there");
        self.world.at_most(self.shards).await;
        let stats = self.handle.stats().await.expect("the shards are there");
        assert_eq!((stats.flights, stats.waiters), (0, 0), "G6: {stats:?}");
        assert_eq!(stats.joins, stats.executions + stats.coalesced + stats.rejections, "G14: {stats:?}");
        let begun = self.record.executions() as u64;
        // Work that is dropped before its first poll is one that never began.
        assert!((begun..=begun + stats.aborts + stats.timeouts).contains(&stats.executions), "G14: {begun}, {stats:?}");
        self.end().await;
    }

    /// [`finish`](Self::finish) where there may be no shard left to ask.
    pub(super) async fn end(self) {
        self.leave().await.judge();
    }

    /// Lets go of the last handles but those of callers, and waits for all tasks to end that aren't callers.
    pub(super) async fn leave(self) -> Record {
        let Self { world, record, coalescer, handle, .. } = self;
        drop((coalescer, handle));
        world.at_most(0).await;
        record
    }
}

/// [`Scene::join`] without its scene, for work that joins.
pub(super) fn join<F: Future<Output = ()> + Send + 'static>(
    handle: Handle<u64, Product, Placing>,
    record: Record,
    key: u64,
    work: impl FnOnce() -> F + Send + 'static,
) -> impl Future<Output = Answer> + Send + 'static {
    let (alive, recorder) = (record.alive(), record.clone());
    let work = move || {
        let running = recorder.begin(key);
        let doing = work();
        async move {
            // All of it, not its number alone: it ends when this future is dropped.
            let running = running;
            doing.await;
            Product { number: running.number, _alive: alive }
        }
    };
    async move {
        let asked = record.now();
        let outcome = handle.join_shared(key, work).await.map(|product| product.number);
        record.answered(key, asked, outcome)
    }
}

/// Pending once.
pub(super) async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The future after its first poll.
pub(super) fn begun<F: Future>(future: F) -> Begun<F> {
    let mut future = Box::pin(future);
    let ended = match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    };
    Begun { future, ended }
}

/// Its first poll may have ended it: others go on while it lasts.
pub(super) struct Begun<F: Future> {
    future: Pin<Box<F>>,
    ended: Option<F::Output>,
}

impl<F: Future<Output: Unpin>> Future for Begun<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.ended.take() {
            Some(output) => Poll::Ready(output),
            None => self.future.as_mut().poll(cx),
        }
    }
}

/// What works wait at until a scenario lets them pass.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    pub(super) fn open(&self) {
        let waiting = {
            let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            gate.0 = true;
            std::mem::take(&mut gate.1)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) async fn pass(self) {
        poll_fn(|cx| {
            let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if gate.0 {
                return Poll::Ready(());
            }
            gate.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

//! One kind of call at a time, on one thread: `cargo bench -p benches --bench calls`.
//!
//! For work on this crate: Criterion keeps the last run and says what has changed since, `--save-baseline` and `--baseline`
//! compare any two, and a name chooses among the calls. What it says holds on one idle machine; how ours compares with
//! others is for `race` to tell.

use std::{cell::Cell, hint::black_box};

use criterion::{Criterion, criterion_group, criterion_main};
use futures::{future::join_all, poll};
use shardflight::{Builder, Coalescer, Handle};
use tokio::{
    runtime::{self, Runtime},
    sync::oneshot,
    task::yield_now,
};

const BURST: u64 = 1_000;

/// A thread's runtime, and a coalescer of one shard on it.
struct Stage {
    runtime: Runtime,
    handle: Handle<u64, u64>,
    next_key: Cell<u64>,
}

impl Stage {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(configure: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // A flight that is left again and again lasts for as long as that is measured.
        let builder = configure(Coalescer::builder().shards(1).no_flight_deadline());
        let coalescer = runtime.block_on(async { builder.build().expect("inside a runtime") });
        Self { runtime, handle: coalescer.handle(), next_key: Cell::new(0) }
    }

    fn new_key(&self) -> u64 {
        self.next_key.replace(self.next_key.get() + 1)
    }
}

fn lonely(criterion: &mut Criterion) {
    let stage = Stage::new();
    criterion.bench_function("lonely, ready work", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| stage.handle.join(stage.new_key(), || async { 7 }));
    });
    criterion.bench_function("lonely, work that suspends once", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| stage.handle.join(stage.new_key(), suspends_once));
    });
    let limited = Stage::with(|builder| builder.max_executions(1_000_000));
    criterion.bench_function("lonely, ready work, within a limit", |bencher| {
        bencher.to_async(&limited.runtime).iter(|| limited.handle.join(limited.new_key(), || async { 7 }));
    });
    stage.handle.set_enabled(false);
    criterion.bench_function("bypassed", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| stage.handle.join(stage.new_key(), || async { 7 }));
    });
}

fn bursts(criterion: &mut Criterion) {
    let stage = Stage::new();
    let burst = async |size: u64| {
        let key = stage.new_key();
        black_box(join_all((0..size).map(|_| stage.handle.join(key, suspends_once))).await);
    };
    criterion.bench_function("a leader and a follower", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| burst(2));
    });
    criterion.bench_function("a thousand of one key", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| burst(BURST));
    });
}

fn departures(criterion: &mut Criterion) {
    let stage = Stage::new();
    let (end, ended) = oneshot::channel::<()>();
    let mut leader = stage.handle.join(0_u64, || async {
        ended.await.expect("the flight's end");
        7
    });
    stage.runtime.block_on(async { assert!(poll!(&mut leader).is_pending()) });
    criterion.bench_function("a follower that leaves", |bencher| {
        bencher.to_async(&stage.runtime).iter(async || {
            let mut follower = Box::pin(stage.handle.join(0_u64, suspends_once));
            assert!(poll!(&mut follower).is_pending());
            yield_now().await;
            drop(follower);
            yield_now().await;
        });
    });
    end.send(()).expect("work that waits for its end");
    stage.runtime.block_on(leader).expect("work that can't fail");
}

fn controls(criterion: &mut Criterion) {
    let stage = Stage::new();
    criterion.bench_function("a forget of nothing", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| stage.handle.forget(7_u64));
    });
    criterion.bench_function("stats", |bencher| {
        bencher.to_async(&stage.runtime).iter(|| stage.handle.stats());
    });
}

async fn suspends_once() -> u64 {
    yield_now().await;
    7
}

criterion_group!(calls, lonely, bursts, departures, controls);
criterion_main!(calls);

//! Work that blocks its thread.

use std::{sync::mpsc, thread, time::Duration};

use shardflight::{Coalescer, Handle, OnStall};
use tokio::task::JoinHandle;

use super::Stalls;
use crate::support::{
    BlocksInDrop, Count, CountsDrop, Gate, Wall, assert_pending, at_rest, eventually_blocking, inside, returning, step,
    two_workers, until, watched,
};

/// Real time, as threads are blocked.
const SOON: Duration = Duration::from_millis(10);

fn taken_over_soon<V: Send + Sync + 'static>() -> Handle<i32, V> {
    let builder = Coalescer::builder().shards(1).on_stall(OnStall::Takeover { after: SOON, at_most: 1 });
    builder.build().unwrap().handle()
}

#[test]
fn work_that_blocks_a_worker_is_taken_over_and_its_late_value_changes_nothing() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, taken_over_soon::<CountsDrop>);
        let (wall, opener) = Wall::new();
        let (late, values, ended) = (Count::default(), Count::default(), Count::default());
        let blocks = {
            let (late, ended) = (late.clone(), ended.on_drop());
            move || async move {
                let _ended = ended;
                wall.block();
                late.on_drop()
            }
        };
        let value = values.clone();
        runtime.block_on(async {
            let answers = tokio::join!(
                handle.join_shared(1, blocks),
                handle.join_shared(1, move || async move { value.on_drop() })
            );
            assert_eq!(ended.get(), 0, "the first still blocks");
            at_rest(&handle).await;
            drop(answers);
            assert_eq!(values.get(), 1, "G6: work that goes on keeps no value");
        });
        drop(opener);
        eventually_blocking(|| late.get() == 1 && ended.get() == 1);
        runtime.block_on(async {
            let stats = at_rest(&handle).await;
            assert_eq!((stats.executions, stats.takeovers, stats.panics, stats.aborts), (1, 1, 0, 0));
        });
    });
}

#[test]
fn blocking_work_is_taken_over_by_blocking_work() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, taken_over_soon::<i32>);
        let (wall, opener) = Wall::new();
        let leader = {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    1
                })
            })
        };
        runtime.block_on(until(&handle, |stats| stats.executions == 1));
        assert_eq!(handle.blocking_join(1, || 2), Ok(2));
        assert_eq!(leader.join().unwrap(), Ok(2));
        drop(opener);
        runtime.block_on(at_rest(&handle));
    });
}

#[test]
fn blocking_work_needs_no_runtime_that_is_driven() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = inside(&runtime, taken_over_soon::<i32>);
        assert_eq!(handle.blocking_join(1, || 1), Ok(1));
    });
}

#[test]
fn a_flight_that_is_aborted_ends_when_the_thread_that_it_blocks_does() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::builder().shards(1).on_stall(OnStall::Takeover { after: SOON, at_most: 1 });
        let builder = builder.on_abandon(shardflight::OnAbandon::Abort);
        let handle: Handle<i32, i32> = builder.build_on(runtime.handle()).unwrap().handle();
        let ((wall, opener), stalls) = (Wall::new(), Stalls::default());
        runtime.block_on(async {
            let mut leader = handle.join(1, move || async move {
                wall.block();
                1
            });
            let mut follower = handle.join(1, stalls.work());
            assert_pending(&mut leader);
            assert_pending(&mut follower);
            until(&handle, |stats| stats.takeovers == 1).await;
            drop((leader, follower));
            let stats = until(&handle, |stats| stats.lingering == 1 && stalls.dropped.get() == 1).await;
            assert_eq!(stats.flights, 0);
            drop(opener);
            assert_eq!(at_rest(&handle).await.aborts, 1);
        });
    });
}

#[test]
fn a_closure_that_was_not_needed_and_blocks_in_its_drop_delays_no_caller() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || {
            let builder = Coalescer::<i32, i32>::builder().shards(1);
            builder
                .on_stall(OnStall::Takeover { after: Duration::MAX, at_most: 1 })
                .no_flight_deadline()
                .build()
                .unwrap()
                .handle()
        });
        let (gate, (wall, opener)) = (Gate::new(), Wall::new());
        let passed = gate.pass();
        let leader = runtime.spawn(handle.join(1, move || async move {
            passed.await;
            7
        }));
        runtime.block_on(until(&handle, |stats| stats.executions == 1));
        let (dropping, is_dropping) = mpsc::channel();
        let unneeded = (OnDrop(dropping), BlocksInDrop(wall));
        let follower = runtime.spawn(handle.join(1, move || async move {
            drop(unneeded);
            0
        }));
        runtime.block_on(until(&handle, |stats| stats.waiters == 2));
        // More than are woken at once.
        let others: Vec<_> = (0..600).map(|_| runtime.spawn(handle.join(1, returning(0)))).collect();
        runtime.block_on(until(&handle, |stats| stats.waiters == 602));
        // The other worker has no part in it until the drop has begun.
        let (busy, is_free) = Wall::new();
        let (begun, has_begun) = mpsc::channel();
        runtime.spawn(async move {
            begun.send(()).unwrap();
            busy.block();
        });
        has_begun.recv().unwrap();
        gate.open();
        is_dropping.recv().unwrap();
        step();
        drop(is_free);
        eventually_blocking(|| {
            leader.is_finished() && follower.is_finished() && others.iter().all(JoinHandle::is_finished)
        });
        drop(opener);
    });
}

/// Tells of its drop.
struct OnDrop(mpsc::Sender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

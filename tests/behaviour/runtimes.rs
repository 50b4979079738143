//! Callers elsewhere than the shards: on other runtimes, on plain threads, and after the shards' runtime is gone (G5).

use std::{sync::mpsc, thread};

use futures::{
    executor::block_on,
    future::{join_all, pending},
};
use shardflight::{Closed, Coalescer, Handle, JoinError};
use tokio::runtime::{Handle as Current, Runtime};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Count, Gate, Wall, assert_pending, eventually_blocking, inside, one_shard, returning, two_workers, until,
        watched,
    },
};

fn handle_on(runtime: &Runtime) -> Handle<i32, i32> {
    inside(runtime, || Coalescer::new().handle())
}

fn the_runtime_is_gone(error: &JoinError) -> bool {
    matches!(error, JoinError::Closed | JoinError::Aborted)
}

#[test]
fn work_runs_on_the_runtime_of_its_coalescer() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let handle: Handle<i32, tokio::runtime::Id> = inside(&home, || Coalescer::new().handle());
        let ran_on = abroad.block_on(handle.join(1, || async { Current::current().id() })).unwrap();
        assert_eq!(ran_on, home.handle().id());
    });
}

#[test]
fn callers_on_different_runtimes_share_one_flight() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let handle = handle_on(&home);
        let gate = Gate::new();
        let passed = gate.pass();
        let leader = home.spawn(handle.join(1, move || async move {
            passed.await;
            7
        }));
        home.block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = abroad.spawn(handle.join(1, returning(0)));
        home.block_on(until(&handle, |stats| stats.waiters == 2));
        gate.open();
        assert_eq!(block_on(leader).unwrap().unwrap(), 7);
        assert_eq!(block_on(follower).unwrap().unwrap(), 7);
    });
}

#[test]
fn the_end_of_the_runtime_answers_callers_elsewhere() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let handle = handle_on(&home);
        let callers: Vec<_> = (0..1_000).map(|n| abroad.spawn(handle.join(n % 100, pending))).collect();
        home.block_on(until(&handle, |stats| stats.waiters == 1_000));
        let on_a_thread = {
            let handle = handle.clone();
            thread::spawn(move || block_on(handle.join(7, pending)))
        };
        home.block_on(until(&handle, |stats| stats.waiters == 1_001));
        drop(home);
        for answer in block_on(join_all(callers)) {
            assert!(the_runtime_is_gone(&answer.unwrap().unwrap_err()));
        }
        assert!(the_runtime_is_gone(&on_a_thread.join().unwrap().unwrap_err()));
    });
}

#[test]
fn joins_made_after_the_end_of_the_runtime_are_answered() {
    watched(|| {
        let home = two_workers();
        let handle = handle_on(&home);
        drop(home);
        for key in 0..100 {
            assert!(matches!(block_on(handle.join(key, returning(7))), Err(JoinError::Closed)));
        }
    });
}

#[test]
fn a_join_polled_before_and_awaited_after_the_end_of_the_runtime_is_answered() {
    watched(|| {
        // Never run, so that no shard has even started.
        let home = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = handle_on(&home);
        let mut joins: Vec<_> = (0..100).map(|key| handle.join(key, returning(7))).collect();
        joins.iter_mut().for_each(assert_pending);
        drop(home);
        for join in joins {
            assert!(the_runtime_is_gone(&block_on(join).unwrap_err()));
        }
    });
}

#[test]
fn questions_after_the_end_of_the_runtime_are_answered() {
    watched(|| {
        let home = two_workers();
        let handle = handle_on(&home);
        drop(home);
        let _: Closed = block_on(handle.forget(1)).unwrap_err();
        assert!(block_on(handle.forget_all()).is_err());
        assert!(block_on(handle.stats()).is_err());
        assert!(block_on(handle.reset_stats()).is_err());
    });
}

#[test]
fn questions_under_way_at_the_end_of_the_runtime_are_answered() {
    watched(|| {
        let home = two_workers();
        let handle: Handle<SlowKey, i32> = inside(&home, one_shard);
        let busy = BusyShard::of(&handle);
        let ask = || {
            let (mut stats, mut forget) = (Box::pin(handle.stats()), Box::pin(handle.forget(SlowKey::new(1))));
            assert_pending(&mut stats);
            assert_pending(&mut forget);
            (stats, forget)
        };
        let before = ask();
        drop(home);
        // Behind the end of the shard's actor, in its queue.
        let after = ask();
        drop(busy);
        let (stats, forget) = before;
        assert_eq!(block_on(stats).unwrap().joins, 2);
        assert!(!block_on(forget).unwrap());
        let (stats, forget) = after;
        assert!(block_on(stats).is_err());
        assert!(block_on(forget).is_err());
    });
}

#[test]
fn the_end_of_a_blocked_runtime_answers_callers() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let handle = handle_on(&home);
        let (wall, _opener) = Wall::new();
        let running = Count::default();
        let blocked = {
            let running = running.clone();
            abroad.spawn(handle.join(1, move || async move {
                running.up();
                wall.block();
                7
            }))
        };
        eventually_blocking(|| running.get() == 1);
        let waiting = abroad.spawn(handle.join(2, pending));
        home.block_on(until(&handle, |stats| stats.waiters == 2));
        home.shutdown_background();
        assert!(the_runtime_is_gone(&block_on(waiting).unwrap().unwrap_err()));
        assert!(the_runtime_is_gone(&block_on(blocked).unwrap().unwrap_err()));
    });
}

#[test]
fn joins_while_the_runtime_ends_are_answered() {
    watched(|| {
        for _ in 0..30 {
            let home = two_workers();
            let handle = handle_on(&home);
            let (started, start) = mpsc::channel();
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (handle, started) = (handle.clone(), started.clone());
                    thread::spawn(move || {
                        for n in (0..100).cycle() {
                            let work = || async {
                                tokio::task::yield_now().await;
                                7
                            };
                            if n == 10 {
                                started.send(()).unwrap();
                            }
                            if let Err(error) = block_on(handle.join(n % 3, work)) {
                                return error;
                            }
                        }
                        unreachable!("the runtime ends some day")
                    })
                })
                .collect();
            start.recv().unwrap();
            drop(home);
            for thread in threads {
                assert!(the_runtime_is_gone(&thread.join().unwrap()));
            }
        }
    });
}

//! Callers that are plain threads, and work that blocks.

use std::{panic::AssertUnwindSafe, sync::mpsc, thread, time::Duration};

use futures::{FutureExt, executor::block_on, future::ready};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::{
    runtime::{self, Runtime},
    task::spawn_blocking,
};

use crate::support::{
    Count, Wall, at_rest, eventually_blocking, inside, limited, one_shard, panic_quietly, settle, two_workers, until,
    watched,
};

fn handle_on(runtime: &Runtime) -> Handle<i32, i32> {
    inside(runtime, || Coalescer::builder().shards(2).build().unwrap().handle())
}

#[test]
fn threads_share_one_execution() {
    watched(|| {
        let runtime = two_workers();
        let (handle, ran) = (handle_on(&runtime), Count::default());
        let (wall, opener) = Wall::new();
        let threads: Vec<_> = (0..20)
            .map(|n| {
                let (handle, wall, ran) = (handle.clone(), wall.clone(), ran.clone());
                thread::spawn(move || {
                    handle.blocking_join(1, move || {
                        ran.up();
                        wall.block();
                        n
                    })
                })
            })
            .collect();
        block_on(until(&handle, |stats| stats.waiters == 20));
        drop(opener);
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(ran.get(), 1);
        let stats = block_on(at_rest(&handle));
        assert_eq!((stats.executions, stats.coalesced), (1, 19));
    });
}

#[test]
fn a_task_follows_a_thread() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let leader = {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    7
                })
            })
        };
        block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = runtime.spawn(handle.join(1, || ready(8)));
        block_on(until(&handle, |stats| stats.waiters == 2));
        drop(opener);
        assert_eq!(leader.join().unwrap().unwrap(), 7);
        assert_eq!(block_on(follower).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_thread_follows_a_task() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let gate = crate::support::Gate::new();
        let passed = gate.pass();
        let leader = runtime.spawn(handle.join(1, move || async move {
            passed.await;
            7
        }));
        block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = {
            let handle = handle.clone();
            thread::spawn(move || handle.blocking_join(1, || unreachable!("a follower's")))
        };
        block_on(until(&handle, |stats| stats.waiters == 2));
        gate.open();
        assert_eq!(block_on(leader).unwrap().unwrap(), 7);
        assert_eq!(follower.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn blocking_work_holds_up_neither_workers_nor_shards() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let threads: Vec<_> = (0..10)
            .map(|key| {
                let (handle, wall) = (handle.clone(), wall.clone());
                thread::spawn(move || {
                    handle.blocking_join(key, move || {
                        wall.block();
                        key
                    })
                })
            })
            .collect();
        block_on(until(&handle, |stats| stats.flights == 10));
        assert_eq!(handle.blocking_join(99, || 7).unwrap(), 7);
        assert_eq!(runtime.block_on(handle.join(98, || ready(7))).unwrap(), 7);
        drop(opener);
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap().is_ok()));
    });
}

#[test]
fn blocking_work_whose_flight_is_cut_before_it_began_never_begins() {
    watched(|| {
        let runtime =
            runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(limited(async {
            let coalescer = Coalescer::<i32, usize>::builder().shards(1).build().unwrap();
            let (handle, begun, (wall, opener)) = (coalescer.handle(), Count::default(), Wall::new());
            // The one thread that there is for blocking work.
            let taken = spawn_blocking(move || wall.block());
            let caller = {
                let (handle, begun) = (handle.clone(), begun.clone());
                thread::spawn(move || handle.blocking_join(1, move || begun.up()))
            };
            until(&handle, |stats| stats.flights == 1).await;
            // The flight's task has its turn and queues the work.
            settle().await;
            assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 1);
            settle().await;
            drop(opener);
            taken.await.unwrap();
            // Queued behind it.
            spawn_blocking(|| {}).await.unwrap();
            assert_eq!(begun.get(), 0);
            assert!(matches!(caller.join().unwrap(), Err(JoinError::Closed)));
        }));
    });
}

#[test]
fn a_panic_in_blocking_work_reaches_all_of_its_callers_and_no_later_one() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let threads: Vec<_> = (0..5)
            .map(|_| {
                let (handle, wall) = (handle.clone(), wall.clone());
                thread::spawn(move || {
                    handle.blocking_join(1, move || {
                        wall.block();
                        panic_quietly("broken pipe")
                    })
                })
            })
            .collect();
        block_on(until(&handle, |stats| stats.waiters == 5));
        drop(opener);
        for thread in threads {
            let error = thread.join().unwrap().unwrap_err();
            assert!(matches!(error, JoinError::Panicked(_)));
            assert!(error.to_string().contains("broken pipe"), "{error}");
        }
        assert_eq!(block_on(at_rest(&handle)).panics, 1);
        assert_eq!(handle.blocking_join(1, || 7).unwrap(), 7);
    });
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap()
}

#[tokio::test]
async fn async_code_is_refused_and_told_the_way_out() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let inner = handle.clone();
        let wrong = AssertUnwindSafe(async move { inner.blocking_join(1, || 7) }).catch_unwind();
        let message = message_of(wrong.await.unwrap_err().as_ref());
        assert!(message.contains("`join`") && message.contains("spawn_blocking"), "{message}");
        assert_eq!(at_rest(&handle).await.joins, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_a_flight_is_async_code_too() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let inner = handle.clone();
        let error = handle.join(1, || async move { inner.blocking_join(2, || 7).unwrap() }).await.unwrap_err();
        assert!(error.to_string().contains("spawn_blocking"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn the_blocking_pool_may_block() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let answer = spawn_blocking(move || handle.blocking_join(1, || 7));
        assert_eq!(answer.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_has_stepped_aside_may_block() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let inner = handle.clone();
        let aside = tokio::spawn(async move { tokio::task::block_in_place(|| inner.blocking_join(1, || 7)) });
        assert_eq!(aside.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[test]
fn a_runtime_that_another_thread_drives_serves_threads() {
    watched(|| {
        let (handles, handle) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let driver = thread::spawn(move || {
            runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                handles.send(one_shard::<i32, i32>()).unwrap();
                stopped.await.unwrap();
            });
        });
        let handle = handle.recv().unwrap();
        for key in 0..100 {
            assert_eq!(handle.blocking_join(key, move || key).unwrap(), key);
        }
        stop.send(()).unwrap();
        driver.join().unwrap();
        assert!(matches!(handle.blocking_join(1, || 7), Err(JoinError::Closed)));
    });
}

#[test]
fn threads_hear_of_the_end_of_the_runtime() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let waiting = {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    7
                })
            })
        };
        block_on(until(&handle, |stats| stats.waiters == 1));
        runtime.shutdown_background();
        let answer = waiting.join().unwrap();
        assert!(matches!(answer, Err(JoinError::Closed | JoinError::Aborted)), "{answer:?}");
        drop(opener);
    });
}

#[test]
fn what_a_thread_brought_and_nobody_needed_is_dropped() {
    watched(|| {
        let runtime = two_workers();
        let (handle, dropped) = (handle_on(&runtime), Count::default());
        for _ in 0..10 {
            let token = dropped.on_drop();
            handle
                .blocking_join(1, move || {
                    let _token = token;
                    7
                })
                .unwrap();
        }
        eventually_blocking(|| dropped.get() == 10);
    });
}

//! A function's coalescer is in a static, which outlives runtimes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use futures::executor::block_on;
use shardflight::{JoinError, coalesce};
use tokio::runtime::{self, Runtime};

use crate::{
    results::Failure,
    support::{Count, Gate, LIMIT, eventually_blocking, limited, two_workers, watched},
    waiting,
};

fn one_thread() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn runtimes_may_follow_each_other() {
    #[coalesce]
    async fn load(id: u32) -> u32 {
        tokio::task::yield_now().await;
        id
    }

    watched(|| {
        for id in 0..10 {
            let runtime = if id % 2 == 0 { one_thread() } else { two_workers() };
            assert_eq!(runtime.block_on(limited(load(id))), id);
            // A new coalescer has new counters.
            assert_eq!(runtime.block_on(load_stats()).executions, 1);
        }
    });
}

#[test]
fn callers_on_several_runtimes_share() {
    #[coalesce(skip(gate, count))]
    async fn load(id: u32, gate: Gate, count: Count) -> u32 {
        count.up();
        gate.pass().await;
        id
    }

    watched(|| {
        let runtimes = [two_workers(), two_workers(), two_workers()];
        let (gate, count) = (Gate::new(), Count::default());
        let calls: Vec<_> = runtimes
            .iter()
            .flat_map(|runtime| (0..10).map(|_| runtime.spawn(load(7, gate.clone(), count.clone()))))
            .collect();
        block_on(waiting_on(&runtimes[0], 30, load_stats));
        gate.open();
        for call in calls {
            assert_eq!(block_on(call).unwrap(), 7);
        }
        assert_eq!(count.get(), 1);
    });
}

async fn waiting_on<F>(runtime: &Runtime, waiters: usize, stats: fn() -> F)
where
    F: Future<Output = shardflight::Stats> + Send + 'static,
{
    runtime.spawn(waiting(waiters, stats)).await.unwrap();
}

#[test]
fn a_call_survives_another_runtimes_end() {
    #[coalesce(skip(gate, count))]
    async fn load(id: u32, gate: Gate, count: Count) -> Result<u32, Failure> {
        count.up();
        gate.pass().await;
        Ok(id)
    }

    watched(|| {
        let (first, second) = (two_workers(), two_workers());
        let (gate, count) = (Gate::new(), Count::default());
        let leader = first.spawn(load(7, gate.clone(), count.clone()));
        block_on(waiting_on(&first, 1, load_stats));
        let follower = second.spawn(load(7, gate.clone(), count.clone()));
        block_on(waiting_on(&first, 2, load_stats));
        eventually_blocking(|| count.get() == 1);
        first.shutdown_background();
        // Its flight's end may have woken it before the runtime came to it.
        assert!(!matches!(block_on(leader), Ok(Ok(_))));
        block_on(waiting_on(&second, 1, load_stats));
        gate.open();
        assert_eq!(block_on(follower).unwrap().unwrap(), 7);
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn calls_survive_many_runtimes_ends() {
    #[coalesce]
    async fn load(id: u32) -> u32 {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        id
    }

    watched(|| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(|| {
                    for id in 0..50 {
                        let runtime = one_thread();
                        assert_eq!(
                            runtime.block_on(async { tokio::time::timeout(LIMIT, load(id % 3)).await.unwrap() }),
                            id % 3
                        );
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_call_on_a_dead_runtime_fails() {
    #[coalesce]
    async fn load(id: u32) -> Result<u32, Failure> {
        Ok(id)
    }
    #[coalesce]
    async fn plain(id: u32) -> u32 {
        id
    }

    watched(|| {
        let runtime = one_thread();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _inside = handle.enter();
        let error = block_on(load(7)).unwrap_err();
        assert!(matches!(error, Failure::NoAnswer(JoinError::Closed | JoinError::Aborted)), "{error:?}");
        let panic = catch_unwind(AssertUnwindSafe(|| block_on(plain(7)))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("`plain` has no answer") && message.contains("the runtime"), "{message}");
    });
}

#[test]
fn a_first_call_without_a_runtime_panics() {
    #[coalesce]
    async fn load(id: u32) -> u32 {
        id
    }

    watched(|| {
        let panic = catch_unwind(|| block_on(load(7))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("no Tokio runtime"), "{message}");
        assert_eq!(block_on(load_stats()).joins, 0);
        // Later calls work.
        assert_eq!(two_workers().block_on(limited(load(7))), 7);
    });
}

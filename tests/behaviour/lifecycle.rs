//! What keeps the shards alive, and what becomes of everything when nothing does.

use std::future::pending;

use shardflight::{Builder, Coalescer, Handle, OnAbandon};
use tokio::runtime::{self, Handle as Runtime};

use crate::support::{
    Count, Gate, assert_pending, eventually, inside, limited, one_aborting_shard, one_shard, returning, settle,
    two_workers, until, watched,
};

/// No shard, no work, nothing in the background.
async fn until_no_task_is_alive() {
    let metrics = Runtime::current().metrics();
    eventually(|| metrics.num_alive_tasks() == 0).await;
}

#[tokio::test]
async fn a_waiting_join_keeps_its_shards() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::new();
        let gate = Gate::new();
        let passed = gate.pass();
        let mut join = coalescer.handle().join(1, move || async move {
            passed.await;
            7
        });
        assert_pending(&mut join);
        drop(coalescer);
        settle().await;
        gate.open();
        assert_eq!(join.await.unwrap(), 7);
        until_no_task_is_alive().await;
    })
    .await;
}

#[tokio::test]
async fn an_unpolled_join_keeps_its_shards() {
    limited(async {
        let join = Coalescer::<i32, i32>::new().handle().join(1, returning(7));
        settle().await;
        assert_eq!(join.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn the_last_handle_takes_the_shards_with_it() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::builder().shards(8).build().unwrap();
        let handles = [coalescer.handle(), coalescer.handle()];
        handles[0].join(1, returning(7)).await.unwrap();
        drop(coalescer);
        settle().await;
        assert_eq!(handles[1].join(1, returning(8)).await.unwrap(), 8);
        drop(handles);
        until_no_task_is_alive().await;
    })
    .await;
}

#[tokio::test]
async fn coalescers_that_come_and_go_leave_no_task_behind() {
    limited(async {
        for n in 0..100 {
            let handle = Coalescer::<i32, i32>::builder().shards(3).build().unwrap().handle();
            if n % 3 > 0 {
                handle.join(1, returning(7)).await.unwrap();
            }
            if n % 3 > 1 {
                let mut leaves = handle.join(1, returning(7));
                assert_pending(&mut leaves);
            }
        }
        until_no_task_is_alive().await;
    })
    .await;
}

/// Callers that leave and take the last handle with them, from work that is under way.
async fn leave_for_good(handle: Handle<i32, i32>) -> (Gate, Count, Count) {
    let (gate, ended, dropped) = (Gate::new(), Count::default(), Count::default());
    for key in 0..10 {
        let (passed, ended, token) = (gate.pass(), ended.clone(), dropped.on_drop());
        let mut join = handle.join(key, move || async move {
            let _token = token;
            passed.await;
            ended.up();
            7
        });
        assert_pending(&mut join);
        until(&handle, |stats| i32::try_from(stats.executions) == Ok(key + 1)).await;
    }
    drop(handle);
    settle().await;
    (gate, ended, dropped)
}

#[tokio::test]
async fn finish_lets_running_work_end_after_the_last_handle_is_gone() {
    limited(async {
        assert_eq!(OnAbandon::default(), OnAbandon::Finish);
        let (gate, ended, dropped) = leave_for_good(one_shard()).await;
        assert_eq!((ended.get(), dropped.get()), (0, 0));
        gate.open();
        until_no_task_is_alive().await;
        assert_eq!((ended.get(), dropped.get()), (10, 10));
    })
    .await;
}

#[tokio::test]
async fn abort_drops_running_work_once_the_last_handle_is_gone() {
    limited(async {
        let (_gate, ended, dropped) = leave_for_good(one_aborting_shard()).await;
        until_no_task_is_alive().await;
        assert_eq!((ended.get(), dropped.get()), (0, 10));
    })
    .await;
}

#[tokio::test]
async fn abort_drops_detached_work_too_once_the_last_handle_is_gone() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard::<i32, i32>(), Count::default());
        let token = dropped.on_drop();
        let mut join = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert_pending(&mut join);
        handle.forget(1).await.unwrap();
        drop((join, handle));
        until_no_task_is_alive().await;
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn work_may_hold_the_last_handle() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let (inner, passed) = (handle.clone(), gate.pass());
        let mut join = handle.join(1, move || async move {
            passed.await;
            inner.join(2, returning(7)).await.unwrap()
        });
        assert_pending(&mut join);
        settle().await;
        drop((join, handle));
        settle().await;
        gate.open();
        until_no_task_is_alive().await;
    })
    .await;
}

#[test]
#[should_panic(expected = "no Tokio runtime")]
fn new_needs_a_runtime_and_says_so() {
    let _ = Coalescer::<i32, i32>::new();
}

#[test]
fn an_entered_runtime_is_enough_to_build() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<i32, i32>);
        assert_eq!(runtime.block_on(handle.join(1, returning(7))).unwrap(), 7);
    });
}

#[test]
fn a_runtime_without_timers_is_enough() {
    watched(|| {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let handle = one_shard::<i32, i32>();
            assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
            assert!(handle.stats().await.is_ok());
        });
    });
}

#[tokio::test]
async fn as_many_shards_as_there_can_be_are_built() {
    limited(async {
        let limit = Builder::<i32, i32>::MAX_SHARDS;
        let handle = Coalescer::<i32, i32>::builder().shards(limit).build().unwrap().handle();
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
        assert_eq!(handle.stats().await.unwrap().per_shard().len(), limit);
    })
    .await;
}

//! What is refused during a shutdown and after it.

use std::{future::pending, time::Duration};

use shardflight::{Closed, Coalescer};
use tokio::runtime::Handle as Runtime;

use super::{SECOND, coalescer, is_closed};
use crate::support::{Gate, assert_pending, eventually, limited, poll_once, returning, settle, until};

#[tokio::test]
async fn joins_are_refused_while_flights_finish() {
    limited(async {
        let coalescer = coalescer(4);
        let (handle, gate) = (coalescer.handle(), Gate::new());
        let mut last = handle.join(1, gate.then(7));
        assert_pending(&mut last);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::MAX));
        assert_pending(&mut shutdown);
        for key in [1, 2] {
            assert!(is_closed(&handle.join(key, returning(8)).await));
        }
        settle().await;
        assert!(is_closed(&handle.join(1, returning(8)).await), "of a key that has a flight");
        assert!(poll_once(&mut last).is_pending());
        gate.open();
        assert_eq!(last.await.unwrap(), 7);
        assert_eq!(shutdown.await.finished, 1);
        assert!(is_closed(&handle.join(1, returning(8)).await));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn questions_are_answered_while_flights_finish() {
    limited(async {
        let coalescer = coalescer(1);
        let (handle, gate) = (coalescer.handle(), Gate::new());
        let mut join = handle.join(1, gate.then(7));
        assert_pending(&mut join);
        let mut shutdown = Box::pin(coalescer.shutdown(20 * SECOND));
        assert_pending(&mut shutdown);
        settle().await;
        assert!(is_closed(&handle.join(2, returning(8)).await));
        // A join that begins after the shutdown reaches no shard, so no counter includes it.
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.executions, stats.rejections, stats.flights), (1, 1, 0, 1));
        assert!(handle.forget(1).await.unwrap());
        gate.open();
        assert_eq!(join.await.unwrap(), 7);
        assert_eq!(shutdown.await.finished, 1);
    })
    .await;
}

#[tokio::test]
async fn everything_is_closed_afterwards() {
    limited(async {
        let coalescer = coalescer(4);
        let handle = coalescer.handle();
        coalescer.shutdown(SECOND).await;
        for key in 0..50 {
            assert!(is_closed(&handle.join(key, returning(7)).await));
        }
        assert_eq!(handle.stats().await.unwrap_err(), Closed);
        assert_eq!(handle.forget(1).await.unwrap_err(), Closed);
        assert_eq!(handle.forget_all().await.unwrap_err(), Closed);
        assert_eq!(handle.reset_stats().await.unwrap_err(), Closed);
        assert_eq!(handle.inspect(1).await.unwrap_err(), Closed);
        assert_eq!(coalescer.inspect(1).await.unwrap_err(), Closed);
    })
    .await;
}

#[tokio::test]
async fn a_bypassed_join_is_refused_too() {
    limited(async {
        let switched_off = coalescer(4);
        switched_off.handle().set_enabled(false);
        let rolled_back = Coalescer::<i32, i32>::builder().rollout(0.0).build().unwrap();
        for coalescer in [switched_off, rolled_back] {
            coalescer.shutdown(Duration::ZERO).await;
            assert!(is_closed(&coalescer.handle().join(1, returning(7)).await));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_join_made_by_work_is_refused() {
    limited(async {
        let coalescer = coalescer(2);
        let (handle, gate) = (coalescer.handle(), Gate::new());
        let passed = gate.pass();
        let mut join = coalescer.handle().join(1, move || async move {
            passed.await;
            i32::from(is_closed(&handle.join(2, returning(7)).await))
        });
        assert_pending(&mut join);
        let mut shutdown = Box::pin(coalescer.shutdown(20 * SECOND));
        assert_pending(&mut shutdown);
        settle().await;
        gate.open();
        assert_eq!(join.await.unwrap(), 1);
        assert_eq!(shutdown.await.finished, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_outlives_a_shutdown() {
    limited(async {
        let coalescer = coalescer(8);
        let handle = coalescer.handle();
        let mut joins: Vec<_> = (0..100).map(|key| handle.join(key, pending)).collect();
        joins.iter_mut().for_each(assert_pending);
        until(&handle, |stats| stats.flights == 100).await;
        let metrics = Runtime::current().metrics();
        assert!(metrics.num_alive_tasks() >= 100, "each flight has a task");
        assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 100);
        eventually(|| metrics.num_alive_tasks() == 0).await;
        // Handles are left.
        assert!(is_closed(&handle.join(1, returning(7)).await));
    })
    .await;
}

//! A shutdown that the work of one of the coalescer's own flights begins.

use std::{sync::Arc, time::Duration};

use futures::{executor::block_on, future::pending};
use shardflight::{Coalescer, JoinError, RunWork, Shutdown};

use crate::support::{Gate, assert_pending, inside, limited, returning, settle, two_workers, watched};

fn without_deadline(run_work: RunWork) -> Arc<Coalescer<i32, i32>> {
    Arc::new(Coalescer::builder().shards(1).no_flight_deadline().run_work(run_work).build().unwrap())
}

async fn shut_down_by_itself(coalescer: Arc<Coalescer<i32, i32>>) -> i32 {
    assert_eq!(coalescer.shutdown(Duration::MAX).await, Shutdown::default());
    7
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_shuts_its_coalescer_down_is_answered() {
    for run_work in [RunWork::Detached, RunWork::InPlace] {
        limited(async {
            let coalescer = without_deadline(run_work);
            let (handle, own) = (coalescer.handle(), Arc::clone(&coalescer));
            assert_eq!(handle.join(1, move || shut_down_by_itself(own)).await.unwrap(), 7);
            assert!(matches!(handle.join(2, returning(7)).await, Err(JoinError::Closed)));
            coalescer.shutdown(Duration::MAX).await;
            assert!(handle.stats().await.is_err(), "closed with its last flight");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn flights_beside_one_that_shuts_down_end_in_their_own_time() {
    limited(async {
        let (coalescer, gate) = (without_deadline(RunWork::Detached), Gate::new());
        let (handle, own) = (coalescer.handle(), Arc::clone(&coalescer));
        let beside = tokio::spawn(handle.join(2, gate.then(2)));
        settle().await;
        assert_eq!(handle.join(1, move || shut_down_by_itself(own)).await.unwrap(), 7);
        let awaited = {
            let coalescer = Arc::clone(&coalescer);
            tokio::spawn(async move { coalescer.shutdown(Duration::MAX).await })
        };
        settle().await;
        assert!(!awaited.is_finished() && !beside.is_finished());
        gate.open();
        assert_eq!(beside.await.unwrap().unwrap(), 2);
        awaited.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_waits_for_one_that_shuts_down_is_answered() {
    limited(async {
        let coalescer = without_deadline(RunWork::Detached);
        let (handle, inner, own) = (coalescer.handle(), coalescer.handle(), Arc::clone(&coalescer));
        let outer =
            handle.join(1, move || async move { inner.join(2, move || shut_down_by_itself(own)).await.unwrap() });
        assert_eq!(outer.await.unwrap(), 7);
        coalescer.shutdown(Duration::MAX).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_was_polled_elsewhere_before_work_awaits_it_is_the_works() {
    limited(async {
        let coalescer = without_deadline(RunWork::Detached);
        let (handle, own, gate) = (coalescer.handle(), Arc::clone(&coalescer), Gate::new());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let passed = gate.pass();
        let mut join = handle.join(1, move || async move {
            let shutdown: std::pin::Pin<Box<dyn Future<Output = Shutdown> + Send>> = receiver.await.unwrap();
            shutdown.await;
            passed.await;
            7
        });
        assert_pending(&mut join);
        let mut shutdown: std::pin::Pin<Box<dyn Future<Output = Shutdown> + Send>> =
            Box::pin(async move { own.shutdown(Duration::MAX).await });
        assert_pending(&mut shutdown);
        assert!(sender.send(shutdown).is_ok());
        gate.open();
        assert_eq!(join.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_shutdown_holds_for_the_work_that_began_it() {
    limited(async {
        let coalescer = without_deadline(RunWork::Detached);
        let (handle, own) = (coalescer.handle(), Arc::clone(&coalescer));
        let answer = handle.join(1, move || async move {
            own.shutdown(Duration::from_secs(5)).await;
            pending().await
        });
        let begun = tokio::time::Instant::now();
        assert!(matches!(answer.await, Err(JoinError::Closed)));
        assert_eq!(begun.elapsed().as_secs(), 5);
    })
    .await;
}

#[test]
fn blocking_work_that_shuts_its_coalescer_down_is_answered() {
    watched(|| {
        let runtime = two_workers();
        let coalescer = inside(&runtime, || without_deadline(RunWork::Detached));
        let own = Arc::clone(&coalescer);
        assert_eq!(coalescer.handle().blocking_join(1, move || block_on(shut_down_by_itself(own))).unwrap(), 7);
        block_on(coalescer.shutdown(Duration::MAX));
    });
}

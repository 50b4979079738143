//! No caller gets a result that was published before its join was first polled (G3).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures::future::join_all;
use shardflight::{Coalescer, Handle};
use tokio::task::{JoinSet, yield_now};

use crate::support::{Count, at_rest, limited, one_shard, returning};

/// Callers in closed loops. Whatever one caller has got is published, and too old for every join made after that.
async fn no_caller_of_a_closed_loop_gets_a_published_result(yields: usize) {
    let handle: Handle<i32, u64> = Coalescer::new().handle();
    let (clock, published) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (handle, clock, published) = (handle.clone(), Arc::clone(&clock), Arc::clone(&published));
        callers.spawn(async move {
            for _ in 0..500 {
                let clock = Arc::clone(&clock);
                let join = handle.join(1, move || async move {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    clock.fetch_add(1, Ordering::SeqCst)
                });
                let too_old = published.load(Ordering::SeqCst);
                let result = join.await.unwrap();
                assert!(result > too_old, "{result} was given away when {too_old} was out already");
                published.fetch_max(result, Ordering::SeqCst);
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(at_rest(&handle).await.joins, 16 * 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_over_ready_work_gets_no_stale_answer() {
    limited(no_caller_of_a_closed_loop_gets_a_published_result(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_over_suspending_work_gets_no_stale_answer() {
    limited(no_caller_of_a_closed_loop_gets_a_published_result(1)).await;
}

#[tokio::test]
async fn a_closed_loop_on_one_thread_gets_no_stale_answer() {
    limited(no_caller_of_a_closed_loop_gets_a_published_result(1)).await;
}

#[tokio::test]
async fn a_join_made_before_and_polled_after_an_answer_starts_anew() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let later = handle.join(1, returning(2));
        assert_eq!(handle.join(1, returning(1)).await.unwrap(), 1);
        assert_eq!(later.await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_flight_being_answered_takes_no_callers() {
    limited(async {
        let handle = one_shard::<i32, usize>();
        let executions = Count::default();
        let work = || {
            let executions = executions.clone();
            move || async move { executions.up() }
        };
        // More callers than are answered at a time; each one asks again the moment it knows.
        let answers = join_all((0..2_000).map(|_| async {
            let first = handle.join(1, work()).await.unwrap();
            let second = handle.join(1, work()).await.unwrap();
            (first, second)
        }))
        .await;
        for (first, second) in answers {
            assert_eq!(first, 1);
            assert!(second > 1);
        }
    })
    .await;
}

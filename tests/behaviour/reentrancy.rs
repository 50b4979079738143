//! Work that waits for its own flight (G12).

use std::sync::Arc;

use shardflight::{Coalescer, Handle, JoinError};
use tokio::sync::Barrier;

use crate::support::{at_rest, inside, limited, two_workers, watched};

type Answer = Result<u32, JoinError>;

fn coalescer(shards: usize) -> Handle<u32, Arc<Answer>> {
    // Without a deadline, so that a circle nobody finds is a hang and not a timeout.
    Coalescer::builder().shards(shards).no_flight_deadline().build().unwrap().handle()
}

/// What a join of work gives its own flight: the answer it got, or the error.
fn flat(answer: Result<Arc<Answer>, JoinError>) -> Answer {
    answer.and_then(|answer| Answer::clone(&answer))
}

fn is_reentrant(answer: &Answer) -> bool {
    matches!(answer, Err(JoinError::Reentrant))
}

#[tokio::test]
async fn work_that_joins_its_own_key_is_told_so() {
    limited(async {
        let handle = coalescer(4);
        let inner = handle.clone();
        let answer = handle
            .join(1_u32, move || async move { Arc::new(flat(inner.join(1_u32, || async { Arc::new(Ok(0)) }).await)) });
        assert!(is_reentrant(&flat(answer.await)));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.rejections), (1, 1));
    })
    .await;
}

/// Work of `key` joins the next key, and so on; the work of the last joins the first.
fn chain(handle: Handle<u32, Arc<Answer>>, key: u32, last: u32) -> futures::future::BoxFuture<'static, Answer> {
    Box::pin(async move {
        let inner = handle.clone();
        let next = if key == last { 0 } else { key + 1 };
        let joined = handle.join(key, move || async move {
            let answer = if key == last {
                flat(inner.join(next, || async { Arc::new(Ok(0)) }).await)
            } else {
                chain(inner, next, last).await
            };
            Arc::new(answer)
        });
        flat(joined.await)
    })
}

#[tokio::test]
async fn a_circle_by_way_of_other_keys_is_found() {
    limited(async {
        for length in [2, 3, 7, 20] {
            let handle = coalescer(4);
            assert!(is_reentrant(&chain(handle.clone(), 0, length - 1).await), "{length} keys");
            at_rest(&handle).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_flights_that_different_callers_lead_is_found() {
    limited(async {
        for keys in [2_u32, 3, 5] {
            let handle = coalescer(4);
            // Everybody leads a flight before anybody's work joins the next one.
            let barrier = Arc::new(Barrier::new(keys as usize));
            let leaders: Vec<_> = (0..keys)
                .map(|key| {
                    let (handle, barrier) = (handle.clone(), Arc::clone(&barrier));
                    tokio::spawn(async move {
                        let inner = handle.clone();
                        let work = move || async move {
                            barrier.wait().await;
                            Arc::new(flat(inner.join((key + 1) % keys, || async { Arc::new(Ok(0)) }).await))
                        };
                        flat(handle.join(key, work).await)
                    })
                })
                .collect();
            for leader in leaders {
                assert!(is_reentrant(&leader.await.unwrap()), "the answer travels back along the circle");
            }
            let stats = at_rest(&handle).await;
            assert!(stats.rejections >= 1, "{stats:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn others_on_the_key_get_what_its_work_made_of_the_error() {
    limited(async {
        let handle = coalescer(1);
        let inner = handle.clone();
        let leader = handle.join(1_u32, move || async move {
            let own = inner.join(1_u32, || async { Arc::new(Ok(0)) }).await;
            Arc::new(if own.is_err() { Ok(7) } else { Ok(8) })
        });
        let follower = handle.join(1_u32, || async { Arc::new(Ok(9)) });
        let (leader, follower) = tokio::join!(leader, follower);
        assert_eq!((flat(leader).unwrap(), flat(follower).unwrap()), (7, 7));
        assert_eq!(flat(handle.join(1_u32, || async { Arc::new(Ok(10)) }).await).unwrap(), 10);
    })
    .await;
}

#[tokio::test]
async fn work_may_join_other_keys_however_deep() {
    limited(async {
        let handle = coalescer(4);
        let deep = |depth: u32| {
            fn go(
                handle: Handle<u32, Arc<Answer>>,
                key: u32,
                depth: u32,
            ) -> futures::future::BoxFuture<'static, Answer> {
                Box::pin(async move {
                    let inner = handle.clone();
                    let work = move || async move {
                        Arc::new(if key == depth { Ok(key) } else { go(inner, key + 1, depth).await })
                    };
                    flat(handle.join(key, work).await)
                })
            }
            go(handle.clone(), 0, depth)
        };
        let (one, other) = tokio::join!(deep(30), deep(30));
        assert_eq!((one.unwrap(), other.unwrap()), (30, 30));
        assert_eq!(at_rest(&handle).await.rejections, 0);
    })
    .await;
}

#[tokio::test]
async fn a_task_that_work_spawns_is_a_caller_like_any_other() {
    limited(async {
        let handle = coalescer(1);
        let inner = handle.clone();
        let leader = handle.join(1_u32, move || async move {
            tokio::spawn(async move { inner.join(1_u32, || async { Arc::new(Ok(8)) }).await });
            tokio::task::yield_now().await;
            Arc::new(Ok(7))
        });
        assert_eq!(flat(leader.await).unwrap(), 7);
        assert_eq!(at_rest(&handle).await.rejections, 0);
    })
    .await;
}

#[tokio::test]
async fn work_may_join_its_own_key_of_another_coalescer_or_after_forgetting_it() {
    limited(async {
        let (handle, other) = (coalescer(1), coalescer(1));
        let inner = handle.clone();
        let answer = handle.join(1_u32, move || async move {
            let elsewhere = flat(other.join(1_u32, || async { Arc::new(Ok(20)) }).await).unwrap();
            assert!(inner.forget(1_u32).await.unwrap());
            let anew = flat(inner.join(1_u32, || async { Arc::new(Ok(1)) }).await).unwrap();
            Arc::new(Ok(elsewhere + anew))
        });
        assert_eq!(flat(answer.await).unwrap(), 21);
    })
    .await;
}

#[test]
fn blocking_work_that_joins_its_own_key_is_told_so() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || coalescer(2));
        let inner = handle.clone();
        let answer =
            handle.blocking_join(1_u32, move || Arc::new(flat(inner.blocking_join(1_u32, || Arc::new(Ok(0))))));
        assert!(is_reentrant(&flat(answer)));
    });
}

//! Work that panics: all callers of its flight get the panic, later ones do not (G5, G8).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{Ready, join_all, ready};
use shardflight::{JoinError, TryJoinError};

use crate::support::{
    assert_pending, at_rest, limited, one_aborting_shard, one_shard, panic_quietly, returning, settle, until,
};

fn message(error: &JoinError) -> &str {
    match error {
        JoinError::Panicked(panic) => panic.message(),
        other => panic!("expected a panic, got {other:?}"),
    }
}

#[tokio::test]
async fn a_panic_in_the_closure_reaches_every_caller() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let answers =
            join_all((0..1_000).map(|_| handle.join(1, || -> Ready<i32> { panic_quietly("no such table") }))).await;
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(message(&error), "no such table");
            assert!(error.to_string().contains("no such table"));
        }
        assert_eq!(at_rest(&handle).await.executions, 1);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_the_future_reaches_every_caller() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let answers = join_all((0..1_000).map(|attempt| {
            handle.join(1, move || async move {
                tokio::task::yield_now().await;
                panic_quietly(format!("attempt {attempt}"))
            })
        }))
        .await;
        for answer in answers {
            assert_eq!(message(&answer.unwrap_err()), "attempt 0");
        }
        assert_eq!(at_rest(&handle).await.panics, 1);
    })
    .await;
}

#[tokio::test]
async fn an_ordinary_panic_keeps_its_message() {
    limited(async {
        let work = || async { panic!("no such {}", "row") };
        let error = one_shard::<i32, i32>().join(1, work).await.unwrap_err();
        assert_eq!(message(&error), "no such row");
    })
    .await;
}

#[tokio::test]
async fn the_join_after_a_panic_starts_afresh() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        for round in 0..100 {
            let broken = handle.join(1, || async { panic_quietly("broken") }).await;
            assert_eq!(message(&broken.unwrap_err()), "broken");
            assert_eq!(handle.join(1, returning(round)).await.unwrap(), round);
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_without_callers_is_contained() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut leader = handle.join(1, || async {
            tokio::task::yield_now().await;
            panic_quietly("unheard")
        });
        assert_pending(&mut leader);
        until(&handle, |stats| stats.executions == 1).await;
        drop(leader);
        assert_eq!(at_rest(&handle).await.panics, 1);
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_payload_that_is_no_string_is_a_panic_all_the_same() {
    limited(async {
        let error = one_shard::<i32, i32>().join(1, || async { panic_quietly(42) }).await.unwrap_err();
        assert!(!message(&error).is_empty());
        assert!(!error.to_string().is_empty());
    })
    .await;
}

/// Panics when dropped, and its payload in its own drop again, twice.
struct Matryoshka(i32);

impl Drop for Matryoshka {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_quietly(Matryoshka(self.0 - 1));
        }
    }
}

#[tokio::test]
async fn a_payload_that_panics_when_dropped_is_contained() {
    limited(async {
        for depth in [1, 2] {
            let handle = one_shard::<i32, i32>();
            let answers =
                join_all((0..3).map(|_| handle.join(1, move || async move { panic_quietly(Matryoshka(depth)) }))).await;
            assert!(answers.into_iter().all(|answer| matches!(answer, Err(JoinError::Panicked(_)))));
            assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
            at_rest(&handle).await;
        }
    })
    .await;
}

#[tokio::test]
async fn try_join_tells_a_panic_from_an_error_of_the_work() {
    limited(async {
        let handle = one_shard::<i32, Result<i32, String>>();
        let panicked = handle.try_join(1, || async { panic_quietly("broken") }).await;
        assert!(matches!(panicked, Err(TryJoinError::Join(JoinError::Panicked(_)))));
    })
    .await;
}

/// Ready at once, and panics when it is dropped.
struct DropsBadly<T>(T);

impl<T: Copy + Unpin> Future for DropsBadly<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        Poll::Ready(self.0)
    }
}

impl<T> Drop for DropsBadly<T> {
    fn drop(&mut self) {
        panic_quietly("in a drop");
    }
}

#[tokio::test]
async fn a_value_survives_the_panicking_drop_of_its_work() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let answers = tokio::join!(handle.join(1, || DropsBadly(7)), handle.join(1, || DropsBadly(0)));
        assert_eq!((answers.0.unwrap(), answers.1.unwrap()), (7, 7));
        assert_eq!(at_rest(&handle).await.panics, 0);
    })
    .await;
}

#[tokio::test]
async fn an_uncalled_closure_that_panics_when_dropped_is_contained() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let answers = join_all((0..1_000).map(|n| {
            let hostile = (n > 0).then(|| DropsBadly(()));
            handle.join(1, move || {
                let _hostile = hostile;
                ready(7)
            })
        }))
        .await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 7));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn departed_callers_closures_that_panic_when_dropped_are_contained() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut leader = handle.join(1, std::future::pending);
        assert_pending(&mut leader);
        for _ in 0..10 {
            let hostile = DropsBadly(());
            let mut follower = handle.join(1, move || {
                let _hostile = hostile;
                ready(7)
            });
            assert_pending(&mut follower);
            settle().await;
            drop(follower);
        }
        assert_eq!(until(&handle, |stats| stats.departures == 10).await.waiters, 1);
        assert_eq!(handle.join(2, returning(7)).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn aborted_work_that_panics_when_dropped_is_contained() {
    limited(async {
        let handle = one_aborting_shard::<i32, Arc<i32>>();
        let mut leader = handle.join(1, || async {
            let _hostile = DropsBadly(());
            std::future::pending().await
        });
        assert_pending(&mut leader);
        until(&handle, |stats| stats.executions == 1).await;
        drop(leader);
        assert_eq!(at_rest(&handle).await.aborts, 1);
        assert_eq!(*handle.join(1, || async { Arc::new(7) }).await.unwrap(), 7);
    })
    .await;
}

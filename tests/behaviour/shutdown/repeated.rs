//! Several shutdowns of one coalescer, and shutdowns whose future is dropped.

use std::{future::pending, time::Duration};

use futures::future::join_all;
use shardflight::Shutdown;
use tokio::time::{Instant, advance};

use super::{SECOND, coalescer, is_closed};
use crate::support::{Count, assert_pending, eventually, limited, poll_once, returning, settle};

#[tokio::test]
async fn a_second_shutdown_finds_no_flights() {
    limited(async {
        let coalescer = coalescer(4);
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        let first = coalescer.shutdown(Duration::ZERO).await;
        assert_eq!((first.finished, first.cut), (0, 1));
        for again in [Duration::ZERO, SECOND, Duration::MAX] {
            assert_eq!(coalescer.shutdown(again).await, Shutdown::default());
        }
        assert!(is_closed(&join.await));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_shutdowns_share_the_earliest_deadline_and_its_result() {
    limited(async {
        let coalescer = coalescer(1);
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        let begun = Instant::now();
        let several = [9, 2, 5].map(|seconds| coalescer.shutdown(seconds * SECOND));
        for shutdown in join_all(several).await {
            assert_eq!((shutdown.finished, shutdown.cut), (0, 1));
        }
        assert_eq!(begun.elapsed().as_secs(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_later_call_shortens_the_grace() {
    limited(async {
        let coalescer = coalescer(1);
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        let mut long = Box::pin(coalescer.shutdown(Duration::MAX));
        assert_pending(&mut long);
        settle().await;
        advance(SECOND).await;
        assert!(poll_once(&mut long).is_pending());
        assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 1);
        assert_eq!(long.await.cut, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_goes_on_when_its_future_is_dropped() {
    limited(async {
        let coalescer = coalescer(4);
        let handle = coalescer.handle();
        let mut join = handle.join(1, pending);
        assert_pending(&mut join);
        let mut shutdown = Box::pin(coalescer.shutdown(SECOND));
        assert_pending(&mut shutdown);
        drop(shutdown);
        let begun = Instant::now();
        assert!(is_closed(&join.await));
        assert_eq!(begun.elapsed().as_secs(), 1);
        assert!(is_closed(&handle.join(2, returning(7)).await));
    })
    .await;
}

#[tokio::test]
async fn an_unpolled_shutdown_does_nothing() {
    limited(async {
        let coalescer = coalescer(1);
        drop(coalescer.shutdown(Duration::ZERO));
        assert_eq!(coalescer.handle().join(1, returning(7)).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn the_last_handle_ends_the_grace() {
    limited(async {
        let (coalescer, dropped) = (coalescer(4), Count::default());
        let token = dropped.on_drop();
        let mut join = coalescer.handle().join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert_pending(&mut join);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::MAX));
        assert_pending(&mut shutdown);
        settle().await;
        drop((shutdown, join));
        settle().await;
        assert_eq!(dropped.get(), 0);
        // No shard is left to cut the flight at the shutdown's deadline.
        drop(coalescer);
        eventually(|| dropped.get() == 1).await;
    })
    .await;
}

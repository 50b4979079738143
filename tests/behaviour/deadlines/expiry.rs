//! What expires with a flight under `OnExpiry::Fail`, and when.

use std::{future::pending, time::Duration};

use futures::future::join_all;
use shardflight::OnExpiry;
use tokio::time::{Instant, advance, sleep};

use super::{SECOND, timed_out, with_deadline};
use crate::support::{
    Count, Wall, assert_pending, at_rest, eventually, inside, limited, returning, settle, two_workers, until, watched,
};

#[tokio::test(start_paused = true)]
async fn all_callers_time_out_at_the_deadline() {
    limited(async {
        let handle = with_deadline(5 * SECOND, OnExpiry::Fail);
        let begun = Instant::now();
        for answer in join_all((0..10).map(|_| handle.join(1, pending))).await {
            assert!(timed_out(&answer, 5 * SECOND), "{answer:?}");
        }
        assert_eq!(begun.elapsed().as_secs(), 5);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.timeouts, stats.executions, stats.coalesced, stats.rejections), (1, 1, 9, 0));
        assert_eq!((stats.aborts, stats.departures), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_follower_shares_the_deadline() {
    limited(async {
        let handle = with_deadline(5 * SECOND, OnExpiry::Fail);
        let mut leader = handle.join(1, pending);
        assert_pending(&mut leader);
        settle().await;
        advance(4 * SECOND).await;
        let begun = Instant::now();
        assert!(timed_out(&handle.join(1, pending).await, 5 * SECOND));
        assert_eq!(begun.elapsed().as_secs(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn expired_work_is_dropped() {
    limited(async {
        let (handle, dropped) = (with_deadline(SECOND, OnExpiry::Fail), Count::default());
        let token = dropped.on_drop();
        let answer = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert!(timed_out(&answer.await, SECOND));
        eventually(|| dropped.get() == 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_next_join_after_an_expiry_starts_anew() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Fail);
        for _ in 0..3 {
            assert!(timed_out(&handle.join(1, pending).await, SECOND));
            assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
        }
        assert_eq!(at_rest(&handle).await.executions, 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_at_the_deadline_gives_one_answer_to_all() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Fail);
        for _ in 0..20 {
            let tie = || async {
                sleep(SECOND).await;
                7
            };
            let answers = join_all((0..5).map(|_| handle.join(1, tie))).await;
            let are_values = answers.iter().all(|answer| matches!(answer, Ok(7)));
            assert!(are_values || answers.iter().all(|answer| timed_out(answer, SECOND)), "{answers:?}");
            settle().await;
            assert_eq!(handle.join(1, returning(8)).await.unwrap(), 8);
        }
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.joins), (40, 120));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn staggered_flights_expire_each_at_its_time() {
    limited(async {
        let handle = with_deadline(10 * SECOND, OnExpiry::Fail);
        let tasks: Vec<_> = (0..100_u64)
            .map(|n| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(50 * n)).await;
                    let begun = Instant::now();
                    let work = move || async move { if n % 3 == 0 { 7 } else { pending().await } };
                    let key = i32::try_from(n).unwrap();
                    (n, handle.join(key, work).await, begun.elapsed())
                })
            })
            .collect();
        for task in tasks {
            let (n, answer, took) = task.await.unwrap();
            if n % 3 == 0 {
                assert_eq!(answer.unwrap(), 7);
            } else {
                assert!(timed_out(&answer, 10 * SECOND));
                assert!((10_000..=10_001).contains(&took.as_millis()), "{took:?}");
            }
        }
        assert_eq!(at_rest(&handle).await.timeouts, 66);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_flights_expire_at_once() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Fail);
        for answer in join_all((0..1_000).map(|key| handle.join(key, pending))).await {
            assert!(timed_out(&answer, SECOND));
        }
        assert_eq!(at_rest(&handle).await.timeouts, 1_000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_flight_expires_like_any_other() {
    limited(async {
        let (handle, dropped) = (with_deadline(SECOND, OnExpiry::Fail), Count::default());
        let token = dropped.on_drop();
        let mut leaves = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert_pending(&mut leaves);
        settle().await;
        drop(leaves);
        sleep(2 * SECOND).await;
        assert_eq!(at_rest(&handle).await.timeouts, 1);
        eventually(|| dropped.get() == 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_flight_expires_like_any_other() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Fail);
        let mut old = handle.join(1, pending);
        assert_pending(&mut old);
        handle.forget(1).await.unwrap();
        assert!(timed_out(&old.await, SECOND));
    })
    .await;
}

#[test]
fn callers_of_hung_blocking_work_time_out() {
    watched(|| {
        let (runtime, deadline) = (two_workers(), Duration::from_millis(20));
        let handle = inside(&runtime, || with_deadline(deadline, OnExpiry::Fail));
        let (wall, _opener) = Wall::new();
        let answer = handle.blocking_join(1, move || {
            wall.block();
            7
        });
        assert!(timed_out(&answer, deadline), "{answer:?}");
        // The deadline is on the real clock: a loaded machine may miss it a few times.
        let mut timeouts = 1;
        loop {
            match handle.blocking_join(1, || 8) {
                Ok(value) => break assert_eq!(value, 8),
                late => assert!(timed_out(&late, deadline), "{late:?}"),
            }
            timeouts += 1;
            assert!(timeouts < 20, "the key is not served any more");
        }
        assert_eq!(runtime.block_on(until(&handle, |stats| stats.flights == 0)).timeouts, timeouts);
    });
}

//! No flight outlives its deadline unnoticed (G11).

use std::{future::pending, time::Duration};

use futures::future::join_all;
use shardflight::{Coalescer, Handle, JoinError, OnExpiry};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::support::{
    Count, Gate, Wall, at_rest, embark, inside, limited, one_shard, poll_once, settle, two_workers, until, watched,
};

const SECOND: Duration = Duration::from_secs(1);

fn limited_to(limit: Duration, on_expiry: OnExpiry) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(1).max_flight_duration(limit).on_expiry(on_expiry);
    builder.build().unwrap().handle()
}

fn timed_out(answer: &Result<i32, JoinError>, limit: Duration) -> bool {
    matches!(answer, Err(JoinError::TimedOut { after }) if *after == limit)
}

#[tokio::test(start_paused = true)]
async fn every_caller_of_an_overdue_flight_is_told_so_when_its_time_is_up() {
    limited(async {
        let handle = limited_to(5 * SECOND, OnExpiry::Fail);
        let begun = Instant::now();
        for answer in join_all((0..10).map(|_| handle.join(1, pending))).await {
            assert!(timed_out(&answer, 5 * SECOND), "{answer:?}");
        }
        assert_eq!(begun.elapsed().as_secs(), 5);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.timeouts, stats.executions, stats.coalesced, stats.rejections), (1, 1, 9, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_has_no_more_time_than_its_flight_has_left() {
    limited(async {
        let handle = limited_to(5 * SECOND, OnExpiry::Fail);
        let mut leader = handle.join(1, pending);
        embark(&mut leader);
        settle().await;
        advance(4 * SECOND).await;
        let begun = Instant::now();
        assert!(timed_out(&handle.join(1, pending).await, 5 * SECOND));
        assert_eq!(begun.elapsed().as_secs(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_is_not_cut_before_its_time() {
    limited(async {
        let handle = limited_to(5 * SECOND, OnExpiry::Fail);
        let just_in_time = || async {
            sleep(Duration::from_millis(4_999)).await;
            7
        };
        assert_eq!(handle.join(1, just_in_time).await.unwrap(), 7);
        assert_eq!(at_rest(&handle).await.timeouts, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn thirty_seconds_are_what_there_is_by_default() {
    timeout(100 * SECOND, async {
        let handle = one_shard::<i32, i32>();
        let begun = Instant::now();
        assert!(timed_out(&handle.join(1, pending).await, 30 * SECOND));
        assert_eq!(begun.elapsed().as_secs(), 30);
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_a_flight_takes_as_long_as_it_likes() {
    let handle = Coalescer::<i32, i32>::builder().shards(1).no_flight_deadline().build().unwrap().handle();
    let slow = || async {
        sleep(1_000_000 * SECOND).await;
        7
    };
    assert_eq!(timeout(2_000_000 * SECOND, handle.join(1, slow)).await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn deadlines_beyond_what_a_clock_can_tell_are_as_good_as_none() {
    for limit in [Duration::MAX, Duration::from_secs(u64::MAX / 4), Duration::from_secs(1 << 40)] {
        limited(async {
            let handle = limited_to(limit, OnExpiry::Fail);
            let slow = || async {
                sleep(10 * SECOND).await;
                7
            };
            assert_eq!(handle.join(1, slow).await.unwrap(), 7);
            assert_eq!(at_rest(&handle).await.timeouts, 0);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_work_of_an_overdue_flight_is_dropped() {
    limited(async {
        let (handle, dropped) = (limited_to(SECOND, OnExpiry::Fail), Count::default());
        let token = dropped.on_drop();
        let answer = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert!(timed_out(&answer.await, SECOND));
        settle().await;
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_next_join_after_an_expiry_starts_anew() {
    limited(async {
        let handle = limited_to(SECOND, OnExpiry::Fail);
        for _ in 0..3 {
            assert!(timed_out(&handle.join(1, pending).await, SECOND));
            assert_eq!(handle.join(1, || async { 7 }).await.unwrap(), 7);
        }
        assert_eq!(at_rest(&handle).await.executions, 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_of_the_very_moment_of_the_deadline_is_answered_once_and_remembered_by_nobody() {
    limited(async {
        let handle = limited_to(SECOND, OnExpiry::Fail);
        for _ in 0..20 {
            let photo_finish = || async {
                sleep(SECOND).await;
                7
            };
            for answer in join_all((0..5).map(|_| handle.join(1, photo_finish))).await {
                assert!(matches!(answer, Ok(7)) || timed_out(&answer, SECOND), "{answer:?}");
            }
            settle().await;
            assert_eq!(handle.join(1, || async { 8 }).await.unwrap(), 8);
        }
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.joins), (40, 120));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn detached_callers_still_get_their_result_and_new_ones_start_anew() {
    limited(async {
        let handle = limited_to(SECOND, OnExpiry::Detach);
        let gate = Gate::new();
        let mut old = handle.join(1, gate.then(1));
        embark(&mut old);
        settle().await;
        advance(2 * SECOND).await;
        settle().await;
        let mut new = handle.join(1, gate.then(2));
        embark(&mut new);
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.timeouts, stats.flights, stats.executions), (1, 2, 2));
        assert_eq!(stats.oldest_flight, Some(2 * SECOND));
        assert!(poll_once(&mut old).is_pending());
        gate.open();
        assert_eq!((old.await.unwrap(), new.await.unwrap()), (1, 2));
        assert_eq!(at_rest(&handle).await.timeouts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_result_does_not_end_the_flight_that_came_after() {
    limited(async {
        let handle = limited_to(SECOND, OnExpiry::Detach);
        let (early, late) = (Gate::new(), Gate::new());
        let passed = early.pass();
        let mut old = handle.join(1, move || async move {
            passed.await;
            1
        });
        embark(&mut old);
        settle().await;
        advance(2 * SECOND).await;
        settle().await;
        let passed = late.pass();
        let mut new = handle.join(1, move || async move {
            passed.await;
            2
        });
        embark(&mut new);
        settle().await;
        early.open();
        assert_eq!(old.await.unwrap(), 1);
        let mut follower = handle.join(1, || async { 3 });
        embark(&mut follower);
        settle().await;
        assert!(poll_once(&mut new).is_pending() && poll_once(&mut follower).is_pending());
        late.open();
        assert_eq!((new.await.unwrap(), follower.await.unwrap()), (2, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn staggered_flights_go_one_by_one_when_each_is_due() {
    limited(async {
        let handle = limited_to(10 * SECOND, OnExpiry::Fail);
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
async fn a_thousand_flights_that_are_due_at_once_all_go() {
    limited(async {
        let handle = limited_to(SECOND, OnExpiry::Fail);
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
        let (handle, dropped) = (limited_to(SECOND, OnExpiry::Fail), Count::default());
        let token = dropped.on_drop();
        let mut hasty = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        embark(&mut hasty);
        settle().await;
        drop(hasty);
        sleep(2 * SECOND).await;
        assert_eq!((dropped.get(), at_rest(&handle).await.timeouts), (1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_flight_expires_like_any_other() {
    limited(async {
        let handle = limited_to(SECOND, OnExpiry::Fail);
        let mut old = handle.join(1, pending);
        embark(&mut old);
        handle.forget(1).await.unwrap();
        assert!(timed_out(&old.await, SECOND));
    })
    .await;
}

#[test]
fn callers_of_hung_blocking_work_are_let_go_at_the_deadline() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || limited_to(SECOND, OnExpiry::Fail));
        let (wall, _opener) = Wall::new();
        let answer = handle.blocking_join(1, move || {
            wall.block();
            7
        });
        assert!(timed_out(&answer, SECOND), "{answer:?}");
        assert_eq!(handle.blocking_join(1, || 8).unwrap(), 8);
        assert_eq!(runtime.block_on(until(&handle, |stats| stats.flights == 0)).timeouts, 1);
    });
}

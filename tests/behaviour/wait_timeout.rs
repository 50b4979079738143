//! The wait timeout of one caller, `with_max_wait`, and other timeouts around a join.

use std::{future::pending, time::Duration};

use futures::{executor::block_on, future::join_all};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::support::{
    Count, Gate, Wall, assert_pending, at_rest, eventually, inside, limited, one_aborting_shard, one_shard, returning,
    two_workers, until, watched,
};

const SECOND: Duration = Duration::from_secs(1);

fn timed_out(answer: &Result<i32, JoinError>, limit: Duration) -> bool {
    matches!(answer, Err(JoinError::TimedOut { after }) if *after == limit)
}

#[tokio::test(start_paused = true)]
async fn only_the_caller_with_the_timeout_gives_up() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let work = || async {
            sleep(5 * SECOND).await;
            7
        };
        let short = handle.with_max_wait(SECOND);
        let begun = Instant::now();
        let gives_up = async {
            let answer = short.join(1, work).await;
            (answer, begun.elapsed())
        };
        let ((gave_up, waited), stayed) = tokio::join!(gives_up, handle.join(1, work));
        assert!(timed_out(&gave_up, SECOND));
        assert!((SECOND..SECOND + Duration::from_millis(10)).contains(&waited), "{waited:?}");
        assert_eq!(stayed.unwrap(), 7);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.departures, stats.timeouts, stats.rejections), (1, 1, 0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_given() {
    limited(async {
        let handle = one_shard::<i32, i32>().with_max_wait(5 * SECOND);
        let work = || async {
            sleep(4 * SECOND).await;
            7
        };
        assert_eq!(handle.join(1, work).await.unwrap(), 7);
        assert_eq!(*handle.join_shared(1, work).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_time_runs_from_the_first_poll() {
    limited(async {
        let handle = one_shard::<i32, i32>().with_max_wait(SECOND);
        let join = handle.join(1, pending);
        advance(10 * SECOND).await;
        let begun = Instant::now();
        assert!(timed_out(&join.await, SECOND));
        assert_eq!(begun.elapsed().as_secs(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_is_up_at_once() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let begun = Instant::now();
        assert!(timed_out(&handle.with_max_wait(Duration::ZERO).join(1, pending).await, Duration::ZERO));
        assert!(begun.elapsed() < Duration::from_millis(5));
        at_rest_but(&handle, 1).await;
    })
    .await;
}

/// Waits until no caller is left, and at most so many abandoned flights.
async fn at_rest_but(handle: &Handle<i32, i32>, flights: usize) {
    until(handle, |stats| stats.waiters == 0 && stats.flights <= flights).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_beyond_the_clock_is_none() {
    limited(async {
        let handle = one_shard::<i32, i32>().with_max_wait(Duration::MAX);
        let work = || async {
            sleep(20 * SECOND).await;
            7
        };
        assert_eq!(handle.join(1, work).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_shorter_of_wait_timeout_and_flight_deadline_counts() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(5 * SECOND);
        let handle = builder.build().unwrap().handle();
        let (shorter, longer) = (handle.with_max_wait(2 * SECOND), handle.with_max_wait(9 * SECOND));
        let (shorter, longer) = tokio::join!(shorter.join(1, pending), longer.join(1, pending));
        assert!(timed_out(&shorter, 2 * SECOND), "{shorter:?}");
        assert!(timed_out(&longer, 5 * SECOND), "{longer:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn other_handles_keep_their_own_timeout() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let short = handle.with_max_wait(SECOND);
        let long = short.with_max_wait(100 * SECOND);
        let work = || async {
            sleep(5 * SECOND).await;
            7
        };
        let clone = short.clone();
        let (first, second, third) = tokio::join!(handle.join(1, work), clone.join(1, work), long.join(1, work));
        assert_eq!((first.unwrap(), third.unwrap()), (7, 7));
        assert!(timed_out(&second, SECOND));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_caller_to_give_up_abandons_the_flight() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard::<i32, i32>(), Count::default());
        let token = dropped.on_drop();
        let answer = handle.with_max_wait(SECOND).join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert!(timed_out(&answer.await, SECOND));
        assert_eq!(at_rest(&handle).await.aborts, 1);
        eventually(|| dropped.get() == 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tokio_timeout_around_a_join_does_as_well() {
    limited(async {
        for leads in [true, false] {
            let (handle, gate) = (one_shard::<i32, i32>(), Gate::new());
            let mut gives_up = Box::pin(timeout(SECOND, handle.join(1, gate.then(7))));
            let mut other = handle.join(1, gate.then(7));
            if leads {
                assert_pending(&mut gives_up);
                assert_pending(&mut other);
            } else {
                assert_pending(&mut other);
                assert_pending(&mut gives_up);
            }
            assert!(gives_up.await.is_err());
            let stats = until(&handle, |stats| stats.departures == 1).await;
            assert_eq!((stats.waiters, stats.flights), (1, 1));
            gate.open();
            assert_eq!(other.await.unwrap(), 7);
            assert_eq!(at_rest(&handle).await.executions, 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_each_have_their_own_timeout() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let begun = Instant::now();
        let waits = (1..=1_000).map(|n| {
            let limit = Duration::from_millis(10 * n);
            let join = handle.with_max_wait(limit).join(1, pending);
            async move {
                assert!(timed_out(&join.await, limit));
                let late = begun.elapsed().checked_sub(limit).unwrap();
                assert!(late <= Duration::from_millis(2), "{late:?}");
            }
        });
        join_all(waits).await;
        at_rest_but(&handle, 1).await;
    })
    .await;
}

#[test]
fn a_caller_outside_of_any_runtime_times_out() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<i32, i32>);
        let limit = Duration::from_millis(10);
        assert!(timed_out(&block_on(handle.with_max_wait(limit).join(1, pending)), limit));
        assert_eq!(block_on(handle.with_max_wait(60 * SECOND).join(2, returning(7))).unwrap(), 7);
    });
}

#[test]
fn a_thread_that_gives_up_leaves_others_waiting() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<i32, i32>);
        let (wall, opener) = Wall::new();
        let stays = {
            let handle = handle.clone();
            std::thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    7
                })
            })
        };
        block_on(until(&handle, |stats| stats.waiters == 1));
        for limit in [Duration::ZERO, Duration::from_millis(5)] {
            let answer = handle.with_max_wait(limit).blocking_join(1, || unreachable!("a follower's"));
            assert!(timed_out(&answer, limit), "{answer:?}");
        }
        block_on(until(&handle, |stats| stats.waiters == 1));
        drop(opener);
        assert_eq!(stays.join().unwrap().unwrap(), 7);
        assert_eq!(handle.with_max_wait(Duration::MAX).blocking_join(1, || 8).unwrap(), 8);
    });
}

#[test]
fn the_end_of_the_runtime_is_no_timeout() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let handle = inside(&home, one_shard::<i32, i32>);
        let waiting = abroad.spawn(handle.with_max_wait(60 * SECOND).join(1, pending));
        block_on(until(&handle, |stats| stats.waiters == 1));
        drop(home);
        let answer = block_on(waiting).unwrap();
        assert!(matches!(answer, Err(JoinError::Closed | JoinError::Aborted)), "{answer:?}");
        let late = block_on(handle.with_max_wait(SECOND).join(1, pending));
        assert!(matches!(late, Err(JoinError::Closed)), "{late:?}");
    });
}

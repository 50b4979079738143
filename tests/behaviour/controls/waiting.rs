//! How long one caller waits is its own affair.

use std::{future::pending, time::Duration};

use futures::{executor::block_on, future::join_all};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::support::{
    Count, Gate, Wall, at_rest, embark, inside, limited, one_aborting_shard, one_shard, settle, two_workers, until,
    watched,
};

const SECOND: Duration = Duration::from_secs(1);

fn timed_out(answer: &Result<i32, JoinError>, limit: Duration) -> bool {
    matches!(answer, Err(JoinError::TimedOut { after }) if *after == limit)
}

#[tokio::test(start_paused = true)]
async fn only_the_impatient_caller_gives_up() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let work = || async {
            sleep(5 * SECOND).await;
            7
        };
        let hasty = handle.with_max_wait(SECOND);
        let begun = Instant::now();
        let impatient = async {
            let answer = hasty.join(1, work).await;
            (answer, begun.elapsed())
        };
        let ((impatient, waited), patient) = tokio::join!(impatient, handle.join(1, work));
        assert!(timed_out(&impatient, SECOND));
        assert_eq!(waited.as_secs(), 1);
        assert_eq!(patient.unwrap(), 7);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.departures, stats.timeouts, stats.rejections), (1, 1, 0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_an_answer() {
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
async fn who_waits_no_time_is_answered_at_once() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let begun = Instant::now();
        assert!(timed_out(&handle.with_max_wait(Duration::ZERO).join(1, pending).await, Duration::ZERO));
        assert!(begun.elapsed() < Duration::from_millis(5));
        at_rest_but(&handle, 1).await;
    })
    .await;
}

/// Nobody waits, and so many flights are left to themselves at most.
async fn at_rest_but(handle: &Handle<i32, i32>, flights: usize) {
    until(handle, |stats| stats.waiters == 0 && stats.flights <= flights).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_ever_is_answered_by_the_flight() {
    limited(async {
        let handle = one_shard::<i32, i32>().with_max_wait(Duration::MAX);
        let work = || async {
            sleep(SECOND).await;
            7
        };
        assert_eq!(handle.join(1, work).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_shorter_of_the_callers_and_the_flights_time_counts() {
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
async fn the_handle_that_it_came_from_stays_patient() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let hasty = handle.with_max_wait(SECOND);
        let patient_again = hasty.with_max_wait(100 * SECOND);
        let work = || async {
            sleep(5 * SECOND).await;
            7
        };
        let clone = hasty.clone();
        let (first, second, third) =
            tokio::join!(handle.join(1, work), clone.join(1, work), patient_again.join(1, work));
        assert_eq!((first.unwrap(), third.unwrap()), (7, 7));
        assert!(timed_out(&second, SECOND));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_whose_last_caller_ran_out_of_patience_is_abandoned() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard::<i32, i32>(), Count::default());
        let token = dropped.on_drop();
        let answer = handle.with_max_wait(SECOND).join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert!(timed_out(&answer.await, SECOND));
        at_rest(&handle).await;
        settle().await;
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_tokios_does_as_well() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let work = |gate: Gate| {
            move || async move {
                gate.pass().await;
                7
            }
        };
        let hasty = timeout(SECOND, handle.join(1, work(gate.clone())));
        let mut patient = handle.join(1, work(gate.clone()));
        embark(&mut patient);
        assert!(hasty.await.is_err());
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.waiters, stats.departures, stats.flights), (1, 1, 1));
        gate.open();
        assert_eq!(patient.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_of_different_patience_each_get_their_own_time() {
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
fn callers_outside_of_any_runtime_may_be_impatient_too() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<i32, i32>);
        let limit = Duration::from_millis(10);
        assert!(timed_out(&block_on(handle.with_max_wait(limit).join(1, pending)), limit));
        assert_eq!(block_on(handle.with_max_wait(60 * SECOND).join(2, || async { 7 })).unwrap(), 7);
    });
}

#[test]
fn an_impatient_thread_gives_up_alone() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<i32, i32>);
        let (wall, opener) = Wall::new();
        let patient = {
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
        assert_eq!(patient.join().unwrap().unwrap(), 7);
        assert_eq!(handle.with_max_wait(Duration::MAX).blocking_join(1, || 8).unwrap(), 8);
    });
}

#[test]
fn the_end_of_the_runtime_is_not_taken_for_the_end_of_patience() {
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

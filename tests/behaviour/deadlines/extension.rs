//! Work that makes progress asks for more time.

use std::{sync::mpsc, time::Duration};

use shardflight::{BuildError, Coalescer, Freshness, Handle, JoinError, NotExtended, OnExpiry, RunWork};
use tokio::time::{Instant, sleep};

use super::{SECOND, timed_out};
use crate::support::{at_rest, limited, two_workers, watched};

const LIMIT: Duration = Duration::from_secs(5);
const CAP: Duration = Duration::from_secs(20);

fn extensible(run_work: RunWork, on_expiry: OnExpiry) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(1).max_flight_duration(LIMIT).max_extended_duration(CAP);
    builder.run_work(run_work).on_expiry(on_expiry).build().unwrap().handle()
}

/// Takes so many steps of four seconds, and asks for five more after each. Says how many were granted in full.
async fn in_steps(handle: Handle<i32, i32>, steps: u32) -> i32 {
    let flight = handle.current_flight().unwrap();
    let mut granted = 0;
    for _ in 0..steps {
        sleep(4 * SECOND).await;
        granted += i32::from(flight.extend(LIMIT).await == Ok(LIMIT));
    }
    granted
}

#[tokio::test(start_paused = true)]
async fn work_that_makes_progress_outlives_the_limit() {
    for run_work in [RunWork::Detached, RunWork::InPlace] {
        limited(async {
            let handle = extensible(run_work, OnExpiry::Fail);
            let inside = handle.clone();
            assert_eq!(handle.join(1, move || in_steps(inside, 3)).await, Ok(3));
            assert_eq!(at_rest(&handle).await.timeouts, 0);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_stands_still_ends_at_the_deadline_that_it_asked_for() {
    limited(async {
        let handle = extensible(RunWork::Detached, OnExpiry::Fail);
        let (inside, begun) = (handle.clone(), Instant::now());
        let stuck = move || async move {
            in_steps(inside, 1).await;
            std::future::pending().await
        };
        assert!(timed_out(&handle.join(1, stuck).await, 9 * SECOND), "the time that it had in all");
        assert_eq!(begun.elapsed(), 9 * SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_that_goes_on_for_ever_ends_at_the_cap() {
    limited(async {
        let handle = extensible(RunWork::Detached, OnExpiry::Fail);
        let inside = handle.clone();
        assert!(timed_out(&handle.join(1, move || in_steps(inside, u32::MAX)).await, CAP));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn callers_share_an_extended_flight_beyond_the_limit() {
    limited(async {
        let handle = extensible(RunWork::Detached, OnExpiry::Detach);
        let inside = handle.clone();
        let leader = tokio::spawn(handle.join(1, move || in_steps(inside, 3)));
        sleep(10 * SECOND).await;
        assert_eq!(handle.join(1, || async { unreachable!("a follower's") }).await, Ok(3));
        assert_eq!(leader.await.unwrap(), Ok(3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_past_its_deadline_gets_no_more_time() {
    limited(async {
        let handle = extensible(RunWork::Detached, OnExpiry::Detach);
        let inside = handle.clone();
        let late = move || async move {
            let flight = inside.current_flight().unwrap();
            sleep(LIMIT).await;
            i32::from(flight.extend(LIMIT).await == Err(NotExtended::Over))
        };
        assert_eq!(handle.join(1, late).await, Ok(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_cap_counts_from_the_start_of_the_work() {
    limited(async {
        let handle = extensible(RunWork::Detached, OnExpiry::Fail);
        let (first, inside) = (handle.clone(), handle.clone());
        let leader = tokio::spawn(handle.join(1, move || in_steps(first, 4)));
        sleep(SECOND).await;
        let fresh = handle.with_freshness(Freshness::StartedAfterCall);
        assert_eq!(
            fresh.join(1, move || in_steps(inside, 4)).await,
            Ok(3),
            "the fourth is beyond the cap, and still in time"
        );
        assert_eq!(leader.await.unwrap(), Ok(3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_the_option_there_is_no_more_time() {
    limited(async {
        let handle = Coalescer::<i32, i32>::builder().shards(1).build().unwrap().handle();
        let inside = handle.clone();
        let asks = move || async move {
            let answer = inside.current_flight().unwrap().extend(SECOND).await;
            i32::from(answer == Err(NotExtended::NotAllowed))
        };
        assert_eq!(handle.join(1, asks).await, Ok(1));
    })
    .await;
}

#[test]
fn blocking_work_is_extended_too() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, bool>::builder().shards(1).max_extended_duration(Duration::from_hours(1));
        let handle = builder.build_on(runtime.handle()).unwrap().handle();
        let inside = handle.clone();
        let extended = handle.blocking_join(1, move || {
            let left = inside.current_flight().unwrap().blocking_extend(Duration::from_mins(5));
            left.is_ok_and(|left| left > Duration::from_mins(4))
        });
        assert_eq!(extended, Ok(true));
    });
}

#[test]
fn a_flight_of_a_coalescer_that_is_gone_is_over() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().max_extended_duration(Duration::from_hours(1));
        let handle = builder.build_on(runtime.handle()).unwrap().handle();
        let (inside, (tell, told)) = (handle.clone(), mpsc::channel());
        let answer = handle.blocking_join(1, move || {
            tell.send(inside.current_flight().unwrap()).unwrap();
            7
        });
        assert_eq!(answer, Ok::<_, JoinError>(7));
        let flight = told.recv().unwrap();
        assert_eq!(flight.blocking_extend(SECOND), Err(NotExtended::Over), "its work has ended");
        drop((handle, runtime));
        assert_eq!(flight.blocking_extend(SECOND), Err(NotExtended::Over));
    });
}

#[tokio::test]
async fn a_cap_below_the_limit_is_refused() {
    let builder = Coalescer::<i32, i32>::builder().max_flight_duration(LIMIT).max_extended_duration(SECOND);
    let error = builder.build().unwrap_err();
    assert_eq!(error, BuildError::ExtendedBelowLimit { extended: SECOND, limit: LIMIT });
    let message = error.to_string();
    assert!(message.contains("1s") && message.contains("5s"), "{message}");
}

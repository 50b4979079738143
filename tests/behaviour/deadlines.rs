//! Flights that outlive their time (G11), on Tokio's paused clock.

use std::{future::pending, time::Duration};

use shardflight::{Coalescer, Handle, JoinError, OnExpiry};
use tokio::time::{Instant, advance, sleep};

use crate::support::{Count, Gate, at_rest, embark, limited, settle, until, watched};

const LIMIT: Duration = Duration::from_secs(5);

fn timed(on_expiry: OnExpiry) -> Handle<u32, u32> {
    Coalescer::builder().shards(1).max_flight_duration(LIMIT).on_expiry(on_expiry).build().unwrap().handle()
}

#[tokio::test(start_paused = true)]
async fn a_hung_flight_fails_all_its_callers_at_its_deadline() {
    let handle = timed(OnExpiry::Fail);
    let start = Instant::now();
    let (leader, follower) = tokio::join!(handle.join(1_u32, pending), handle.join(1_u32, pending));
    for answer in [leader, follower] {
        assert!(matches!(answer, Err(JoinError::TimedOut { after: LIMIT })));
    }
    assert!((LIMIT..LIMIT + Duration::from_millis(10)).contains(&start.elapsed()), "{:?}", start.elapsed());
    let stats = at_rest(&handle).await;
    assert_eq!((stats.timeouts, stats.aborts, stats.departures), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_work_of_a_failed_flight_is_dropped_and_its_key_works_again() {
    let handle = timed(OnExpiry::Fail);
    let drops = Count::default();
    let held = drops.on_drop();
    let hung = handle.join(1_u32, move || async move {
        let _held = held;
        pending().await
    });
    assert!(hung.await.is_err());
    assert_eq!(handle.join(1_u32, || async { 7 }).await.unwrap(), 7);
    settle().await;
    assert_eq!(drops.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn thirty_seconds_is_the_default() {
    let handle = Coalescer::<u32, u32>::new().handle();
    let start = Instant::now();
    let answer = handle.join(1_u32, pending).await;
    assert!(matches!(answer, Err(JoinError::TimedOut { after }) if after == Duration::from_secs(30)));
    assert!(start.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_a_flight_takes_its_time() {
    let handle = Coalescer::<u32, u32>::builder().no_flight_deadline().build().unwrap().handle();
    let answer = handle.join(1_u32, || async {
        sleep(Duration::from_secs(1_000_000)).await;
        7
    });
    assert_eq!(answer.await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_the_clock_is_none() {
    let handle = Coalescer::<u32, u32>::builder().max_flight_duration(Duration::MAX).build().unwrap().handle();
    let answer = handle.join(1_u32, || async {
        sleep(Duration::from_secs(1_000)).await;
        7
    });
    assert_eq!(answer.await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn one_timer_does_for_many_flights_each_at_its_time() {
    let handle = timed(OnExpiry::Fail);
    let start = Instant::now();
    let callers: Vec<_> = (0..100_u32)
        .map(|key| {
            let handle = handle.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(u64::from(key) * 100)).await;
                let joined = Instant::now();
                // Every third one ends by itself.
                let work = move || async move { if key % 3 == 0 { key } else { pending().await } };
                (key, joined.elapsed(), handle.join(key, work).await, joined.elapsed())
            })
        })
        .collect();
    for caller in callers {
        let (key, _, answer, took) = caller.await.unwrap();
        if key % 3 == 0 {
            assert_eq!(answer.unwrap(), key);
        } else {
            assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
            assert!((LIMIT..LIMIT + Duration::from_millis(10)).contains(&took), "key {key}: {took:?}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(16));
    at_rest(&handle).await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_flight_goes_on_for_its_callers_while_others_start_anew() {
    let handle = timed(OnExpiry::Detach);
    let gate = Gate::new();
    let mut old = handle.join(1_u32, gate.then(1));
    embark(&mut old);
    settle().await;
    advance(LIMIT + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(handle.join(1_u32, || async { 2 }).await.unwrap(), 2);
    let stats = handle.stats().await.unwrap();
    assert_eq!((stats.flights, stats.waiters, stats.timeouts), (1, 1, 1));
    assert!(stats.oldest_flight.unwrap() > LIMIT);
    gate.open();
    assert_eq!(old.await.unwrap(), 1);
    at_rest(&handle).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_at_the_very_deadline_is_an_answer_or_a_timeout_and_never_both_nor_none() {
    let handle = timed(OnExpiry::Fail);
    for _ in 0..100 {
        let work = || async {
            sleep(LIMIT).await;
            7
        };
        let (leader, follower) = tokio::join!(handle.join(1_u32, work), handle.join(1_u32, work));
        assert_eq!(leader.is_ok(), follower.is_ok(), "one flight, one answer");
    }
    let stats = at_rest(&handle).await;
    assert_eq!((stats.executions, stats.coalesced), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_comes_late_to_a_flight_shares_its_deadline() {
    let handle = timed(OnExpiry::Fail);
    let mut leader = handle.join(1_u32, pending);
    embark(&mut leader);
    settle().await;
    advance(Duration::from_secs(4)).await;
    let start = Instant::now();
    assert!(handle.join(1_u32, pending).await.is_err());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_runtime_without_timers_has_deadlines_all_the_same() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let builder = Coalescer::<u32, u32>::builder().max_flight_duration(Duration::from_millis(20));
            let handle = builder.build().unwrap().handle();
            assert!(matches!(handle.join(1_u32, pending).await, Err(JoinError::TimedOut { .. })));
            let impatient = handle.with_max_wait(Duration::from_millis(1));
            assert!(matches!(impatient.join(1_u32, pending).await, Err(JoinError::TimedOut { .. })));
        });
    });
}

#[tokio::test]
async fn a_deadline_holds_on_the_real_clock_too() {
    limited(async {
        let builder = Coalescer::<u32, u32>::builder().max_flight_duration(Duration::from_millis(20));
        let handle = builder.build().unwrap().handle();
        assert!(matches!(handle.join(1_u32, pending).await, Err(JoinError::TimedOut { .. })));
        assert_eq!(until(&handle, |stats| stats.flights == 0).await.timeouts, 1);
    })
    .await;
}

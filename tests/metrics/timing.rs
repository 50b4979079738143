//! Durations of flights and waits, on a paused clock.

use std::{future::pending, time::Duration};

use shardflight::{Coalescer, Handle, JoinError, OnAbandon};
use tokio::time::{sleep, timeout};

use crate::exported::Exported;
use crate::support::{assert_pending, limited, panic_quietly, settle, watched};

const FLIGHTS: [&str; 2] = ["shardflight_flight_duration_seconds_sum", "shardflight_flight_duration_seconds_count"];
const WAITS: [&str; 2] = ["shardflight_wait_duration_seconds_sum", "shardflight_wait_duration_seconds_count"];

fn one_shard(exported: &Exported) -> Handle<u32, u32> {
    let builder = Coalescer::builder().shards(1).on_abandon(OnAbandon::Abort).metrics("users");
    exported.to(|| builder.max_flight_duration(Duration::from_secs(20)).build().expect("inside a runtime").handle())
}

/// With some tolerance, as timers are up to a millisecond late.
fn assert_measured(exported: &Exported, [sum, count]: [&str; 2], outcome: &str, expected: (f64, u64)) {
    let labels = [("coalescer", "users"), ("outcome", outcome)];
    let (seconds, times) = (exported.seconds(sum, &labels), exported.count(count, &labels));
    assert!((seconds - expected.0).abs() < 0.1 && times == expected.1, "{outcome}: {seconds} s in {times}");
}

async fn two_seconds() -> u32 {
    sleep(Duration::from_secs(2)).await;
    7
}

#[tokio::test(start_paused = true)]
async fn flights_are_measured_from_their_start() {
    limited(async {
        let exported = Exported::new();
        let handle = one_shard(&exported);
        let _ = tokio::join!(handle.join(1_u32, two_seconds), handle.join(1_u32, two_seconds));
        assert_measured(&exported, FLIGHTS, "value", (2.0, 1));
        assert_eq!(exported.count("shardflight_flight_waiters_sum", &[]), 2);
        assert_eq!(exported.count("shardflight_flight_waiters_count", &[]), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn waits_start_at_the_first_poll() {
    limited(async {
        let exported = Exported::new();
        let handle = one_shard(&exported);
        let late = handle.join(1_u32, pending);
        let late = async {
            sleep(Duration::from_millis(500)).await;
            late.await
        };
        let _ = tokio::join!(handle.join(1_u32, two_seconds), late);
        assert_measured(&exported, WAITS, "answered", (3.5, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_departure_ends_a_wait() {
    limited(async {
        let exported = Exported::new();
        let handle = one_shard(&exported);
        let short = handle.with_max_wait(Duration::from_millis(250));
        let (dropped, gave_up, _) = tokio::join!(
            timeout(Duration::from_millis(500), handle.join(1_u32, two_seconds)),
            short.join(1_u32, two_seconds),
            handle.join(1_u32, two_seconds),
        );
        assert!(dropped.is_err() && gave_up.is_err());
        assert_measured(&exported, WAITS, "left", (0.75, 2));
        assert_measured(&exported, WAITS, "answered", (2.0, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unpolled_join_is_not_measured() {
    limited(async {
        let exported = Exported::new();
        let handle = one_shard(&exported);
        drop(handle.join(1_u32, two_seconds));
        assert_measured(&exported, WAITS, "left", (0.0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bypasses_have_an_outcome_of_their_own() {
    limited(async {
        let exported = Exported::new();
        let handle = one_shard(&exported);
        handle.set_enabled(false);
        handle.join(1_u32, two_seconds).await.unwrap();
        assert!(timeout(Duration::from_millis(500), handle.join(1_u32, two_seconds)).await.is_err());
        assert_measured(&exported, WAITS, "bypassed", (2.0, 1));
        assert_measured(&exported, WAITS, "left", (0.5, 1));
        assert_measured(&exported, WAITS, "answered", (0.0, 0));
        assert_measured(&exported, FLIGHTS, "value", (0.0, 0));
    })
    .await;
}

#[test]
fn blocking_joins_are_measured() {
    watched(|| {
        let exported = Exported::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = runtime.enter();
        let handle = one_shard(&exported);
        drop(inside);
        assert_eq!(handle.blocking_join(1_u32, || 7).unwrap(), 7);
        let short = handle.with_max_wait(Duration::from_millis(1));
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let blocked = move || {
            let _ = receiver.recv();
            7
        };
        assert!(matches!(short.blocking_join(1_u32, blocked), Err(JoinError::TimedOut { .. })));
        drop(sender);
        handle.set_enabled(false);
        assert_eq!(handle.blocking_join(1_u32, || 7).unwrap(), 7);
        for outcome in ["answered", "left", "bypassed"] {
            assert_eq!(exported.count(WAITS[1], &[("outcome", outcome)]), 1, "{outcome}");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn flights_are_measured_by_outcome() {
    limited(async {
        let exported = Exported::new();
        let coalescer = exported.to(|| {
            let builder = Coalescer::builder().shards(1).on_abandon(OnAbandon::Abort).metrics("users");
            builder.max_flight_duration(Duration::from_secs(20)).build().unwrap()
        });
        let handle: Handle<u32, u32> = coalescer.handle();
        assert!(handle.join(1_u32, || async { panic_quietly("broken") }).await.is_err());
        assert!(handle.join(2_u32, pending).await.is_err());
        assert!(timeout(Duration::from_secs(1), handle.join(3_u32, pending)).await.is_err());
        settle().await;
        let mut last = handle.join(4_u32, pending);
        assert_pending(&mut last);
        coalescer.shutdown(Duration::ZERO).await;
        assert!(matches!(last.await, Err(JoinError::Closed)));
        for (outcome, seconds) in [("panicked", 0.0), ("timed_out", 20.0), ("aborted", 1.0), ("closed", 0.0)] {
            assert_measured(&exported, FLIGHTS, outcome, (seconds, 1));
        }
    })
    .await;
}

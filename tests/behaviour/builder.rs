//! The builder's options: their ranges, and the errors for values out of range.

use std::time::Duration;

use futures::executor::block_on;
use shardflight::{BuildError, Builder, Coalescer, JoinError};
use tokio::runtime::{self, Handle as Current};

use crate::support::{limited, returning, two_workers, watched};

type Choose = fn(Builder<i32, i32>) -> Builder<i32, i32>;

fn refused(choose: Choose) -> BuildError {
    choose(Coalescer::builder()).build().unwrap_err()
}

fn says(error: &BuildError, words: &[&str]) {
    let message = error.to_string();
    assert!(words.iter().all(|word| message.contains(word)), "{message:?} lacks one of {words:?}");
}

#[tokio::test]
async fn zero_is_refused() {
    let options: [(Choose, BuildError, &str); 8] = [
        (|builder| builder.shards(0), BuildError::ZeroShards, "0 shards"),
        (|builder| builder.max_waiters_per_flight(0), BuildError::ZeroWaiters, "max_waiters_per_flight is 0"),
        (|builder| builder.max_flights(0), BuildError::ZeroFlights, "max_flights is 0"),
        (
            |builder| builder.max_flight_duration(Duration::ZERO),
            BuildError::ZeroFlightDuration,
            "max_flight_duration is 0",
        ),
        (|builder| builder.max_executions(0), BuildError::ZeroExecutions, "max_executions is 0"),
        (|builder| builder.max_executions(1).max_queued(0), BuildError::ZeroQueued, "max_queued is 0"),
        (
            |builder| builder.max_executions(1).queue_timeout(Duration::ZERO),
            BuildError::ZeroQueueTimeout,
            "queue_timeout is 0",
        ),
        (|builder| builder.crowd_threshold(0), BuildError::ZeroCrowdThreshold, "crowd_threshold is 0"),
    ];
    for (choose, error, message) in options {
        assert_eq!(refused(choose), error);
        says(&error, &[message]);
    }
}

#[tokio::test]
async fn options_of_a_queue_without_a_limit_name_it() {
    let error = refused(|builder| builder.max_queued(815));
    says(&error, &["max_queued is 815", "max_executions"]);
    let error = refused(|builder| builder.queue_timeout(Duration::from_secs(815)));
    says(&error, &["queue_timeout is 815s", "max_executions"]);
}

#[tokio::test]
async fn the_least_values_build() {
    let builder =
        Coalescer::<i32, i32>::builder().shards(1).max_waiters_per_flight(1).max_flights(1).crowd_threshold(1);
    let builder = builder.max_executions(1).max_queued(1).queue_timeout(Duration::from_nanos(1));
    let handle = builder.max_flight_duration(Duration::from_nanos(1)).rollout(0.0).build().unwrap().handle();
    assert_eq!(limited(handle.join(1, returning(7))).await.unwrap(), 7);
}

#[tokio::test]
async fn the_greatest_values_build() {
    let builder = Coalescer::<i32, i32>::builder().max_waiters_per_flight(usize::MAX).max_flights(usize::MAX);
    let builder = builder.max_executions(usize::MAX).max_queued(usize::MAX).queue_timeout(Duration::MAX);
    let builder = builder.crowd_threshold(usize::MAX).max_flight_duration(Duration::MAX).rollout(1.0);
    let handle = builder.build().unwrap().handle();
    assert_eq!(limited(handle.join(1, returning(7))).await.unwrap(), 7);
}

#[tokio::test]
async fn the_last_of_two_deadline_options_counts() {
    refused(|builder| builder.no_flight_deadline().max_flight_duration(Duration::ZERO));
    let builder = Coalescer::<i32, i32>::builder().max_flight_duration(Duration::ZERO).no_flight_deadline();
    assert!(builder.build().is_ok());
}

#[tokio::test]
async fn too_many_shards_name_the_limit() {
    let error = refused(|builder| builder.shards(10_007));
    assert_eq!(error, BuildError::TooManyShards { shards: 10_007, limit: Builder::<i32, i32>::MAX_SHARDS });
    says(&error, &["10007", &Builder::<i32, i32>::MAX_SHARDS.to_string()]);
    let limit = Builder::<i32, i32>::MAX_SHARDS;
    for shards in [limit + 1, usize::MAX] {
        let refused = Coalescer::<i32, i32>::builder().shards(shards).build().unwrap_err();
        assert_eq!(refused, BuildError::TooManyShards { shards, limit });
    }
}

#[tokio::test]
async fn an_invalid_rollout_names_the_value() {
    for fraction in [-0.1, 1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let error = Coalescer::<i32, i32>::builder().rollout(fraction).build().unwrap_err();
        assert!(matches!(error, BuildError::InvalidRollout { .. }));
        says(&error, &["rollout", &fraction.to_string(), "0.0", "1.0"]);
    }
}

#[test]
fn a_missing_runtime_names_the_remedy() {
    let error = refused(|builder| builder);
    assert_eq!(error, BuildError::NoRuntime);
    says(&error, &["runtime", "enter", "build_on"]);
}

#[test]
fn invalid_values_are_refused_before_a_missing_runtime() {
    assert_eq!(refused(|builder| builder.shards(0)), BuildError::ZeroShards);
}

#[tokio::test]
async fn debug_shows_the_options() {
    let shown = format!("{:?}", Coalescer::<i32, i32>::builder().shards(3).max_flights(4_711).rollout(0.25));
    assert!(shown.contains("Some(3)") && shown.contains("4711") && shown.contains("0.25"), "{shown}");
}

#[test]
fn a_plain_thread_builds_on_a_runtime_that_it_names() {
    watched(|| {
        let runtime = two_workers();
        let handle = Coalescer::<i32, runtime::Id>::builder().build_on(runtime.handle()).unwrap().handle();
        let ran_on = block_on(handle.join(1, || async { Current::current().id() }));
        assert_eq!(ran_on.unwrap(), runtime.handle().id());
    });
}

#[test]
fn the_runtime_that_is_named_is_taken_and_not_the_current_one() {
    watched(|| {
        let (named, current) = (two_workers(), two_workers());
        let handle = current
            .block_on(async { Coalescer::<i32, runtime::Id>::builder().build_on(named.handle()).unwrap().handle() });
        drop(current);
        let ran_on = block_on(handle.join(1, || async { Current::current().id() }));
        assert_eq!(ran_on.unwrap(), named.handle().id());
    });
}

#[test]
fn a_runtime_without_timers_may_be_named_from_one_that_has_some() {
    watched(|| {
        let named = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let current = two_workers();
        let handle = current.block_on(async {
            let builder = Coalescer::<i32, i32>::builder().max_flight_duration(Duration::from_millis(5));
            builder.build_on(named.handle()).unwrap().handle()
        });
        drop(current);
        let answer = block_on(handle.join(1, std::future::pending));
        assert!(matches!(answer, Err(JoinError::TimedOut { .. })), "{answer:?}");
    });
}

#[test]
fn a_runtime_that_has_shut_down_may_be_named_and_takes_no_joins() {
    watched(|| {
        let runtime = two_workers();
        let gone = runtime.handle().clone();
        drop(runtime);
        let handle = Coalescer::<i32, i32>::builder().build_on(&gone).unwrap().handle();
        assert!(matches!(block_on(handle.join(1, returning(7))), Err(JoinError::Closed)));
    });
}

#[test]
fn values_that_make_no_sense_are_refused_on_a_named_runtime_too() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let refused = Coalescer::<i32, i32>::builder().shards(0).build_on(runtime.handle());
    assert_eq!(refused.unwrap_err(), BuildError::ZeroShards);
}

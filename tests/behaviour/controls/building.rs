//! What makes no sense is refused, with the value and the way out in the error.

use std::time::Duration;

use shardflight::{BuildError, Builder, Coalescer};

use crate::support::limited;

type Choice = fn(Builder<u8, u8>) -> Builder<u8, u8>;

fn refused(choice: Choice) -> BuildError {
    choice(Coalescer::builder()).build().unwrap_err()
}

fn says(error: &BuildError, words: &[&str]) {
    let said = error.to_string();
    assert!(words.iter().all(|word| said.contains(word)), "{said:?} lacks one of {words:?}");
}

#[tokio::test]
async fn zero_is_too_little_of_most_things() {
    let choices: [(Choice, BuildError, &str); 5] = [
        (|builder| builder.shards(0), BuildError::ZeroShards, "shards"),
        (|builder| builder.max_waiters_per_flight(0), BuildError::ZeroWaiters, "max_waiters_per_flight"),
        (|builder| builder.max_flights(0), BuildError::ZeroFlights, "max_flights"),
        (|builder| builder.max_flight_duration(Duration::ZERO), BuildError::ZeroFlightDuration, "max_flight_duration"),
        (|builder| builder.crowd_threshold(0), BuildError::ZeroCrowdThreshold, "crowd_threshold"),
    ];
    for (choice, error, name) in choices {
        assert_eq!(refused(choice), error);
        says(&error, &[name, "0"]);
    }
}

#[tokio::test]
async fn the_least_that_makes_sense_is_built() {
    let builder = Coalescer::<u8, u8>::builder().shards(1).max_waiters_per_flight(1).max_flights(1).crowd_threshold(1);
    let handle = builder.max_flight_duration(Duration::from_nanos(1)).rollout(0.0).build().unwrap().handle();
    assert_eq!(limited(handle.join(1, || async { 7 })).await.unwrap(), 7);
}

#[tokio::test]
async fn the_most_that_there_is_is_built() {
    let builder = Coalescer::<u8, u8>::builder().max_waiters_per_flight(usize::MAX).max_flights(usize::MAX);
    let builder = builder.crowd_threshold(usize::MAX).max_flight_duration(Duration::MAX).rollout(1.0);
    let handle = builder.build().unwrap().handle();
    assert_eq!(limited(handle.join(1, || async { 7 })).await.unwrap(), 7);
}

#[tokio::test]
async fn no_flight_deadline_and_a_deadline_undo_each_other() {
    refused(|builder| builder.no_flight_deadline().max_flight_duration(Duration::ZERO));
    let builder = Coalescer::<u8, u8>::builder().max_flight_duration(Duration::ZERO).no_flight_deadline();
    assert!(builder.build().is_ok());
}

#[tokio::test]
async fn too_many_shards_are_told_how_many_there_may_be() {
    let error = refused(|builder| builder.shards(10_007));
    assert_eq!(error, BuildError::TooManyShards { shards: 10_007, limit: Builder::<u8, u8>::MAX_SHARDS });
    says(&error, &["10007", &Builder::<u8, u8>::MAX_SHARDS.to_string()]);
}

#[tokio::test]
async fn a_rollout_that_is_no_fraction_is_told_which() {
    for fraction in [-0.1, 1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let error = Coalescer::<u8, u8>::builder().rollout(fraction).build().unwrap_err();
        assert!(matches!(error, BuildError::InvalidRollout { .. }));
        says(&error, &["rollout", &fraction.to_string(), "0.0", "1.0"]);
    }
}

#[test]
fn without_a_runtime_it_is_told_what_to_do() {
    let error = refused(|builder| builder);
    assert_eq!(error, BuildError::NoRuntime);
    says(&error, &["runtime", "enter"]);
}

#[test]
fn nonsense_is_refused_before_a_runtime_is_missed() {
    assert_eq!(refused(|builder| builder.shards(0)), BuildError::ZeroShards);
}

#[tokio::test]
async fn debug_output_shows_the_choices() {
    let shown = format!("{:?}", Coalescer::<u8, u8>::builder().shards(3).max_flights(4_711).rollout(0.25));
    assert!(shown.contains("Some(3)") && shown.contains("4711") && shown.contains("0.25"), "{shown}");
}

//! Choices that make no sense are refused, with the value and the limit.

use std::time::Duration;

use shardflight::{BuildError, Builder, Coalescer, Scope, Topology};

fn refused(choose: impl FnOnce(Builder<u8, u8>) -> Builder<u8, u8>) -> BuildError {
    choose(Coalescer::builder()).build().expect_err("a choice that makes no sense")
}

#[tokio::test]
async fn limits_of_zero_are_refused() {
    assert_eq!(refused(|builder| builder.shards(0)), BuildError::ZeroShards);
    assert_eq!(refused(|builder| builder.max_waiters_per_flight(0)), BuildError::ZeroWaiters);
    assert_eq!(refused(|builder| builder.max_flights(0)), BuildError::ZeroFlights);
    assert_eq!(refused(|builder| builder.max_flight_duration(Duration::ZERO)), BuildError::ZeroFlightDuration);
    assert_eq!(refused(|builder| builder.crowd_threshold(0)), BuildError::ZeroCrowdThreshold);
}

#[tokio::test]
async fn each_refusal_names_what_was_asked_for() {
    let errors = [
        (refused(|builder| builder.shards(0)), "0 shards"),
        (refused(|builder| builder.max_waiters_per_flight(0)), "max_waiters_per_flight is 0"),
        (refused(|builder| builder.max_flights(0)), "max_flights is 0"),
        (refused(|builder| builder.max_flight_duration(Duration::ZERO)), "max_flight_duration is 0"),
        (refused(|builder| builder.crowd_threshold(0)), "crowd_threshold is 0"),
        (refused(|builder| builder.rollout(1.5)), "1.5"),
        (refused(|builder| builder.shards(5_000)), "5000"),
    ];
    for (error, says) in errors {
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_rollout_that_is_no_fraction_is_refused() {
    for fraction in [-0.5, 1.5, f64::NAN] {
        assert!(matches!(refused(|builder| builder.rollout(fraction)), BuildError::InvalidRollout { .. }));
    }
}

#[tokio::test]
async fn shards_are_counted_over_all_domains() {
    struct Many;
    impl Topology for Many {
        fn nodes(&self) -> Result<Vec<usize>, String> {
            Ok(vec![0; 1_000])
        }
        fn current_core(&self) -> Option<usize> {
            Some(0)
        }
    }
    let error = refused(|builder| builder.scope(Scope::PerCore).topology(Many).shards(5));
    assert_eq!(error, BuildError::TooManyShards { shards: 5_000, limit: 4_096 });
}

#[test]
fn the_first_thing_wrong_is_said_even_without_a_runtime() {
    assert_eq!(refused(|builder| builder.shards(0)), BuildError::ZeroShards);
    assert_eq!(refused(|builder| builder), BuildError::NoRuntime);
}

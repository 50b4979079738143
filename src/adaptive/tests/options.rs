//! Options that make no sense, and what the others come to.

use std::time::Duration;

use crate::{Adaptive, BuildError, Builder, Coalescer, InvalidAdaptive};

const SECOND: Duration = Duration::from_secs(1);

fn refused(builder: Builder<u8, u8>, adaptive: Adaptive, words: &[&str]) -> InvalidAdaptive {
    let error = builder.adaptive_flight_duration(adaptive).build().unwrap_err();
    let message = error.to_string();
    assert!(words.iter().all(|word| message.contains(word)), "{message:?} lacks one of {words:?}");
    match error {
        BuildError::InvalidAdaptive(invalid) => invalid,
        other => panic!("{other:?}"),
    }
}

fn plain() -> Builder<u8, u8> {
    Coalescer::builder().shards(1)
}

fn limit(builder: Builder<u8, u8>, adaptive: Adaptive) -> Option<Duration> {
    builder.adaptive_flight_duration(adaptive).build().unwrap().handle().flight_duration_limit()
}

#[tokio::test]
async fn a_quantile_of_all_or_none_is_refused() {
    for quantile in [0.0, 1.0, -0.5, 99.0, f64::NAN, f64::INFINITY] {
        let error = refused(plain(), Adaptive::quantile(quantile), &["quantile", &quantile.to_string(), "0.0", "1.0"]);
        assert!(matches!(error, InvalidAdaptive::Quantile { .. }));
    }
}

#[tokio::test]
async fn a_factor_that_could_spiral_is_refused() {
    for factor in [1.499, 1.0, 0.0, -3.0, f64::NAN, f64::INFINITY] {
        let error = refused(plain(), Adaptive::p99().times(factor), &["factor", &factor.to_string(), "1.5"]);
        assert!(matches!(error, InvalidAdaptive::Factor { .. }));
    }
    assert!(limit(plain(), Adaptive::p99().times(Adaptive::LEAST_FACTOR)).is_some());
    assert!(limit(plain(), Adaptive::p99().times(f64::MAX)).is_some());
}

#[tokio::test]
async fn an_impossible_range_is_refused() {
    let error = refused(plain(), Adaptive::p99().between(Duration::ZERO..=SECOND), &["floor", "0", "1 ns"]);
    assert_eq!(error, InvalidAdaptive::ZeroFloor);
    let error = refused(plain(), Adaptive::p99().between(2 * SECOND..=SECOND), &["floor", "2s", "1s"]);
    assert_eq!(error, InvalidAdaptive::EmptyRange { floor: 2 * SECOND, ceiling: SECOND });
    assert_eq!(limit(plain(), Adaptive::p99().between(SECOND..=SECOND)), Some(SECOND));
}

#[tokio::test]
async fn a_ceiling_above_another_limit_is_refused() {
    let adaptive = Adaptive::p99().between(SECOND..=6 * SECOND);
    let error = refused(plain().max_flight_duration(5 * SECOND), adaptive, &["6s", "max_flight_duration, 5s"]);
    assert_eq!(error, InvalidAdaptive::CeilingAboveLimit { ceiling: 6 * SECOND, limit: 5 * SECOND });
    let extensible = plain().no_flight_deadline().max_extended_duration(5 * SECOND);
    let error = refused(extensible, adaptive, &["6s", "max_extended_duration, 5s"]);
    assert_eq!(error, InvalidAdaptive::CeilingAboveExtended { ceiling: 6 * SECOND, extended: 5 * SECOND });
}

#[tokio::test]
async fn nothing_to_learn_from_is_refused() {
    assert_eq!(refused(plain(), Adaptive::p50().min_samples(0), &["min_samples"]), InvalidAdaptive::ZeroSamples);
    assert_eq!(refused(plain(), Adaptive::p50().window(Duration::ZERO), &["window"]), InvalidAdaptive::ZeroWindow);
}

#[tokio::test]
async fn without_a_range_the_flight_duration_is_the_ceiling() {
    let milli = Duration::from_millis(1);
    assert_eq!(limit(plain(), Adaptive::p90()), Some(30 * SECOND));
    assert_eq!(limit(plain().max_flight_duration(90 * SECOND), Adaptive::p95()), Some(90 * SECOND));
    assert_eq!(limit(plain().max_flight_duration(milli), Adaptive::p95()), Some(milli), "also below the usual floor");
    assert_eq!(limit(plain().no_flight_deadline(), Adaptive::p95()), Some(30 * SECOND));
}

#[tokio::test]
async fn the_limit_of_now_is_known_without_learning() {
    let handle = plain().build().unwrap().handle();
    assert_eq!(handle.flight_duration_limit(), Some(30 * SECOND));
    assert_eq!(handle.with_max_flight_duration(SECOND).unwrap().flight_duration_limit(), Some(SECOND));
    assert_eq!(plain().no_flight_deadline().build().unwrap().handle().flight_duration_limit(), None);
}

#[tokio::test]
async fn the_greatest_values_build() {
    let adaptive = Adaptive::quantile(0.999_999).times(f64::MAX).window(Duration::MAX).min_samples(u64::MAX);
    assert!(limit(plain().no_flight_deadline(), adaptive.between(Duration::MAX..=Duration::MAX)) > Some(SECOND));
    let least = Adaptive::quantile(1e-9).min_samples(1).window(Duration::from_nanos(1));
    let nano = Duration::from_nanos(1);
    assert_eq!(limit(plain(), least.between(nano..=nano)), Some(nano));
}

//! Options that make no sense.

use std::time::Duration;

use shardflight::{
    BuildError, Coalescer,
    dashboard::{Dashboard, DashboardBuildError},
};

use crate::viewer::users;

#[tokio::test]
async fn options_that_make_no_sense_are_named() {
    let users = users();
    let one = || Dashboard::builder().coalescer("users", &users.handle());
    let said = |error: DashboardBuildError| error.to_string();
    let errors = [
        Dashboard::builder().build(),
        Dashboard::builder().coalescer(" ", &users.handle()).build(),
        one().coalescer("users", &users.handle()).build(),
        one().every(Duration::from_millis(99)).build(),
        one().every(Duration::from_secs(61)).build(),
        one().max_viewers(0).build(),
    ];
    let errors: Vec<_> = errors.into_iter().map(|built| said(built.unwrap_err())).collect();
    let expected = [
        "the dashboard has 0 coalescers; the least is 1",
        "a coalescer was given an empty name; the least is 1 character that isn't blank",
        "two coalescers were given the name \"users\"; the most is one",
        "every is 99ms; the least is 100ms, the most 60s",
        "every is 61s; the least is 100ms, the most 60s",
        "max_viewers is 0; the least is 1",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn recording_needs_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let users = Coalescer::<String, u64>::builder().build_on(runtime.handle()).unwrap();
    let dashboard = Dashboard::builder().coalescer("users", &users.handle());
    assert_eq!(dashboard.record_always().build().unwrap_err(), DashboardBuildError::NoRuntime);
}

#[tokio::test]
async fn a_number_of_hot_keys_is_from_one_to_a_thousand() {
    for hot_keys in [0, 1_001] {
        let error = Coalescer::<String, u64>::builder().profile(hot_keys).build().unwrap_err();
        assert_eq!(error, BuildError::InvalidHotKeys { hot_keys, limit: 1_000 });
    }
}

//! What is counted for the live page.

use std::time::Duration;

use super::{
    super::{Completion, HotKey, Limits, ProfileSnapshot, Shard, Slot, WINDOW},
    bench::{Bench, flight, limits},
};
use crate::{
    config::OnAbandon,
    error::JoinErrorKind::{Reentrant, TooManyWaiters},
};

const HOUR: Duration = Duration::from_secs(3600);

fn profiled(hot_keys: usize, on_abandon: OnAbandon) -> Bench {
    let mut bench = Bench::under(limits(on_abandon));
    let limits = Limits { max_flight_duration: Some(HOUR), ..limits(on_abandon) };
    bench.shard = Shard::new(0, limits).with_profile(Some(hot_keys));
    bench
}

fn snapshot(bench: &mut Bench) -> ProfileSnapshot {
    bench.shard.profile(10, bench.now).expect("it was asked for")
}

/// Hash, least and most of each.
fn hot_keys(bench: &mut Bench) -> Vec<(u64, u64, u64)> {
    let keys = snapshot(bench).hot_keys.into_iter();
    keys.map(|HotKey { hash, at_least, at_most, .. }| (hash, at_least, at_most)).collect()
}

/// A flight of this many callers, from its start to its end.
fn fly(bench: &mut Bench, number: u64, key: u64, callers: usize) {
    bench.join_all(std::iter::repeat_n(key, callers));
    assert!(bench.complete(flight(key, number), Completion::Value).is_some());
}

#[test]
fn a_flight_counts_by_those_that_joined_behind_its_leader_however_it_ends() {
    let mut bench = profiled(8, OnAbandon::Abort);
    fly(&mut bench, 0, 1, 4);
    fly(&mut bench, 1, 2, 1);
    bench.join_all([3, 3, 3]);
    bench.now += HOUR;
    assert!(bench.expired_after().is_some());
    bench.join_all([4, 4]);
    for number in [0, 1] {
        bench.leave(Slot { flight: flight(4, 3), number });
    }
    bench.now += Duration::from_secs(1);
    let expected = [(3, 2, 2), (4, 1, 1)];
    assert_eq!(hot_keys(&mut bench), expected, "those of an hour before are none any more");
    assert_eq!(snapshot(&mut bench).saved, 3);
}

#[test]
fn hot_keys_are_those_of_two_windows_at_most() {
    let mut bench = profiled(8, OnAbandon::Finish);
    fly(&mut bench, 0, 1, 4);
    bench.now += WINDOW;
    fly(&mut bench, 1, 1, 2);
    fly(&mut bench, 2, 2, 3);
    assert_eq!(hot_keys(&mut bench), [(1, 4, 4), (2, 2, 2)], "of both windows");
    bench.now += WINDOW;
    assert_eq!(hot_keys(&mut bench), [(2, 2, 2), (1, 1, 1)], "of the later one");
    bench.now += WINDOW;
    assert_eq!(hot_keys(&mut bench), []);
}

#[test]
fn a_key_that_may_have_lost_its_place_has_an_error_in_both_windows() {
    let mut bench = profiled(1, OnAbandon::Finish);
    fly(&mut bench, 0, 1, 4);
    bench.now += WINDOW;
    fly(&mut bench, 1, 2, 3);
    fly(&mut bench, 2, 3, 2);
    // 2 lost its place to 3, which has its count as an error; each may have been in the window before.
    assert_eq!(hot_keys(&mut bench), [(1, 3, 3 + 3), (3, 1, 3 + 3)]);
}

#[test]
fn refusals_count_by_reason() {
    let mut bench = Bench::under(limits(OnAbandon::Finish));
    let limits = Limits { max_waiters: 2, ..limits(OnAbandon::Finish) };
    bench.shard = Shard::new(0, limits).with_profile(Some(1));
    bench.join_all([1, 1, 1, 1]);
    bench.reject(Slot { flight: flight(1, 0), number: 1 });
    assert_eq!(snapshot(&mut bench).refusals, [(TooManyWaiters, 2), (Reentrant, 1)]);
    assert_eq!(bench.stats().rejections, 3);
}

#[test]
fn durations_are_from_start_to_end() {
    let mut bench = profiled(1, OnAbandon::Finish);
    bench.join(1);
    bench.now += Duration::from_millis(800);
    bench.complete(flight(1, 0), Completion::Value);
    let found = snapshot(&mut bench).durations.percentile(50).unwrap();
    assert!((0.7..0.9).contains(&found.as_secs_f64()), "{found:?}");
}

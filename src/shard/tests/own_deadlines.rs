//! Flights with a time limit of their own: their leader's, or one that work has extended.

use std::time::Duration;

use super::bench::*;
use crate::{
    config::{OnAbandon, OnExpiry},
    error::NotExtended,
    shard::{
        Completion, FlightId, Join, Limits,
        fake::{Name, Numbers, join_of},
    },
};
use Seen::{Alarm, Begins, CutShort, Overdue};

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::new(60, 0);

fn bench(max_flight_duration: Option<Duration>, on_expiry: OnExpiry) -> Bench {
    Bench::under(Limits { max_flight_duration, on_expiry, ..limits(OnAbandon::Finish) })
}

/// Flights may be extended to twice the limit.
fn extensible(on_expiry: OnExpiry) -> Bench {
    let max_extended_duration = Some(2 * LIMIT);
    Bench::under(Limits {
        max_flight_duration: Some(LIMIT),
        max_extended_duration,
        on_expiry,
        ..limits(OnAbandon::Finish)
    })
}

fn limited(name: u64, limit: Duration) -> Join<Numbers> {
    Join { limit: Some(limit), ..join_of(name, Name(name), 0) }
}

fn timed_out(flight: FlightId) -> [Seen; 2] {
    [Overdue(flight, 1), CutShort(flight, vec![0], "timed_out", true)]
}

#[test]
fn each_flight_has_the_limit_of_its_leader() {
    let mut bench = bench(Some(LIMIT), OnExpiry::Fail);
    let start = bench.now;
    bench.join_as(limited(1, LONG));
    bench.join(2);
    assert_eq!(bench.seen(), [Alarm, Alarm], "the second has to be looked at earlier");
    bench.join_as(limited(3, SHORT));
    assert_eq!((bench.seen(), bench.tick()), (vec![Alarm], Some(start + SHORT)));
    bench.now = start + SHORT;
    assert_eq!((bench.tick(), bench.seen()), (Some(start + LIMIT), timed_out(THIRD).into()));
    bench.now = start + LIMIT;
    assert_eq!(bench.tick(), Some(start + LONG));
    assert_eq!(bench.seen(), [Overdue(SECOND, 1), CutShort(SECOND, vec![2], "timed_out", true)]);
    bench.now = start + LONG;
    assert_eq!((bench.tick(), bench.seen()), (None, timed_out(FIRST).into()));
    assert!(bench.shard.own_deadlines.is_empty());
}

#[test]
fn a_join_ends_a_flight_past_its_own_limit_and_no_other() {
    let mut bench = bench(None, OnExpiry::Fail);
    bench.join_as(limited(1, SHORT));
    bench.join(2);
    bench.now += SHORT;
    bench.seen();
    assert_eq!(bench.join(2), Became::Follows(SECOND, 1));
    assert_eq!(bench.seen(), timed_out(FIRST));
    assert_eq!(bench.gauges(), (1, 2));
}

#[test]
fn a_flight_that_ends_in_time_leaves_no_deadline() {
    for abort in [false, true] {
        let mut bench = bench(None, OnExpiry::Fail);
        bench.join_as(limited(1, SHORT));
        bench.join_as(limited(2, SHORT));
        bench.complete(flight(1, 0), Completion::Value);
        bench.close(abort);
        assert!(bench.shard.own_deadlines.is_empty());
    }
}

#[test]
fn a_detached_flight_is_late_once() {
    let mut bench = bench(Some(LIMIT), OnExpiry::Detach);
    bench.join_as(limited(1, SHORT));
    bench.seen();
    bench.now += SHORT;
    assert_eq!((bench.tick(), bench.seen()), (None, vec![Overdue(FIRST, 1)]));
    bench.now += LIMIT;
    assert_eq!((bench.tick(), bench.seen()), (None, vec![]));
    assert_eq!(bench.stats().oldest_flight, Some(SHORT + LIMIT));
    assert!(bench.shard.own_deadlines.is_empty());
}

#[test]
fn the_time_of_a_flight_that_waits_begins_with_its_work() {
    let mut bench = bench(None, OnExpiry::Fail);
    bench.join(1);
    bench.join_as(Join { fresh: true, ..limited(1, SHORT) });
    bench.now += LONG;
    assert_eq!((bench.tick(), bench.seen()), (None, vec![]));
    bench.complete(flight(1, 0), Completion::Value);
    assert_eq!(bench.seen(), [Begins(1), Alarm]);
    bench.now += SHORT;
    assert_eq!((bench.tick(), bench.seen()), (None, timed_out(SECOND).into()));
}

#[test]
fn the_oldest_flights_are_those_of_both_kinds() {
    let mut bench = bench(Some(LIMIT), OnExpiry::Fail);
    for name in 1..=4 {
        if name % 2 == 0 {
            bench.join(name);
        } else {
            bench.join_as(limited(name, LONG));
        }
        bench.now += Duration::from_secs(1);
    }
    assert_eq!(bench.stats().oldest_flight, Some(Duration::from_secs(4)));
    let (_, oldest) = bench.shard.inspect(3, bench.now);
    let ages: Vec<_> = oldest.iter().map(|flight| flight.age.as_secs()).collect();
    assert_eq!(ages, [4, 3, 2]);
}

#[test]
fn an_extended_flight_ends_at_its_later_deadline() {
    let mut bench = extensible(OnExpiry::Fail);
    let start = bench.now;
    bench.join(1);
    bench.join(2);
    bench.now = (start + LIMIT).checked_sub(SHORT).unwrap();
    assert_eq!(bench.extend(flight(1, 0), 2 * SHORT), Ok(2 * SHORT));
    assert_eq!(bench.shard.inspect(9, bench.now).1.len(), 2, "each flight once");
    bench.seen();
    bench.now = start + LIMIT;
    let extended = start + LIMIT + SHORT;
    assert_eq!(
        (bench.tick(), bench.seen()),
        (Some(extended), vec![Overdue(SECOND, 1), CutShort(SECOND, vec![2], "timed_out", true)])
    );
    assert_eq!(bench.join(1), Became::Follows(FIRST, 1));
    assert_eq!(bench.stats().oldest_flight, Some(LIMIT));
    bench.now = extended;
    let after = LIMIT + SHORT;
    assert_eq!(bench.expired_after(), Some(after), "the time that it had in all");
    assert!(bench.shard.own_deadlines.is_empty());
}

#[test]
fn no_flight_is_extended_beyond_the_cap() {
    let mut bench = extensible(OnExpiry::Fail);
    bench.join(1);
    bench.now += LIMIT / 2;
    assert_eq!(bench.extend(flight(1, 0), Duration::MAX), Ok(3 * LIMIT / 2));
    assert_eq!(bench.extend(flight(1, 0), SHORT), Ok(3 * LIMIT / 2), "a deadline never moves back");
    bench.now += 3 * LIMIT / 2;
    assert_eq!(bench.extend(flight(1, 0), SHORT), Err(NotExtended::Over));
}

#[test]
fn a_flight_with_a_limit_of_its_own_is_extended_from_that() {
    let mut bench = extensible(OnExpiry::Fail);
    bench.join_as(limited(1, SHORT));
    bench.join_as(limited(2, 3 * LIMIT));
    assert_eq!(bench.extend(flight(1, 0), LIMIT), Ok(LIMIT));
    assert_eq!(bench.extend(flight(2, 1), LIMIT), Ok(3 * LIMIT), "longer than the cap as it is");
    bench.complete(flight(1, 0), Completion::Value);
    bench.complete(flight(2, 1), Completion::Value);
    assert!(bench.shard.own_deadlines.is_empty());
    assert_eq!(bench.extend(flight(1, 0), LIMIT), Err(NotExtended::Over));
}

#[test]
fn a_flight_past_its_deadline_is_not_extended() {
    for limit in [None, Some(SHORT)] {
        let mut bench = extensible(OnExpiry::Detach);
        bench.join_as(Join { limit, ..limited(1, SHORT) });
        bench.now += limit.unwrap_or(LIMIT);
        assert_eq!(bench.extend(flight(1, 0), LIMIT), Err(NotExtended::Over), "nor before a turn has found out");
        bench.tick();
        assert_eq!(bench.extend(flight(1, 0), LIMIT), Err(NotExtended::Over));
    }
}

#[test]
fn a_flight_that_waits_is_not_extended_before_its_work_has_begun() {
    let mut bench = extensible(OnExpiry::Fail);
    bench.join(1);
    bench.join_as(Join { fresh: true, ..join_of(1, Name(1), 0) });
    assert_eq!(bench.extend(flight(1, 1), LIMIT), Err(NotExtended::Over));
}

#[test]
fn without_a_cap_nothing_is_extended() {
    let mut bench = bench(Some(LIMIT), OnExpiry::Fail);
    bench.join(1);
    assert_eq!(bench.extend(flight(1, 0), LIMIT), Err(NotExtended::NotAllowed));
}

#[test]
fn a_flight_without_a_deadline_gets_none() {
    let max_extended_duration = Some(LIMIT);
    let mut bench = Bench::under(Limits { max_extended_duration, ..limits(OnAbandon::Finish) });
    bench.join(1);
    assert_eq!(bench.extend(flight(1, 0), SHORT), Ok(Duration::MAX));
    bench.now += 2 * LIMIT;
    assert_eq!((bench.tick(), bench.seen()), (None, vec![]));
}

//! Deadlines (G11).

use std::time::Duration;

use super::bench::*;
use crate::{
    config::{OnAbandon, OnExpiry},
    shard::{Completion, FlightId, FlightRef, Limits, expiry::EXPIRIES, fake::Name},
};
use Became::{Follows, Leads};
use Seen::{Alarm, CutShort, Overdue};

const LIMIT: Duration = Duration::from_secs(5);
const NANOSECOND: Duration = Duration::from_nanos(1);

fn expiring(on_expiry: OnExpiry) -> Bench {
    Bench::under(Limits { max_flight_duration: Some(LIMIT), on_expiry, ..limits(OnAbandon::Finish) })
}

/// What comes of a flight of these callers whose time is up.
fn timed_out(flight: FlightId, callers: &[u64]) -> [Seen; 2] {
    [Overdue(flight, callers.len()), CutShort(flight, callers.to_vec(), "timed_out", true)]
}

#[test]
fn a_flight_is_late_at_its_deadline_and_not_before() {
    let mut bench = expiring(OnExpiry::Fail);
    let start = bench.now;
    bench.join(7);
    bench.join(7);
    assert_eq!(bench.seen(), [Alarm]);
    bench.now = start + LIMIT.saturating_sub(NANOSECOND);
    assert_eq!((bench.tick(), bench.seen()), (Some(start + LIMIT), vec![]));
    assert_eq!(bench.join(7), Follows(FIRST, 2));
    bench.now += NANOSECOND;
    assert_eq!(bench.tick(), None);
    assert_eq!(bench.seen(), timed_out(FIRST, &[1, 2, 3]));
    assert_eq!((bench.stats().timeouts, bench.gauges()), (1, (0, 0)));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), None, "a late result changes nothing");
}

#[test]
fn any_join_expires_what_is_due() {
    let mut bench = expiring(OnExpiry::Fail);
    bench.join(7);
    bench.now += LIMIT;
    bench.seen();
    assert_eq!(bench.join(8), Leads(SECOND));
    assert_eq!(bench.seen(), timed_out(FIRST, &[1]), "the alarm that is set will do");
    assert_eq!(bench.join(7), Leads(THIRD));
}

#[test]
fn a_join_of_its_own_key_expires_a_flight_and_leads() {
    for on_expiry in [OnExpiry::Fail, OnExpiry::Detach] {
        let mut bench = expiring(on_expiry);
        bench.join(7);
        bench.now += LIMIT;
        assert_eq!(bench.join(7), Leads(SECOND));
        assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2]));
    }
}

#[test]
fn a_detached_flight_keeps_its_callers_and_takes_no_more() {
    let mut bench = expiring(OnExpiry::Detach);
    bench.join(7);
    bench.seen();
    bench.now += LIMIT;
    assert_eq!((bench.tick(), bench.seen()), (None, vec![Overdue(FIRST, 1)]));
    assert!(!bench.shard.forget(7, &Name(7)).unwrap(), "it is detached already");
    assert_eq!(bench.join(7), Leads(SECOND));
    bench.tick();
    assert_eq!(bench.seen(), [Alarm], "a flight is late once");
    assert_eq!(bench.stats().oldest_flight, Some(LIMIT), "it is still the oldest");
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1]));
    assert_eq!(bench.stats().oldest_flight, Some(Duration::ZERO));
}

#[test]
fn no_join_follows_past_the_deadline_though_more_are_due_than_one_turn_expires() {
    let flights = EXPIRIES as u64 + 10;
    // With `Fail`, the join ends the flight of its own key itself, as its own has to wait for that one's work.
    for (on_expiry, expired, left) in
        [(OnExpiry::Fail, EXPIRIES as u64 + 1, 9), (OnExpiry::Detach, EXPIRIES as u64, flights)]
    {
        let mut bench = expiring(on_expiry);
        bench.join_all(0..flights);
        bench.now += LIMIT;
        let last = flights - 1;
        assert_eq!(bench.join(last), Leads(flight(last, flights).id));
        assert_eq!(bench.stats().timeouts, expired);
        assert_eq!(bench.shard.flights(), usize::try_from(left).unwrap() + 1);
        assert_eq!(bench.join(last), Follows(flight(last, flights).id, 1));
        assert_eq!(bench.stats().timeouts, flights, "the next turn expired the others");
        let next = if on_expiry == OnExpiry::Fail { GRACE } else { LIMIT };
        assert_eq!(bench.tick(), Some(bench.now + next));
    }
}

#[test]
fn the_actor_looks_again_at_once_where_more_are_due_than_one_turn_expires() {
    let mut bench = expiring(OnExpiry::Fail);
    bench.join_all(0..=EXPIRIES as u64);
    bench.now += LIMIT;
    assert_eq!(bench.tick(), Some(bench.now));
    assert_eq!((bench.tick(), bench.gauges()), (None, (0, 0)));
}

#[test]
fn a_forgotten_flight_has_its_deadline_too() {
    let mut bench = expiring(OnExpiry::Fail);
    bench.join(7);
    bench.seen();
    bench.shard.forget(7, &Name(7)).unwrap();
    bench.now += LIMIT;
    bench.tick();
    assert_eq!(bench.seen(), timed_out(FIRST, &[1]));
}

#[test]
fn flights_are_late_one_after_the_other() {
    let mut bench = expiring(OnExpiry::Fail);
    let start = bench.now;
    for name in [7, 8, 9] {
        bench.join(name);
        bench.now += Duration::from_secs(1);
    }
    bench.seen();
    bench.complete(flight(7, 0), Completion::Value);
    bench.now = start + LIMIT;
    assert_eq!(bench.tick(), Some(start + LIMIT + Duration::from_secs(1)));
    assert_eq!(bench.seen(), [], "the one that would be late is over");
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.tick(), Some(start + LIMIT + Duration::from_secs(2)));
    assert_eq!(bench.seen(), timed_out(SECOND, &[2]));
}

#[test]
fn an_alarm_is_asked_for_once_until_it_has_rung() {
    let mut bench = expiring(OnExpiry::Fail);
    bench.join(7);
    assert_eq!(bench.seen(), [Alarm]);
    bench.join(8);
    bench.complete(flight(7, 0), Completion::Value);
    bench.complete(flight(8, 1), Completion::Value);
    bench.join(7);
    assert_eq!(bench.seen(), [], "it is set already");
    assert_eq!(bench.tick(), Some(bench.now + LIMIT), "and is set again");
    bench.join(8);
    assert_eq!(bench.seen(), []);
    bench.complete(flight(7, 2), Completion::Value);
    bench.complete(flight(8, 3), Completion::Value);
    assert_eq!(bench.tick(), Some(bench.now + LIMIT), "the actor looked too late for the flights, and leaves it set");
    bench.join(8);
    assert_eq!(bench.seen(), []);
    bench.complete(flight(8, 4), Completion::Value);
    bench.now += LIMIT;
    assert_eq!(bench.tick(), None, "there is nothing to wait for");
    bench.join(7);
    assert_eq!(bench.seen(), [Alarm]);
}

#[test]
fn a_flight_without_a_limit_is_never_late() {
    for max_flight_duration in [None, Some(Duration::MAX)] {
        let mut bench = Bench::under(Limits { max_flight_duration, ..limits(OnAbandon::Finish) });
        bench.join(7);
        bench.now += Duration::from_secs(1_000_000);
        assert_eq!((bench.tick(), bench.seen()), (None, vec![]));
        assert_eq!(bench.join(7), Follows(FIRST, 1));
        assert_eq!(bench.stats().oldest_flight, Some(Duration::from_secs(1_000_000)));
    }
}

#[test]
fn flights_that_are_over_leave_no_deadlines_behind() {
    let mut bench = expiring(OnExpiry::Fail);
    bench.join(1_000_000);
    let mut next = flight(0, 0);
    for name in 0..10_000 {
        next = FlightRef { hash: name, id: next.id.next() };
        bench.join(name);
        assert!(bench.complete(next, Completion::Value).is_some());
    }
    assert!(bench.shard.deadlines.len() < 100, "{}", bench.shard.deadlines.len());
}

#[test]
fn the_deadline_queue_of_a_burst_shrinks_when_it_has_passed() {
    let mut bench = expiring(OnExpiry::Detach);
    bench.join_all(0..1_000);
    bench.now += LIMIT;
    while bench.tick().is_some() {}
    assert_eq!((bench.shard.deadlines.len(), bench.shard.overdue.len()), (0, 1_000));
    (0..1_000).for_each(|name| assert!(bench.complete(flight(name, name), Completion::Value).is_some()));
    for name in 0..100 {
        bench.join(name);
    }
    bench.now += LIMIT;
    while bench.tick().is_some() {}
    assert!(bench.shard.overdue.len() <= 300, "{}", bench.shard.overdue.len());
    assert!(bench.shard.overdue.capacity() <= 600, "{}", bench.shard.overdue.capacity());
}

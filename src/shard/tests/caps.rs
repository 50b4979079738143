//! Caps (G7).

use std::time::Duration;

use super::bench::*;
use crate::{
    config::OnAbandon,
    error::JoinError,
    shard::{
        Completion, Join, Joined, Limits, Permits,
        fake::{Name, UNCOMPARABLE, join_of},
    },
};
use Became::{Follows, Leads, Refused};

fn waiters(max_waiters: usize) -> Bench {
    Bench::under(Limits { max_waiters, ..limits(OnAbandon::Finish) })
}

fn permits(flights: usize) -> Limits {
    Limits { permits: Permits::new(flights), ..limits(OnAbandon::Finish) }
}

#[test]
fn a_full_flight_refuses_one_more_and_takes_one_when_one_has_left() {
    let mut bench = waiters(2);
    bench.join(7);
    bench.join(7);
    assert_eq!(bench.join(7), Refused("too_many_waiters"));
    assert_eq!(bench.seen(), [Seen::Rejected("too_many_waiters")]);
    bench.leave(slot(flight(7, 0), 0));
    assert_eq!(bench.join(7), Follows(FIRST, 2));
    assert_eq!(bench.join(7), Refused("too_many_waiters"));
    assert_eq!((bench.joins(), bench.gauges()), ([1, 2, 2], (1, 2)));
}

#[test]
fn a_cap_of_one_leaves_the_leader_alone() {
    let mut bench = waiters(1);
    assert_eq!((bench.join(7), bench.join(7)), (Leads(FIRST), Refused("too_many_waiters")));
    bench.leave(slot(flight(7, 0), 0));
    assert_eq!(bench.join(7), Follows(FIRST, 1));
}

#[test]
fn a_refused_caller_gets_back_what_it_came_with() {
    let mut bench = waiters(1);
    bench.join(7);
    let Joined::Refused { error, key, waker } = bench.join_as(join_of(7, Name(7), 20)) else {
        panic!("the flight is full");
    };
    assert_eq!((kind(&error), key, waker), ("too_many_waiters", Name(7), 20));
    assert!(error.to_string().contains('1'), "{error}");
}

#[test]
fn a_flight_may_start_while_there_are_permits() {
    let mut bench = Bench::under(permits(2));
    bench.join(7);
    bench.join(8);
    assert_eq!(bench.join(9), Refused("too_many_flights"));
    assert_eq!(bench.join(8), Follows(SECOND, 1), "a follower needs none");
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(bench.join(9), Leads(THIRD));
}

#[test]
fn shards_share_their_permits() {
    let limits = Limits { on_abandon: OnAbandon::Abort, ..permits(1) };
    let (mut one, mut other) = (Bench::under(limits.clone()), Bench::under(limits));
    one.join(7);
    assert_eq!(other.join(8), Refused("too_many_flights"));
    one.leave(slot(flight(7, 0), 0));
    assert_eq!(other.join(8), Refused("too_many_flights"), "its work has not ended");
    one.complete(flight(7, 0), Completion::Aborted);
    assert_eq!(other.join(8), Leads(FIRST));
}

#[test]
fn a_forgotten_flight_keeps_its_permit_until_it_ends() {
    let mut bench = Bench::under(permits(1));
    bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    assert_eq!(bench.join(7), Refused("too_many_flights"));
    bench.complete(flight(7, 0), Completion::Value);
    assert_eq!(bench.join(7), Leads(SECOND));
}

#[test]
fn a_refused_join_takes_no_permit() {
    let mut bench = Bench::under(Limits { max_waiters: 1, ..permits(2) });
    bench.join_hashed(1, Name(7));
    bench.join_hashed(1, Name(7));
    bench.join_hashed(1, UNCOMPARABLE);
    bench.shard.drain();
    bench.join(9);
    assert_eq!((bench.shard.limits.permits.left(), bench.joins()), (1, [1, 0, 3]));
}

#[test]
fn each_execution_gives_its_permit_back_when_it_has_ended_however_its_flight_did() {
    let second = Duration::from_secs(1);
    let limits = Limits { max_flight_duration: Some(second), on_abandon: OnAbandon::Abort, ..permits(5) };
    let mut bench = Bench::under(limits);
    let left = |bench: &mut Bench| (bench.shard.limits.permits.left(), bench.stats().lingering);
    bench.join_all([1, 2, 3]);
    bench.complete(flight(1, 0), Completion::Value);
    assert_eq!(left(&mut bench), (3, 0));
    bench.leave(slot(flight(2, 1), 0));
    bench.now += second;
    bench.tick();
    assert_eq!(left(&mut bench), (3, 2), "abandoned, and expired");
    bench.join_all([1, 2]);
    bench.shard.forget(1, &Name(1)).unwrap();
    bench.close(true);
    assert_eq!(left(&mut bench), (1, 4));
    for (ended, late) in [flight(2, 1), flight(3, 2), flight(1, 3), flight(2, 4)].into_iter().enumerate() {
        bench.leave(slot(late, 0));
        assert_eq!(bench.complete(late, Completion::Aborted), None);
        assert_eq!(left(&mut bench), (2 + ended, 3 - ended));
    }
}

#[test]
fn a_crowd_is_reported_once_per_flight() {
    let mut bench = Bench::under(Limits { crowd: 2, ..limits(OnAbandon::Finish) });
    bench.join(7);
    assert_eq!(bench.seen(), []);
    bench.join(7);
    assert_eq!(bench.seen(), [Seen::Crowded(FIRST, 2)]);
    bench.leave(slot(flight(7, 0), 1));
    bench.join(7);
    assert_eq!(bench.seen(), []);
    bench.complete(flight(7, 0), Completion::Value);
    bench.join(7);
    bench.join(7);
    assert_eq!(bench.seen(), [Seen::Crowded(SECOND, 2)]);
}

#[test]
fn a_leader_alone_may_be_a_crowd() {
    let mut bench = Bench::under(Limits { crowd: 1, ..limits(OnAbandon::Finish) });
    bench.join(7);
    assert_eq!(bench.seen(), [Seen::Crowded(FIRST, 1)]);
}

#[test]
fn work_that_joins_its_own_key_is_refused_at_once_even_if_its_flight_is_full() {
    let mut bench = waiters(1);
    bench.join(7);
    let own = Join { origin: Some(flight(7, 0).id), ..join_of(7, Name(7), 2) };
    assert!(matches!(bench.join_as(own), Joined::Refused { error: JoinError::Reentrant, .. }));
    assert_eq!((bench.joins(), bench.gauges()), ([1, 0, 1], (1, 1)));
}

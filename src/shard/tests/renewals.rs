//! Callers that are polled with another waker.

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{Completion, Renewed, fake::Name},
};

fn bench() -> Bench {
    Bench::new(OnAbandon::Finish)
}

#[test]
fn a_flight_wakes_the_latest_waker_of_each_caller() {
    let mut bench = bench();
    bench.join_all([7; 3]);
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 1), 20), Renewed::Replaced(2)));
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 0), 10), Renewed::Replaced(1)));
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 1), 21), Renewed::Replaced(20)));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![10, 21, 3]));
}

#[test]
fn a_caller_of_a_detached_flight_exchanges_its_waker() {
    let mut bench = bench();
    bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    bench.join(7);
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 0), 10), Renewed::Replaced(1)));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![10]));
}

#[test]
fn a_renewal_after_the_end_gives_the_waker_back() {
    let mut bench = bench();
    bench.join(7);
    bench.complete(flight(7, 0), Completion::Value);
    bench.join(7);
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 0), 10), Renewed::Over(10)));
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2]));
}

#[test]
fn a_renewal_doesnt_take_back_a_slot_that_was_given_up() {
    let mut bench = bench();
    bench.join_all([7; 2]);
    bench.leave(slot(flight(7, 0), 1));
    assert!(matches!(bench.shard.renew(slot(flight(7, 0), 1), 20), Renewed::Over(20)));
    assert_eq!(bench.gauges(), (1, 1));
}

//! Callers that leave: what becomes of their slots and of their flight (G2, G6, G10).

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{
        Completion,
        fake::{COMPARISONS, Name},
    },
};
use Became::{Follows, Leads};
use Gone::{Abandoned, Departed, NotFound};

#[test]
fn a_slot_is_free_at_once_and_its_waker_comes_back() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join_all([7; 3]);
    assert_eq!(bench.leave(slot(flight(7, 0), 1)), Departed(2));
    assert_eq!((bench.gauges(), bench.stats().departures), ((1, 2), 1));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1, 3]));
}

#[test]
fn a_slot_is_freed_once() {
    for on_abandon in [OnAbandon::Finish, OnAbandon::Abort] {
        let mut bench = Bench::new(on_abandon);
        bench.join_all([7; 3]);
        for number in [0, 2] {
            assert!(matches!(bench.leave(slot(flight(7, 0), number)), Departed(_)));
            assert_eq!(bench.leave(slot(flight(7, 0), number)), NotFound);
        }
        assert_eq!((bench.gauges(), bench.stats().departures), ((1, 1), 2));
    }
}

#[test]
fn a_slot_is_never_given_to_another_caller() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join(7);
    assert_eq!(bench.join(7), Follows(FIRST, 1));
    bench.leave(slot(flight(7, 0), 1));
    assert_eq!(bench.join(7), Follows(FIRST, 2));
    assert_eq!(bench.leave(slot(flight(7, 0), 1)), NotFound);
}

#[test]
fn a_slot_that_was_never_given_is_not_found() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join(7);
    assert_eq!(bench.leave(slot(flight(7, 0), 1)), NotFound);
    assert_eq!(bench.leave(slot(flight(7, 1), 0)), NotFound);
    assert_eq!(bench.gauges(), (1, 1));
}

#[test]
fn a_leader_that_leaves_takes_nothing_from_its_followers() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join_all([7; 2]);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Departed(1));
    assert_eq!(bench.join(7), Follows(FIRST, 2));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![2, 3]));
}

#[test]
fn a_caller_that_leaves_after_the_end_is_no_departure() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join(7);
    bench.complete(flight(7, 0), Completion::Value);
    bench.join(7);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), NotFound);
    assert_eq!((bench.stats().departures, bench.gauges()), (0, (1, 1)));
}

#[test]
fn work_goes_on_under_finish_and_later_joins_share_it() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join(7);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Departed(1));
    assert_eq!(bench.gauges(), (1, 0));
    assert_eq!(bench.join(7), Follows(FIRST, 1));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![2]));
}

#[test]
fn a_flight_without_callers_ends_under_finish() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join(7);
    bench.leave(slot(flight(7, 0), 0));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![]));
    assert_eq!(bench.gauges(), (0, 0));
}

#[test]
fn the_last_caller_takes_the_flight_with_it_under_abort() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join_all([7; 2]);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Departed(1));
    assert_eq!(bench.leave(slot(flight(7, 0), 1)), Abandoned(2, FIRST));
    assert_eq!((bench.gauges(), bench.stats().aborts), ((0, 0), 1));
    assert_eq!(bench.join(7), Leads(SECOND), "no join meets a dying flight");
    assert_eq!(bench.complete(flight(7, 0), Completion::Aborted), None, "the aborted task's own report is late");
    assert_eq!((bench.gauges(), bench.stats().aborts), ((1, 1), 1));
}

#[test]
fn a_forgotten_flight_is_abandoned_too() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    bench.join(7);
    assert_eq!(bench.leave(slot(flight(7, 0), 0)), Abandoned(1, FIRST));
    assert_eq!(bench.join(7), Follows(SECOND, 1));
}

#[test]
fn callers_leave_in_any_order() {
    for step in [1, 3, 7, 9] {
        let mut bench = Bench::new(OnAbandon::Abort);
        bench.join_all([7; 10]);
        for index in 0..9 {
            let number = (index * step) % 10;
            assert_eq!(bench.leave(slot(flight(7, 0), number)), Departed(number + 1));
        }
        let last = (9 * step) % 10;
        assert_eq!(bench.leave(slot(flight(7, 0), last)), Abandoned(last + 1, FIRST), "step {step}");
        assert_eq!(bench.stats().departures, 10);
    }
}

#[test]
fn slots_of_callers_that_left_are_given_back_while_the_flight_goes_on() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join_all([7; 1_000]);
    for number in (0..1_000).filter(|number| number % 100 != 7) {
        assert_eq!(bench.leave(slot(flight(7, 0), number)), Departed(number + 1));
    }
    let capacity = bench.shard.flights.get(flight(7, 0)).unwrap().waiters.capacity();
    assert!(capacity < 50, "{capacity} slots for ten callers");
    for number in (0..1_000).filter(|number| number % 200 == 7) {
        assert_eq!(bench.leave(slot(flight(7, 0), number)), Departed(number + 1), "found after the others were moved");
    }
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![108, 308, 508, 708, 908]));
}

#[test]
fn a_follower_whose_wait_closed_a_cycle_counts_as_refused_and_not_as_coalesced() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join_all([7, 7]);
    assert_eq!(bench.reject(slot(flight(7, 0), 1)), Departed(2));
    assert_eq!((bench.joins(), bench.gauges()), ([1, 0, 1], (1, 1)));
    assert_eq!(bench.stats().departures, 0);
    assert_eq!(bench.reject(slot(flight(7, 0), 1)), NotFound, "it is counted once");
}

#[test]
fn a_leader_whose_wait_closed_a_cycle_counts_as_departed() {
    let mut bench = Bench::new(OnAbandon::Finish);
    bench.join(7);
    assert_eq!(bench.reject(slot(flight(7, 0), 0)), Departed(1));
    assert_eq!((bench.joins(), bench.stats().departures), ([1, 0, 0], 1), "its work was run");
}

#[test]
fn departures_and_completions_compare_no_keys() {
    let mut bench = Bench::new(OnAbandon::Finish);
    for _ in 0..100 {
        bench.join(7);
        bench.shard.forget(7, &Name(7)).unwrap();
    }
    // Of the same hash as the others, and joinable.
    bench.join_all([7; 2]);
    let before = COMPARISONS.get();
    for number in 0..=100 {
        assert!(matches!(bench.leave(slot(flight(7, number), 0)), Departed(_)));
    }
    assert_eq!(bench.complete(flight(7, 50), Completion::Value), Some(vec![]));
    assert_eq!(COMPARISONS.get(), before);
}

//! Work that waits for its own flight (G12).

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{Completion, FlightRef, Limits, Renewed, fake::NO_WAKER},
};
use Became::{Follows, Leads, Refused};
use Gone::{Abandoned, Departed, NotFound};
use Seen::{Rejected, Woken};

fn bench() -> Bench {
    Bench::new(OnAbandon::Finish)
}

const A: FlightRef = FlightRef { hash: 1, id: FIRST };
const B: FlightRef = FlightRef { hash: 2, id: SECOND };
const C: FlightRef = FlightRef { hash: 3, id: THIRD };

impl Bench {
    /// The work of A leads B and waits for it; the work of B joins A.
    fn cycle_of_two(&mut self) {
        assert_eq!(self.join(1), Leads(FIRST));
        assert_eq!(self.join_from(A, 2), Leads(SECOND));
        assert_eq!(self.join_from(B, 1), Follows(FIRST, 1));
        self.pass_all();
    }
}

#[test]
fn work_that_joins_its_own_key_is_refused_at_once() {
    let mut bench = bench();
    bench.join(1);
    assert_eq!(bench.join_from(A, 1), Refused("reentrant"));
    assert_eq!((bench.pass_all(), bench.seen()), (0, vec![Rejected("reentrant")]));
    assert_eq!((bench.joins(), bench.gauges()), ([2, 1, 0, 1], (1, 1)));
}

#[test]
fn work_that_leads_sends_no_probe() {
    let mut bench = bench();
    bench.join(1);
    bench.join_from(A, 2);
    assert_eq!(bench.pass_all(), 0, "the new flight waits for nothing");
}

#[test]
fn the_wait_that_closes_a_cycle_of_two_is_woken_and_told_when_polled() {
    let mut bench = bench();
    bench.cycle_of_two();
    assert_eq!(bench.seen(), [Woken(3)]);
    assert_eq!((bench.joins(), bench.gauges()), ([3, 2, 1, 0], (2, 3)), "not told yet");
    assert!(matches!(bench.shard.renew(slot(A, 1), 30), Renewed::Refused(30)));
    assert_eq!(bench.reject(slot(A, 1)), Departed(NO_WAKER));
    assert_eq!((bench.joins(), bench.gauges()), ([3, 2, 0, 1], (2, 2)));
    assert_eq!(bench.stats().departures, 0);
}

#[test]
fn a_refused_waiter_is_counted_once() {
    let mut bench = bench();
    bench.cycle_of_two();
    bench.reject(slot(A, 1));
    assert_eq!((bench.reject(slot(A, 1)), bench.leave(slot(A, 1))), (NotFound, NotFound));
    assert_eq!((bench.joins(), bench.gauges()), ([3, 2, 0, 1], (2, 2)));
}

#[test]
fn a_refused_waiter_is_woken_once() {
    let mut bench = bench();
    bench.cycle_of_two();
    assert_eq!(bench.seen(), [Woken(3)]);
    // The same wait, suspected once more by another join of the same work.
    bench.join_from(B, 1);
    bench.pass_all();
    assert_eq!(bench.seen(), [Woken(4)]);
}

#[test]
fn a_refused_waiter_gets_the_outcome_of_a_flight_that_ends_first() {
    let mut bench = bench();
    bench.cycle_of_two();
    assert_eq!(bench.complete(A, Completion::Value), Some(vec![1, NO_WAKER]), "it was woken before");
    assert!(matches!(bench.shard.renew(slot(A, 1), 30), Renewed::Over(30)));
    assert_eq!(bench.reject(slot(A, 1)), NotFound);
    assert_eq!(bench.joins(), [3, 2, 1, 0]);
}

#[test]
fn a_refused_waiter_that_leaves_is_a_departure() {
    let mut bench = bench();
    bench.cycle_of_two();
    assert_eq!(bench.leave(slot(A, 1)), Departed(NO_WAKER));
    assert_eq!((bench.joins(), bench.stats().departures), ([3, 2, 1, 0], 1));
}

#[test]
fn a_refused_waiter_takes_its_abandoned_flight_with_it() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.cycle_of_two();
    assert_eq!(bench.leave(slot(A, 0)), Departed(1), "the work of B still waits");
    assert_eq!(bench.reject(slot(A, 1)), Abandoned(NO_WAKER, FIRST));
    assert_eq!((bench.stats().aborts, bench.gauges()), (1, (1, 1)));
}

#[test]
fn a_reset_between_refusing_and_telling_leaves_the_counters_in_agreement() {
    let mut bench = bench();
    bench.cycle_of_two();
    bench.shard.reset_stats();
    bench.reject(slot(A, 1));
    assert_eq!((bench.joins(), bench.gauges()), ([0, 0, 0, 0], (2, 2)));
}

#[test]
fn a_cycle_of_flights_that_others_lead_is_found_whichever_wait_comes_last() {
    for last in 0..3 {
        let mut bench = bench();
        bench.join_all([1, 2, 3]);
        for n in 1..=3 {
            let wait = (last + n) % 3;
            let waiting = [A, B, C][wait];
            assert!(matches!(bench.join_from(waiting, [2, 3, 1][wait]), Follows(..)));
            bench.pass_all();
            assert_eq!(bench.seen().len(), usize::from(n == 3));
        }
    }
}

#[test]
fn a_chain_is_no_cycle() {
    let mut bench = bench();
    bench.join_all(0..10);
    for n in (1..10).rev() {
        assert_eq!(bench.join_from(flight(n, n), n - 1), Follows(flight(n, n - 1).id, 1));
        bench.pass_all();
    }
    assert_eq!(bench.seen(), []);
}

#[test]
fn waiting_for_what_another_waits_for_is_no_cycle() {
    let mut bench = bench();
    bench.join_all([1, 2, 3]);
    for (origin, name) in [(A, 3), (B, 3), (A, 2)] {
        bench.join_from(origin, name);
        bench.pass_all();
    }
    assert_eq!(bench.seen(), []);
}

#[test]
fn a_wait_that_was_given_up_makes_no_cycle() {
    let mut bench = bench();
    bench.join_all([1, 2]);
    assert_eq!(bench.join_from(A, 2), Follows(SECOND, 1));
    bench.leave(slot(B, 1));
    assert_eq!(bench.join_from(B, 1), Follows(FIRST, 1));
    bench.pass_all();
    assert_eq!(bench.seen(), []);
}

#[test]
fn a_leader_is_never_refused() {
    let mut bench = bench();
    bench.join(1);
    bench.join_from(A, 2);
    // The work of A leads B, waits for it once more, and the work of B waits for A.
    assert_eq!(bench.join_from(B, 1), Follows(FIRST, 1));
    assert_eq!(bench.join_from(A, 2), Follows(SECOND, 1));
    bench.pass_all();
    assert_eq!(bench.seen(), [Woken(3), Woken(4)]);
    assert!(matches!(bench.shard.renew(slot(B, 0), 20), Renewed::Replaced(2)));
}

#[test]
fn a_cycle_over_a_detached_flight_is_found() {
    let mut bench = bench();
    bench.join_all([1, 2]);
    bench.join_from(A, 2);
    bench.pass_all();
    assert_eq!(bench.join_from(B, 1), Follows(FIRST, 1));
    assert_eq!(bench.shard.forget_all(), 2);
    bench.pass_all();
    assert_eq!(bench.seen(), [Woken(4)]);
}

#[test]
fn each_caller_of_the_work_that_closes_a_cycle_is_refused() {
    let mut bench = bench();
    bench.join(1);
    bench.join_from(A, 2);
    for number in 1..4 {
        assert_eq!(bench.join_from(B, 1), Follows(FIRST, number));
    }
    bench.pass_all();
    assert_eq!(bench.seen(), [Woken(3), Woken(4), Woken(5)]);
}

#[test]
fn a_probe_visits_each_flight_once_however_many_ways_lead_to_it() {
    let mut bench = bench();
    // Each flight waits for the two before it, so the ways from the last to the first are as many as Fibonacci's numbers.
    for n in 0..60 {
        bench.join(n);
        for before in n.saturating_sub(2)..n {
            bench.join_from(flight(n, n), before);
            bench.pass_all();
        }
    }
    bench.join_from(flight(0, 0), 59);
    assert!(bench.pass_all() <= 2 * 60 + 2);
    assert_eq!(bench.seen().len(), 1);
}

#[test]
fn a_cycle_that_is_too_long_for_a_probe_is_left_to_the_deadline() {
    let found = [60, 70].map(|flights| {
        let mut bench = bench();
        bench.join_all(0..flights);
        for n in 0..flights {
            bench.join_from(flight(n, n), (n + 1) % flights);
            bench.pass_all();
        }
        bench.seen().len()
    });
    assert_eq!(found, [1, 0]);
}

#[test]
fn a_cycle_message_to_a_flight_that_is_over_changes_nothing() {
    let mut bench = bench();
    bench.join(1);
    bench.join_from(A, 2);
    bench.join_from(B, 1);
    bench.complete(A, Completion::Value);
    bench.complete(B, Completion::Value);
    assert_eq!((bench.pass_all(), bench.seen()), (1, vec![]));
}

#[test]
fn a_refused_waiter_holds_its_slot_until_it_is_told() {
    let mut bench = Bench::under(Limits { max_waiters: 2, ..limits(OnAbandon::Finish) });
    bench.cycle_of_two();
    assert_eq!(bench.join(1), Refused("too_many_waiters"));
    bench.reject(slot(A, 1));
    assert_eq!(bench.join(1), Follows(FIRST, 2));
}

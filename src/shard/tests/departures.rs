//! Callers that leave: who notices, what becomes of their flight (G6, G10).

use super::bench::*;
use crate::{error::JoinError, policy::OnAbandon, shard::roster};

#[test]
fn a_join_of_a_caller_that_has_left_counts_nowhere_and_launches_nothing() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let gone = bench.person();
    gone.leave();
    assert_eq!(bench.join_as(&gone, 7, 7), [DiscardedKey]);
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.departures, stats.flights), (0, 0, 0, 0));
}

#[test]
fn work_goes_on_under_finish_when_everyone_has_left_and_later_joins_share_it() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let (leader, _) = bench.join(7);
    assert_eq!(bench.leave(&leader, 7), []);
    assert_eq!((bench.stats().waiters, bench.stats().flights), (0, 1));
    assert_eq!(bench.join(7).1, []);
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(2, Ok(70), false), DiscardedKey]);
}

#[test]
fn an_abandoned_flight_leaves_its_key_and_value_to_be_discarded() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let (leader, _) = bench.join(7);
    bench.leave(&leader, 7);
    assert_eq!(bench.complete(7, 0, Ok(70)), [DiscardedKey, DiscardedValue(70)]);
}

#[test]
fn work_is_aborted_and_its_key_unmapped_in_one_step_when_everyone_has_left() {
    let mut bench = Bench::new(OnAbandon::Abort);
    let (leader, _) = bench.join(7);
    let (follower, _) = bench.join(7);
    assert_eq!(bench.leave(&leader, 7), [], "somebody is still there");
    assert_eq!(bench.leave(&follower, 7), [Aborted(FIRST), DiscardedKey]);
    assert_eq!(bench.stats().aborts, 1);
    assert_eq!(bench.join(7).1, [Launched(SECOND, 3)]);
    assert_eq!(bench.complete(7, 0, Err(JoinError::Aborted)), [], "the aborted task's own report comes late");
    assert_eq!(bench.stats().aborts, 1);
}

#[test]
fn a_forgotten_flight_is_aborted_too_when_everyone_has_left() {
    let mut bench = Bench::new(OnAbandon::Abort);
    let (old, _) = bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    let (new, _) = bench.join(7);
    assert_eq!(bench.leave(&old, 7), [Aborted(FIRST), DiscardedKey]);
    assert_eq!(bench.leave(&new, 7), [Aborted(SECOND), DiscardedKey]);
}

#[test]
fn a_cancel_that_is_about_somebody_else_aborts_nobody() {
    let mut bench = Bench::new(OnAbandon::Abort);
    let _staying = bench.join_hashed(1, 7);
    let (leaving, _) = bench.join_hashed(1, 8);
    assert_eq!(bench.leave(&leaving, 1), [Aborted(SECOND), DiscardedKey]);
    assert_eq!(bench.stats().waiters, 1);
}

#[test]
fn every_departure_is_noticed_in_whatever_order_they_leave() {
    for step in [1, 3, 7, 9] {
        let mut bench = Bench::new(OnAbandon::Abort);
        let callers: Vec<_> = (0..10).map(|_| bench.join(7).0).collect();
        let mut last = Vec::new();
        for index in 0..10 {
            assert_eq!(bench.stats().waiters, 10 - index);
            last = bench.leave(&callers[(index * step) % 10], 7);
        }
        assert!(last.contains(&Aborted(FIRST)), "step {step}: {last:?}");
        assert_eq!(bench.stats().departures, 10);
    }
}

#[test]
fn the_seats_of_a_herd_that_left_are_given_back_while_the_flight_goes_on() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _staying = bench.join(7);
    let herd: Vec<_> = (0..1000).map(|_| bench.join(7).0).collect();
    for person in &herd {
        assert_eq!(bench.leave(person, 7), [], "what it had it takes along");
    }
    let flight = bench.shard.flights.iter().next().unwrap();
    assert_eq!(flight.waiters(), 1);
    assert!(flight.seats() < 100, "{} seats", flight.seats());
}

#[test]
fn the_cost_of_looking_for_the_departed_stays_proportional_to_their_number() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let herd: Vec<_> = (0..4096).map(|_| bench.join(7).0).collect();
    let before = LOOKS.get();
    for person in &herd {
        bench.leave(person, 7);
    }
    let looks = LOOKS.get() - before;
    assert!(looks <= 2 * 4096, "{looks} looks for 4096 departures");
}

#[test]
fn the_lists_of_a_shard_are_tidied_after_a_herd_that_landed_at_once() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _old = bench.join(0);
    let mut fly = |flights: std::ops::Range<u64>| {
        for name in flights.clone() {
            let callers = [1, 2, 3].map(|_| bench.join(name).0);
            assert_eq!(bench.leave(&callers[0], name), [], "one of three isn't worth a look");
        }
        for name in flights {
            bench.complete(name, name, Ok(70));
        }
        (bench.shard.to_ask.len(), bench.shard.roster.len())
    };
    assert_eq!(fly(1..200), (199, 200), "no more than twice what was up");
    for name in 200..240 {
        fly(name..name + 1);
    }
    let (to_ask, roster) = fly(240..241);
    assert!(to_ask <= roster::SWEEP_FLOOR + 4 && roster <= roster::SWEEP_FLOOR + 4, "{to_ask}, {roster}");
}

#[test]
fn flights_that_have_landed_leave_nothing_behind_to_be_asked() {
    let mut bench = Bench::new(OnAbandon::Finish);
    for flight in 0..1_000 {
        let callers = [1, 2, 3].map(|_| bench.join(7).0);
        assert_eq!(bench.leave(&callers[0], 7), [], "one of three isn't worth a look");
        bench.complete(7, flight, Ok(70));
    }
    assert!(bench.shard.to_ask.len() <= roster::SWEEP_FLOOR + 2, "{}", bench.shard.to_ask.len());
}

//! Keys that share one hash, as a poor hasher makes them.

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{
        Completion, FlightRef, Renewed,
        by_id::SHRINK_FLOOR,
        fake::{COMPARISONS, LOOKS, Name},
    },
};
use Became::{Follows, Leads};
use Gone::{Abandoned, Departed};

const PILE: u64 = COUNT as u64;
const COUNT: usize = 600;

/// The hash of all keys here.
const HASH: u64 = 7;

/// The flight after `n` others.
fn piled(n: u64) -> FlightRef {
    flight(HASH, n)
}

/// Each key is named by the number of its flight.
fn pile(on_abandon: OnAbandon) -> Bench {
    let mut bench = Bench::new(on_abandon);
    for name in 0..PILE {
        assert_eq!(bench.join_hashed(HASH, Name(name)), Leads(piled(name).id));
    }
    bench
}

/// Runs `step` for every flight of a pile, and fails if it compares a key, or looks at more than a few flights.
fn assert_constant(on_abandon: OnAbandon, mut step: impl FnMut(&mut Bench, FlightRef)) {
    let mut bench = pile(on_abandon);
    let (compared, looked) = (COMPARISONS.get(), LOOKS.get());
    // From both ends.
    for n in (0..PILE / 2).flat_map(|n| [n, PILE - 1 - n]) {
        step(&mut bench, piled(n));
    }
    assert_eq!(COMPARISONS.get(), compared);
    let looks = LOOKS.get() - looked;
    assert!(looks <= 16 * COUNT, "{looks} flights were looked at in {PILE} steps");
}

#[test]
fn departures_cost_the_same_whatever_shares_a_hash() {
    assert_constant(OnAbandon::Finish, |bench, flight| {
        assert!(matches!(bench.leave(slot(flight, 0)), Departed(_)));
    });
    assert_constant(OnAbandon::Abort, |bench, flight| {
        assert!(matches!(bench.leave(slot(flight, 0)), Abandoned(..)));
        assert_eq!(bench.complete(flight, Completion::Aborted), None);
    });
}

#[test]
fn renewals_cost_the_same_whatever_shares_a_hash() {
    assert_constant(OnAbandon::Finish, |bench, flight| {
        assert!(matches!(bench.shard.renew(slot(flight, 0), 9), Renewed::Replaced(_)));
    });
}

#[test]
fn completions_cost_the_same_whatever_shares_a_hash() {
    assert_constant(OnAbandon::Finish, |bench, flight| {
        assert!(bench.complete(flight, Completion::Value).is_some());
    });
}

#[test]
fn each_key_of_a_pile_is_joined_whichever_has_ended() {
    for gone in 0..3 {
        let mut bench = Bench::new(OnAbandon::Finish);
        for name in 0..3 {
            bench.join_hashed(HASH, Name(name));
        }
        assert_eq!(bench.complete(piled(gone), Completion::Value), Some(vec![gone + 1]));
        for name in (0..3).filter(|&name| name != gone) {
            assert_eq!(bench.join_hashed(HASH, Name(name)), Follows(piled(name).id, 1), "{gone} has ended");
        }
        assert_eq!(bench.join_hashed(HASH, Name(gone)), Leads(piled(3).id));
        assert_eq!(bench.join_hashed(HASH, Name(gone)), Follows(piled(3).id, 1));
        assert_eq!(bench.gauges(), (3, 6));
    }
}

#[test]
fn a_key_of_a_pile_is_forgotten_alone() {
    for forgotten in 0..3 {
        let mut bench = Bench::new(OnAbandon::Finish);
        for name in 0..3 {
            bench.join_hashed(HASH, Name(name));
        }
        assert!(bench.shard.forget(HASH, &Name(forgotten)).unwrap());
        assert!(!bench.shard.forget(HASH, &Name(forgotten)).unwrap());
        assert_eq!(bench.join_hashed(HASH, Name(forgotten)), Leads(piled(3).id));
        for name in (0..3).filter(|&name| name != forgotten) {
            assert_eq!(bench.join_hashed(HASH, Name(name)), Follows(piled(name).id, 1));
        }
        assert_eq!(bench.complete(piled(forgotten), Completion::Value), Some(vec![forgotten + 1]));
    }
}

#[test]
fn all_keys_of_a_pile_are_forgotten_at_once() {
    let mut bench = pile(OnAbandon::Finish);
    assert_eq!((bench.shard.forget_all(), bench.shard.forget_all()), (COUNT, 0));
    assert_eq!(bench.join_hashed(HASH, Name(0)), Leads(piled(PILE).id));
    assert_eq!(bench.gauges(), (COUNT + 1, COUNT + 1));
}

#[test]
fn a_key_of_a_pile_waits_for_its_aborted_work_alone() {
    for aborted in 0..3 {
        let mut bench = Bench::new(OnAbandon::Abort);
        for name in 0..3 {
            bench.join_hashed(HASH, Name(name));
        }
        assert_eq!(bench.leave(slot(piled(aborted), 0)), Abandoned(aborted + 1, piled(aborted).id));
        assert_eq!(bench.join_hashed(HASH, Name(aborted)), Leads(piled(3).id));
        bench.seen();
        assert_eq!(bench.complete(piled((aborted + 1) % 3), Completion::Value), Some(vec![(aborted + 1) % 3 + 1]));
        assert_eq!(bench.seen(), [], "another key's end begins nothing");
        assert_eq!(bench.complete(piled(aborted), Completion::Aborted), None);
        assert_eq!(bench.seen(), [Seen::Begins(3), Seen::Discarded(piled(aborted).id)]);
        assert_eq!(bench.join_hashed(HASH, Name(aborted)), Follows(piled(3).id, 1));
    }
}

#[test]
fn closing_ends_every_flight_of_a_pile() {
    let mut bench = pile(OnAbandon::Finish);
    bench.close(true);
    assert_eq!((bench.seen().len(), bench.gauges()), (COUNT, (0, 0)));
}

#[test]
fn the_memory_of_a_pile_is_given_back() {
    let mut bench = pile(OnAbandon::Finish);
    let full = bench.shard.flights.capacity();
    assert!(full >= COUNT, "{full}");
    for n in 0..PILE {
        bench.complete(piled(n), Completion::Value);
    }
    let left = bench.shard.flights.capacity();
    assert!(left < SHRINK_FLOOR / 4, "{left}");
}

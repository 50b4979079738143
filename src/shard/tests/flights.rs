//! Joins and completions, and keys that are forgotten (G1, G9).

use super::bench::*;
use crate::{
    config::OnAbandon,
    shard::{
        Completion, FlightId, Join, Joined,
        by_id::SHRINK_FLOOR,
        fake::{Name, UNCOMPARABLE, join_of},
    },
};
use Became::{Follows, Leads, Refused};

fn bench() -> Bench {
    Bench::new(OnAbandon::Finish)
}

#[test]
fn the_first_join_of_a_key_leads() {
    let mut bench = bench();
    assert_eq!(bench.join(7), Leads(FIRST));
    assert_eq!((bench.joins(), bench.gauges()), ([1, 0, 0], (1, 1)));
    assert_eq!(bench.seen(), []);
}

#[test]
fn a_join_of_a_key_in_flight_follows() {
    let mut bench = bench();
    bench.join(7);
    assert_eq!((bench.join(7), bench.join(7)), (Follows(FIRST, 1), Follows(FIRST, 2)));
    assert_eq!((bench.joins(), bench.gauges()), ([1, 2, 0], (1, 3)));
}

#[test]
fn a_follower_gets_the_record_of_its_flight_and_its_own_key_back() {
    let mut bench = bench();
    bench.join(8);
    bench.join(7);
    let Joined::Follows { record, key, .. } = bench.join_as(join_of(7, Name(7), 3)) else {
        panic!("the key is in flight");
    };
    assert_eq!((record, key), (1, Name(7)));
}

#[test]
fn a_join_of_another_key_leads_a_flight_of_its_own() {
    let mut bench = bench();
    assert_eq!((bench.join(7), bench.join(8)), (Leads(FIRST), Leads(SECOND)));
}

#[test]
fn keys_of_equal_hash_keep_apart() {
    let mut bench = bench();
    bench.join_hashed(1, Name(7));
    assert_eq!(bench.join_hashed(1, Name(8)), Leads(SECOND));
    assert_eq!(bench.complete(flight(1, 1), Completion::Value), Some(vec![2]));
    assert_eq!(bench.complete(flight(1, 0), Completion::Value), Some(vec![1]));
}

#[test]
fn the_flights_of_two_shards_have_different_numbers() {
    let (one, other) = (FlightId::first_of(3), FlightId::first_of(4));
    assert_ne!(one.next(), other);
    assert_eq!((one.next().shard(), other.next().shard()), (3, 4));
}

#[test]
fn a_completion_unmaps_the_flight_with_all_that_it_held() {
    let mut bench = bench();
    bench.join(8);
    bench.join_all([7; 3]);
    let ended = bench.end(flight(7, 1), Completion::Value).unwrap();
    assert_eq!((ended.itself.id, ended.key, ended.record, ended.started), (SECOND, Name(7), 1, bench.now));
    assert_eq!(callers(ended), [2, 3, 4], "in the order in which they came");
    assert_eq!(bench.gauges(), (1, 1));
}

#[test]
fn a_leader_can_be_taken_out_of_those_to_be_woken() {
    let mut bench = bench();
    bench.join_all([7; 2]);
    let mut ended = bench.end(flight(7, 0), Completion::Value).unwrap();
    assert_eq!((ended.waiters.take_leader(), ended.waiters.take_leader()), (Some(1), None));
    assert_eq!(callers(ended), [2]);
}

#[test]
fn a_join_after_the_completion_leads_anew() {
    for completion in [Completion::Value, Completion::Error, Completion::Panicked, Completion::Aborted] {
        let mut bench = bench();
        bench.join(7);
        bench.complete(flight(7, 0), completion);
        assert_eq!(bench.join(7), Leads(SECOND), "{completion:?}");
    }
}

#[test]
fn a_late_completion_changes_nothing() {
    let mut bench = Bench::new(OnAbandon::Abort);
    bench.join(7);
    bench.leave(slot(flight(7, 0), 0));
    assert_eq!(bench.join(7), Leads(SECOND));
    assert_eq!(bench.complete(flight(7, 0), Completion::Panicked), None);
    assert_eq!((bench.stats().panics, bench.gauges()), (0, (1, 1)));
}

#[test]
fn a_completion_leaves_a_newer_flight_of_its_key_alone() {
    let mut bench = bench();
    bench.join(7);
    assert!(bench.shard.forget(7, &Name(7)).unwrap());
    assert_eq!(bench.join(7), Leads(SECOND));
    assert_eq!(bench.complete(flight(7, 0), Completion::Value), Some(vec![1]));
    assert_eq!(bench.join(7), Follows(SECOND, 1), "the new flight is still there to be joined");
    assert_eq!(bench.complete(flight(7, 1), Completion::Value), Some(vec![2, 3]));
}

#[test]
fn a_flight_is_forgotten_once() {
    let mut bench = bench();
    assert!(!bench.shard.forget(7, &Name(7)).unwrap());
    bench.join(7);
    assert!(bench.shard.forget(7, &Name(7)).unwrap());
    assert!(!bench.shard.forget(7, &Name(7)).unwrap());
    assert_eq!((bench.stats().forgets, bench.gauges()), (1, (1, 1)));
}

#[test]
fn all_flights_are_forgotten_at_once() {
    let mut bench = bench();
    bench.join_all([7, 8, 9]);
    bench.shard.forget(7, &Name(7)).unwrap();
    assert_eq!((bench.shard.forget_all(), bench.shard.forget_all()), (2, 0));
    assert_eq!((bench.stats().forgets, bench.gauges()), (3, (3, 3)));
    assert_eq!(bench.join(8), Leads(flight(8, 3).id));
    assert_eq!(bench.complete(flight(8, 1), Completion::Value), Some(vec![2]));
}

#[test]
fn a_key_has_as_many_detached_flights_as_it_likes() {
    let mut bench = bench();
    for n in 0..100 {
        assert_eq!(bench.join(7), Leads(flight(7, n).id));
        bench.shard.forget(7, &Name(7)).unwrap();
    }
    for n in (0..100).rev() {
        assert_eq!(bench.complete(flight(7, n), Completion::Value), Some(vec![n + 1]));
    }
    assert_eq!(bench.gauges(), (0, 0));
}

#[test]
fn a_key_that_panics_when_compared_fails_its_own_join_alone() {
    let mut bench = bench();
    bench.join_hashed(1, Name(7));
    assert_eq!(bench.join_hashed(1, UNCOMPARABLE), Refused("panicked"));
    assert_eq!(bench.seen(), [Seen::Rejected("panicked")]);
    assert_eq!(bench.join_hashed(1, Name(7)), Follows(FIRST, 1));
    assert_eq!(bench.joins(), [1, 1, 1]);
}

#[test]
fn a_key_is_compared_with_those_of_the_same_hash_alone() {
    let mut bench = bench();
    assert_eq!(bench.join_hashed(1, UNCOMPARABLE), Leads(FIRST));
    // In the same bucket, for as long as the table has not grown.
    assert_eq!(bench.join_hashed(1 + (1 << 20), Name(7)), Leads(SECOND));
}

#[test]
fn a_key_that_panics_when_forgotten_forgets_nothing() {
    let mut bench = bench();
    bench.join_hashed(1, Name(7));
    let panic = bench.shard.forget(1, &UNCOMPARABLE).unwrap_err();
    assert_eq!((panic.message(), bench.stats().forgets), ("compared the uncomparable", 0));
    assert!(bench.shard.forget(1, &Name(7)).unwrap());
}

#[test]
fn the_first_follower_of_a_leader_that_polls_its_work_detaches_it() {
    let mut bench = bench();
    bench.join_as(Join { in_place: true, ..join_of(7, Name(7), 1) });
    let detaches: Vec<_> = (2..4)
        .map(|waker| match bench.join_as(Join { in_place: true, ..join_of(7, Name(7), waker) }) {
            Joined::Follows { detaches, .. } => detaches,
            _ => panic!("the key is in flight"),
        })
        .collect();
    assert_eq!(detaches, [true, false]);
}

#[test]
fn a_follower_of_work_in_a_task_detaches_nothing() {
    let mut bench = bench();
    bench.join(7);
    let joined = bench.join_as(Join { in_place: true, ..join_of(7, Name(7), 2) });
    assert!(matches!(joined, Joined::Follows { detaches: false, .. }));
}

/// The room of the tables while so many flights are under way, and when all of them are over.
fn room(flights: u64, detached: bool) -> (usize, usize) {
    let mut bench = bench();
    bench.join_all(0..flights);
    if detached {
        bench.shard.forget_all();
    }
    let room = bench.shard.flights.capacity();
    let mut next = flight(0, 0);
    for hash in 0..flights {
        next.hash = hash;
        assert!(bench.end(next, Completion::Value).is_some());
        next.id = next.id.next();
    }
    (room, bench.shard.flights.capacity())
}

#[test]
fn the_tables_of_a_burst_shrink_when_it_has_passed() {
    for detached in [false, true] {
        let (full, empty) = room(100_000, detached);
        assert!(full >= 100_000 && empty <= 2 * SHRINK_FLOOR, "{full}, then {empty}");
    }
}

#[test]
fn a_small_table_keeps_its_room() {
    let (full, empty) = room(500, false);
    // Less what it will count as room again once it has been tidied.
    assert!(empty >= full / 4, "{full}, then {empty}");
}

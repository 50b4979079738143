//! Joins, landings, keys that are forgotten, and what is counted of them.

use std::time::Duration;

use super::bench::*;
use crate::{
    error::JoinError,
    policy::OnAbandon,
    shard::{Complete, FlightRef, Message, SHRINK_FLOOR},
};

#[test]
fn the_first_join_of_a_key_launches_its_work() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let (_leader, seen) = bench.join(7);
    assert_eq!(seen, [Launched(FIRST, 1)]);
}

#[test]
fn a_join_of_a_key_in_flight_boards_and_launches_nothing() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leader = bench.join(7);
    let (_follower, seen) = bench.join(7);
    assert_eq!(seen, []);
    assert_eq!(bench.stats().waiters, 2);
}

#[test]
fn a_join_of_another_key_launches_a_flight_of_its_own() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _one = bench.join(7);
    let (_other, seen) = bench.join(8);
    assert_eq!(seen, [Launched(SECOND, 2)]);
}

#[test]
fn keys_of_equal_hash_keep_apart() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _one = bench.join_hashed(1, 7);
    let (_other, seen) = bench.join_hashed(1, 8);
    assert_eq!(seen, [Launched(SECOND, 2)]);
    assert_eq!(bench.complete(1, 0, Ok(70)), [Answered(1, Ok(70), true)]);
    assert_eq!(bench.complete(1, 1, Ok(80)), [Answered(2, Ok(80), true)]);
}

#[test]
fn a_completion_answers_everyone_in_the_order_they_came_and_gives_the_leader_its_key_back() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _callers: Vec<_> = (0..3).map(|_| bench.join(7)).collect();
    assert_eq!(
        bench.complete(7, 0, Ok(70)),
        [Answered(1, Ok(70), true), Answered(2, Ok(70), false), Answered(3, Ok(70), false)]
    );
    assert_eq!(bench.stats().flights, 0);
}

#[test]
fn a_join_after_the_completion_launches_anew() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leader = bench.join(7);
    bench.complete(7, 0, Ok(70));
    let (_next, seen) = bench.join(7);
    assert_eq!(seen, [Launched(SECOND, 2)]);
}

#[test]
fn an_error_or_panic_reaches_everyone_and_the_key_works_again() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _callers = (bench.join(7), bench.join(7));
    assert_eq!(
        bench.complete(7, 0, Err(JoinError::Aborted)),
        [Answered(1, Err("aborted"), true), Answered(2, Err("aborted"), false)]
    );
    assert_eq!(bench.join(7).1, [Launched(SECOND, 3)]);
}

#[test]
fn a_completion_of_a_flight_that_is_not_there_only_discards_its_value() {
    let mut bench = Bench::new(OnAbandon::Finish);
    assert_eq!(bench.complete(7, 0, Ok(70)), [DiscardedValue(70)]);
}

#[test]
fn a_completion_leaves_a_newer_flight_of_its_key_alone() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _old = bench.join(7);
    assert!(bench.shard.forget(7, &Name(7)).unwrap());
    let (_new, seen) = bench.join(7);
    assert_eq!(seen, [Launched(SECOND, 2)]);
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(1, Ok(70), true)]);
    assert_eq!(bench.join(7).1, [], "the new flight is still there to board");
    assert_eq!(bench.complete(7, 1, Ok(71)), [Answered(2, Ok(71), true), Answered(3, Ok(71), false)]);
}

#[test]
fn forgetting_a_key_that_is_not_in_flight_says_so() {
    let mut bench = Bench::new(OnAbandon::Finish);
    assert!(!bench.shard.forget(7, &Name(7)).unwrap());
    let _flight = bench.join(7);
    assert!(bench.shard.forget(7, &Name(7)).unwrap());
    assert!(!bench.shard.forget(7, &Name(7)).unwrap(), "a flight is forgotten once");
    assert_eq!(bench.stats().forgets, 1);
}

#[test]
fn forgetting_all_detaches_each_flight_once() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _flights = (bench.join(7), bench.join(8), bench.join(9));
    bench.shard.forget(7, &Name(7)).unwrap();
    assert_eq!(bench.shard.forget_all(), 2);
    assert_eq!(bench.shard.forget_all(), 0);
    assert_eq!(bench.stats().forgets, 3);
    assert_eq!(bench.stats().flights, 3, "they fly on");
}

#[test]
fn a_key_that_panics_when_compared_fails_its_own_join_alone() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _good = bench.join_hashed(1, 7);
    let (_bad, seen) = bench.join_hashed(1, UNCOMPARABLE);
    assert_eq!(seen, [Refused("panicked"), Answered(2, Err("panicked"), false)]);
    assert_eq!(bench.join_hashed(1, 7).1, [], "the flight is as joinable as before");
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (3, 1, 1, 1));
}

#[test]
fn a_key_that_panics_when_forgotten_forgets_nothing() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _flight = bench.join_hashed(1, 7);
    let panic = bench.shard.forget(1, &Name(UNCOMPARABLE)).unwrap_err();
    assert_eq!(panic.message(), "compared the uncomparable");
    assert!(bench.shard.forget(1, &Name(7)).unwrap());
}

#[test]
fn counters_say_what_happened_and_gauges_what_is() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _callers = (bench.join(1), bench.join(1), bench.join(2), bench.join(3));
    bench.complete(2, 1, Err(JoinError::Panicked(crate::CaughtPanic::new("no"))));
    bench.handle(Message::Complete(Complete {
        flight: FlightRef { hash: 3, id: nth(2) },
        outcome: Ok(30),
        is_error: true,
    }));
    bench.now += Duration::from_secs(3);
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.coalesced), (4, 3, 1));
    assert_eq!((stats.errors, stats.panics, stats.aborts), (1, 1, 0));
    assert_eq!((stats.flights, stats.waiters, stats.oldest_flight), (1, 2, Some(Duration::from_secs(3))));
    bench.shard.reset_stats();
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.errors, stats.panics), (0, 0, 0, 0, 0));
    assert_eq!((stats.flights, stats.waiters), (1, 2));
}

#[test]
fn closing_answers_everyone_and_aborts_only_where_abandoned_work_is_unwanted() {
    for (on_abandon, aborted) in [(OnAbandon::Finish, 0), (OnAbandon::Abort, 2)] {
        let mut bench = Bench::new(on_abandon);
        let _callers = (bench.join(7), bench.join(7), bench.join(8));
        let mut effects = Vec::new();
        bench.shard.close(on_abandon == OnAbandon::Abort, &mut effects);
        let seen = bench.carry_out(effects);
        let closed = seen.iter().filter(|seen| matches!(seen, Answered(_, Err("closed"), _))).count();
        assert_eq!(closed, 3);
        assert_eq!(seen.iter().filter(|seen| matches!(seen, Aborted(_))).count(), aborted);
        assert_eq!((bench.stats().flights, bench.stats().waiters), (0, 0));
    }
}

/// The map's room while so many flights are up, and when all of them have landed.
fn room(flights: u64) -> (usize, usize) {
    let mut bench = Bench::new(OnAbandon::Finish);
    for name in 0..flights {
        bench.join(name);
    }
    let room = bench.shard.flights.capacity();
    let mut id = FIRST;
    for hash in 0..flights {
        let flight = FlightRef { hash, id };
        bench.handle(Message::Complete(Complete { flight, outcome: Ok(0), is_error: false }));
        id = id.next();
    }
    (room, bench.shard.flights.capacity())
}

#[test]
fn the_map_of_a_herd_that_has_passed_shrinks() {
    let (full, empty) = room(100_000);
    assert!(full >= 100_000 && empty <= 2 * SHRINK_FLOOR, "{full}, then {empty}");
}

#[test]
fn a_small_map_keeps_its_room() {
    let (full, empty) = room(500);
    // Less what it will count as room again once it has been tidied.
    assert!(empty >= full / 4, "{full}, then {empty}");
}

//! The transitions that caps, deadlines, draining and circles add.

use std::time::Duration;

use super::bench::*;
use crate::{
    policy::{OnAbandon, OnExpiry},
    shard::{Budget, FlightRef, Join, Message, Rules},
};

// Caps (G7).

#[test]
fn a_full_flight_refuses_one_more_and_takes_one_when_one_has_left() {
    let mut bench = Bench::under(Rules { max_waiters: 2, ..rules(OnAbandon::Finish) });
    let (leader, _) = bench.join(7);
    let _follower = bench.join(7);
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(3, Err("too_many_waiters"), false)]);
    bench.leave(&leader, 7);
    assert_eq!(bench.join(7).1, [], "the seat of who has left is free");
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(5, Err("too_many_waiters"), false)]);
    let stats = bench.stats();
    assert_eq!((stats.waiters, stats.rejections, stats.joins), (2, 2, 5));
}

#[test]
fn a_full_flight_looks_for_the_departed_however_few_they_are() {
    let mut bench = Bench::under(Rules { max_waiters: 10, ..rules(OnAbandon::Finish) });
    let herd: Vec<_> = (0..10).map(|_| bench.join(7).0).collect();
    assert_eq!(bench.leave(&herd[3], 7), [], "one of ten is not worth a look by itself");
    assert_eq!(bench.join(7).1, [], "it takes the seat of the departed");
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(12, Err("too_many_waiters"), false)]);
    assert_eq!(bench.stats().waiters, 10);
}

#[test]
fn a_join_looks_for_the_departed_at_the_cap_alone_and_only_if_somebody_may_have_left() {
    let mut bench = Bench::under(Rules { max_waiters: 100, ..rules(OnAbandon::Finish) });
    let herd: Vec<_> = (0..99).map(|_| bench.join(7).0).collect();
    assert_eq!(bench.leave(&herd[0], 7), [], "one of many isn't worth a look");
    let mut looks = || {
        let before = LOOKS.get();
        bench.join(7);
        LOOKS.get() - before
    };
    assert_eq!(looks(), 0, "there is a seat: it looks at nobody");
    assert_eq!(looks(), 100, "one of the hundred has left");
    assert_eq!(looks(), 0, "nobody can have left since");
}

#[test]
fn a_cap_of_one_leaves_the_leader_alone() {
    let mut bench = Bench::under(Rules { max_waiters: 1, ..rules(OnAbandon::Finish) });
    assert_eq!(bench.join(7).1, [Launched(FIRST, 1)]);
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(2, Err("too_many_waiters"), false)]);
}

#[test]
fn the_last_flight_that_the_budget_allows_is_the_last_until_one_has_landed() {
    let mut bench = Bench::under(Rules { budget: Budget::new(2), ..rules(OnAbandon::Finish) });
    let _flights = (bench.join(7), bench.join(8));
    assert_eq!(bench.join(9).1, [Refused("too_many_flights"), Answered(3, Err("too_many_flights"), false)]);
    assert_eq!(bench.join(8).1, [], "followers need no budget");
    bench.complete(7, 0, Ok(70));
    assert_eq!(bench.join(9).1, [Launched(nth(2), 5)]);
}

#[test]
fn shards_share_one_budget() {
    let rules = Rules { budget: Budget::new(1), ..rules(OnAbandon::Abort) };
    let (mut one, mut other) = (Bench::under(rules.clone()), Bench::under(rules));
    let (leader, _) = one.join(7);
    assert_eq!(other.join(8).1, [Refused("too_many_flights"), Answered(1, Err("too_many_flights"), false)]);
    one.leave(&leader, 7);
    assert_eq!(other.join(8).1, [Launched(FIRST, 2)], "an aborted flight gives back what it took");
}

#[test]
fn a_forgotten_flight_counts_until_it_has_landed() {
    let mut bench = Bench::under(Rules { budget: Budget::new(1), ..rules(OnAbandon::Finish) });
    let _old = bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    assert_eq!(bench.join(7).1, [Refused("too_many_flights"), Answered(2, Err("too_many_flights"), false)]);
}

#[test]
fn a_crowd_is_reported_once_per_flight() {
    let mut bench = Bench::under(Rules { crowd: 2, ..rules(OnAbandon::Finish) });
    assert_eq!(bench.join(7).1, [Launched(FIRST, 1)]);
    let (follower, seen) = bench.join(7);
    assert_eq!(seen, [Crowded(FIRST, 2)]);
    bench.leave(&follower, 7);
    assert_eq!(bench.join(7).1, []);
    bench.complete(7, 0, Ok(70));
    assert_eq!((bench.join(7).1, bench.join(7).1), (vec![Launched(SECOND, 4)], vec![Crowded(SECOND, 2)]));
}

// Expiry (G11).

const LIMIT: Duration = Duration::from_secs(5);

fn expiring(on_expiry: OnExpiry) -> Bench {
    Bench::under(Rules { max_flight_duration: Some(LIMIT), on_expiry, ..rules(OnAbandon::Finish) })
}

impl Bench {
    fn expire(&mut self) -> Vec<Seen> {
        let mut effects = Vec::new();
        while self.shard.expire(self.now, &mut effects) {}
        self.carry_out(effects)
    }
}

#[test]
fn a_flight_is_not_late_before_its_time_and_is_at_it() {
    let mut bench = expiring(OnExpiry::Fail);
    let start = bench.now;
    let _leader = bench.join(7);
    assert_eq!(bench.shard.next_deadline(), Some(start + LIMIT));
    bench.now = start + LIMIT.saturating_sub(Duration::from_nanos(1));
    assert_eq!(bench.expire(), []);
    bench.now += Duration::from_nanos(1);
    assert_eq!(bench.expire(), [Overdue(FIRST, 1), Aborted(FIRST), Answered(1, Err("timed_out"), true)]);
    assert_eq!(bench.stats().timeouts, 1);
    assert_eq!(bench.join(7).1, [Launched(SECOND, 2)]);
    assert_eq!(bench.complete(7, 0, Ok(70)), [DiscardedValue(70)], "a late result changes nothing");
}

#[test]
fn a_detached_flight_keeps_its_callers_and_takes_no_more() {
    let mut bench = expiring(OnExpiry::Detach);
    let _leader = bench.join(7);
    bench.now += LIMIT;
    assert_eq!(bench.expire(), [Overdue(FIRST, 1)]);
    assert_eq!(bench.join(7).1, [Launched(SECOND, 2)]);
    assert_eq!(bench.expire(), [], "a flight is late once");
    assert_eq!(bench.stats().oldest_flight, Some(LIMIT), "and still the oldest");
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(1, Ok(70), true)]);
}

#[test]
fn nobody_boards_a_flight_whose_time_is_up_before_its_alarm_has_rung() {
    for (on_expiry, then) in [
        (OnExpiry::Fail, vec![Overdue(FIRST, 1), Aborted(FIRST), Answered(1, Err("timed_out"), true)]),
        (OnExpiry::Detach, vec![Overdue(FIRST, 1)]),
    ] {
        let mut bench = expiring(on_expiry);
        let _leader = bench.join(7);
        bench.now += LIMIT;
        assert_eq!(bench.join(7).1, [Launched(SECOND, 2)]);
        assert_eq!(bench.expire(), then);
        assert_eq!(bench.complete(7, 1, Ok(71)), [Answered(2, Ok(71), true)]);
    }
}

#[test]
fn a_forgotten_flight_has_its_time_too() {
    let mut bench = expiring(OnExpiry::Fail);
    let _leader = bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    bench.now += LIMIT;
    assert_eq!(bench.expire(), [Overdue(FIRST, 1), Aborted(FIRST), Answered(1, Err("timed_out"), true)]);
}

#[test]
fn flights_are_late_one_after_the_other_and_only_those_that_are() {
    let mut bench = expiring(OnExpiry::Fail);
    let _first = bench.join(7);
    bench.now += Duration::from_secs(1);
    let _second = bench.join(8);
    bench.complete(7, 0, Ok(70));
    bench.now += Duration::from_secs(4);
    assert_eq!(bench.expire(), [], "the one that would be late has landed");
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.expire(), [Overdue(SECOND, 1), Aborted(SECOND), Answered(2, Err("timed_out"), true)]);
    assert_eq!(bench.shard.next_deadline(), None);
}

#[test]
fn flights_that_have_landed_leave_no_deadlines_behind() {
    let mut bench = expiring(OnExpiry::Fail);
    let _long = bench.join(1_000_000);
    for hash in 0..10_000 {
        bench.join(hash);
        bench.complete(hash, hash + 1, Ok(0));
    }
    assert!(bench.shard.roster.len() < 100, "{}", bench.shard.roster.len());
    assert_eq!(bench.stats().oldest_flight, Some(Duration::ZERO));
}

// Draining.

#[test]
fn a_draining_shard_refuses_joins_and_lets_its_flights_land() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leader = bench.join(7);
    bench.shard.drain();
    assert_eq!(bench.join(7).1, [Refused("closed"), Answered(2, Err("closed"), false)]);
    assert_eq!(bench.join(8).1, [Refused("closed"), Answered(3, Err("closed"), false)]);
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(1, Ok(70), true)]);
}

#[test]
fn a_refused_join_takes_nothing_of_the_budget() {
    let mut bench = Bench::under(Rules { budget: Budget::new(1), ..rules(OnAbandon::Finish) });
    bench.shard.drain();
    let _refused = (bench.join(7), bench.join_hashed(1, UNCOMPARABLE));
    assert!(bench.shard.rules.budget.take());
}

// Circles (G12).

impl Bench {
    /// A join that the work of the `n`th flight, whose key and hash are `from`, makes of `name`.
    fn join_from(&mut self, from: (u64, u64), name: u64) -> (Person, Vec<Seen>) {
        let (caller, mut seen) = self.embark_from(from, name);
        seen.extend(self.deliver());
        (caller, seen)
    }

    /// The same, with its probe still on its way.
    fn embark_from(&mut self, (from, n): (u64, u64), name: u64) -> (Person, Vec<Seen>) {
        let caller = Person { origin: Some(FlightRef { hash: from, id: nth(n) }), ..self.person() };
        let seen =
            self.handle(Message::Join(Join { hash: name, key: Name(name), caller: caller.clone(), nested: true }));
        (caller, seen)
    }

    fn deliver(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(message) = self.between.pop_front() {
            seen.extend(self.handle(message));
        }
        seen
    }
}

#[test]
fn work_that_joins_its_own_key_is_told() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _a = bench.join(1);
    assert_eq!(bench.join_from((1, 0), 1).1, [Refused("reentrant"), Answered(2, Err("reentrant"), false)]);
    assert_eq!(bench.stats().waiters, 1);
}

#[test]
fn a_circle_by_way_of_another_key_is_found() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _a = bench.join(1);
    assert_eq!(bench.join_from((1, 0), 2).1, [Launched(SECOND, 2)], "A waits for B");
    let back = bench.join_from((2, 1), 1).1;
    assert_eq!(back, [Refused("reentrant"), Answered(3, Err("reentrant"), false)], "B waits for A");
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (3, 2, 0, 1));
}

#[test]
fn a_circle_of_flights_that_others_lead_is_found_whoever_comes_last() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leaders = (bench.join(1), bench.join(2), bench.join(3));
    assert_eq!(bench.join_from((1, 0), 2).1, []);
    assert_eq!(bench.join_from((2, 1), 3).1, []);
    assert_eq!(bench.join_from((3, 2), 1).1, [Refused("reentrant"), Answered(6, Err("reentrant"), false)]);
}

#[test]
fn a_flight_that_a_circle_leaves_to_the_departed_is_abandoned() {
    let mut bench = Bench::new(OnAbandon::Abort);
    let (leader, _) = bench.join(1);
    assert_eq!(bench.join_from((1, 0), 2).1, [Launched(SECOND, 2)], "A waits for B");
    let _b_waits_for_a = (bench.embark_from((2, 1), 1), bench.embark_from((2, 1), 1));
    assert_eq!(bench.leave(&leader, 1), [], "one of three isn't worth a look");
    let seen = bench.deliver();
    assert!(seen.contains(&Aborted(FIRST)), "{seen:?}");
}

#[test]
fn a_circle_puts_no_leader_off() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _a = bench.join(1);
    assert_eq!(bench.join_from((1, 0), 2).1, [Launched(SECOND, 2)], "A leads B");
    let _b_waits_for_a_and_a_once_more_for_b = (bench.embark_from((2, 1), 1), bench.embark_from((1, 0), 2));
    let reentrant = |caller| [Refused("reentrant"), Answered(caller, Err("reentrant"), false)];
    assert!(bench.deliver().into_iter().eq([3, 4].into_iter().flat_map(reentrant)));
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (4, 2, 0, 2));
    assert_eq!(bench.complete(2, 1, Ok(20)), [Answered(2, Ok(20), true)]);
}

#[test]
fn waiting_for_what_somebody_else_waits_for_is_no_circle() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leaders = (bench.join(1), bench.join(2), bench.join(3));
    assert_eq!(bench.join_from((1, 0), 3).1, []);
    assert_eq!(bench.join_from((2, 1), 3).1, []);
    assert_eq!(bench.join_from((1, 0), 2).1, []);
}

#[test]
fn a_wait_that_was_given_up_makes_no_circle() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leaders = (bench.join(1), bench.join(2));
    let (gave_up, _) = bench.join_from((1, 0), 2);
    gave_up.leave();
    assert_eq!(bench.join_from((2, 1), 1).1, []);
}

#[test]
fn inspecting_shows_the_crowded_and_the_old() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _callers = (bench.join(1), bench.join(2), bench.join(2), bench.join(3), bench.join(3), bench.join(3));
    bench.now += LIMIT;
    let describe = |key: &Name| {
        assert_ne!(key.0, 1, "unspeakable");
        format!("name {}", key.0)
    };
    let (crowded, oldest) = bench.shard.inspect(2, bench.now, Some(&describe));
    let waiters: Vec<_> = crowded.iter().map(|flight| flight.waiters).collect();
    assert_eq!(waiters, [3, 2]);
    let first: Vec<_> =
        oldest.iter().map(|flight| (flight.flight, flight.age, flight.description.as_deref())).collect();
    assert_eq!(first, [(FIRST, LIMIT, None), (SECOND, LIMIT, Some("name 2"))], "a panic in describe describes nothing");
    assert!(bench.shard.inspect(0, bench.now, None).0.is_empty());
}

#[test]
fn a_probe_looks_at_each_flight_once_however_many_ways_lead_to_it() {
    let mut bench = Bench::new(OnAbandon::Finish);
    // Each flight waits for the two before it, so the ways from the last to the first are as many as Fibonacci's numbers.
    for n in 0..60 {
        bench.join(n);
        for before in n.saturating_sub(2)..n {
            assert_eq!(bench.join_from((n, n), before).1, []);
        }
    }
    let (_, seen) = bench.join_from((0, 0), 59);
    assert_eq!(seen.first(), Some(&Refused("reentrant")));
}

#[test]
fn a_probe_looks_at_no_caller_of_a_flight_that_no_work_waits_for_any_more() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _herd: Vec<_> = (0..100).map(|_| bench.join(1)).collect();
    let _others = (bench.join(2), bench.join(3));
    let looks = |bench: &mut Bench, name| {
        let before = LOOKS.get();
        assert_eq!(bench.join_from((1, 0), name).1, []);
        LOOKS.get() - before
    };
    let (gives_up, _) = bench.join_from((2, 1), 1);
    bench.leave(&gives_up, 1);
    assert_eq!(bench.stats().waiters, 102);
    assert_eq!(looks(&mut bench, 2), 1, "at the caller itself alone");
    let (_put_off, seen) = bench.join_from((2, 1), 1);
    assert_eq!(seen.first(), Some(&Refused("reentrant")));
    assert_eq!(looks(&mut bench, 3), 1, "at the caller itself alone");
}

#[test]
fn a_circle_that_is_too_long_for_a_probe_is_left_to_the_deadline() {
    let mut closing = [60, 70].map(|flights| {
        let mut bench = Bench::new(OnAbandon::Finish);
        let _leaders: Vec<_> = (0..flights).map(|n| bench.join(n)).collect();
        for n in 1..flights {
            assert_eq!(bench.join_from((n - 1, n - 1), n).1, []);
        }
        bench.join_from((flights - 1, flights - 1), 0).1
    });
    assert_eq!(closing[0].remove(0), Refused("reentrant"));
    assert_eq!(closing[1], []);
}

#[test]
fn a_flight_whose_last_waiter_closed_a_circle_is_abandoned() {
    let mut bench = Bench::new(OnAbandon::Abort);
    let (leader, _) = bench.join(1);
    let _other = bench.join(2);
    bench.join_from((1, 0), 2);
    let caller = Person { origin: Some(FlightRef { hash: 2, id: nth(1) }), ..bench.person() };
    bench.handle(Message::Join(Join { hash: 1, key: Name(1), caller, nested: true }));
    assert_eq!(bench.leave(&leader, 1), [], "the work of the other flight still waits");
    let mut seen = Vec::new();
    while let Some(message) = bench.between.pop_front() {
        seen.extend(bench.handle(message));
    }
    assert_eq!(seen, [Refused("reentrant"), Answered(4, Err("reentrant"), false), Aborted(FIRST), DiscardedKey]);
    assert_eq!(bench.stats().aborts, 1);
}

//! One test per transition of the table at the head of `shard/mod.rs`.

use std::{
    cell::Cell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    Budget, Caller, Complete, Effect, FlightId, FlightRef, Join, Landing, Message, Remains, Report, Rules,
    SHRINK_FLOOR, Shard, World,
};
use crate::{
    error::JoinError,
    policy::{OnAbandon, OnExpiry},
};

/// A world of numbers, in which a test sees everything.
struct Numbers;

impl World for Numbers {
    type Key = Name;
    type Work = WorkOf;
    type Value = u64;
    type Caller = Person;
    type Task = FlightRef;
}

/// A key with a panic button.
#[derive(Debug)]
struct Name(u64);

const UNCOMPARABLE: u64 = 666;

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        assert!(self.0 != UNCOMPARABLE && other.0 != UNCOMPARABLE, "compared the uncomparable");
        self.0 == other.0
    }
}

impl Eq for Name {}

/// Work that knows whose it is.
struct WorkOf(u64);

#[derive(Clone)]
struct Person {
    number: u64,
    left: Rc<Cell<bool>>,
}

impl Person {
    fn leave(&self) {
        self.left.set(true);
    }
}

thread_local! {
    /// How often this thread's shards have asked a caller whether it has left.
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

impl Caller for Person {
    fn has_left(&self) -> bool {
        LOOKS.set(LOOKS.get() + 1);
        self.left.get()
    }
}

/// What came out of a shard, in a form to compare.
#[derive(Debug, PartialEq)]
enum Seen {
    Launched(FlightId, u64),
    /// Caller, answer, whether its own work came back to it.
    Answered(u64, Result<u64, &'static str>, bool),
    Aborted(FlightId),
    DiscardedWorkOf(u64),
    DiscardedKey,
    DiscardedValue(u64),
    Crowded(FlightId, usize),
    Overdue(FlightId, usize),
    Refused(&'static str),
}

/// Everything allowed, nothing limited.
pub(super) fn rules(on_abandon: OnAbandon) -> Rules {
    Rules {
        max_waiters: usize::MAX,
        budget: Budget::new(usize::MAX),
        max_flight_duration: None,
        on_expiry: OnExpiry::Fail,
        on_abandon,
        crowd: usize::MAX,
    }
}

struct Bench {
    shard: Shard<Numbers>,
    /// Probes and circles, on their way between shards of which this is the only one.
    between: VecDeque<Message<Numbers>>,
    now: Instant,
    next_person: u64,
}

impl Bench {
    fn new(on_abandon: OnAbandon) -> Self {
        Self::under(rules(on_abandon))
    }

    fn under(rules: Rules) -> Self {
        Self { shard: Shard::new(0, rules), between: VecDeque::new(), now: Instant::now(), next_person: 0 }
    }

    fn handle(&mut self, message: Message<Numbers>) -> Vec<Seen> {
        let mut effects = Vec::new();
        self.shard.handle(message, self.now, &mut effects);
        self.carry_out(effects)
    }

    fn carry_out(&mut self, effects: Vec<Effect<Numbers>>) -> Vec<Seen> {
        let mut seen = Vec::new();
        for effect in effects {
            match effect {
                Effect::Launch { flight, work } => {
                    self.shard.launched(flight, flight);
                    seen.push(Seen::Launched(flight.id, work.0));
                }
                Effect::Land(landing) => seen.extend(landed(landing)),
                Effect::Abort(task) => seen.push(Seen::Aborted(task.id)),
                Effect::Discard(remains) => seen.push(discarded(remains)),
                Effect::Send { shard, message } => {
                    assert_eq!(shard, 0);
                    self.between.push_back(message);
                }
                Effect::Report(Report::Crowded { flight, waiters }) => seen.push(Seen::Crowded(flight, waiters)),
                Effect::Report(Report::Overdue { flight, waiters, .. }) => seen.push(Seen::Overdue(flight, waiters)),
                Effect::Report(Report::Rejected { error }) => seen.push(Seen::Refused(error)),
            }
        }
        seen
    }

    fn person(&mut self) -> Person {
        self.next_person += 1;
        Person { number: self.next_person, left: Rc::default() }
    }

    /// A join of key `name`, whose hash is the name itself.
    fn join(&mut self, name: u64) -> (Person, Vec<Seen>) {
        self.join_hashed(name, name)
    }

    fn join_hashed(&mut self, hash: u64, name: u64) -> (Person, Vec<Seen>) {
        let caller = self.person();
        let seen = self.join_as(&caller, hash, name);
        (caller, seen)
    }

    fn join_as(&mut self, caller: &Person, hash: u64, name: u64) -> Vec<Seen> {
        let work = WorkOf(caller.number);
        self.handle(Message::Join(Join { hash, key: Name(name), work, caller: caller.clone(), origin: None }))
    }

    fn complete(&mut self, hash: u64, flight: u64, outcome: Result<u64, JoinError>) -> Vec<Seen> {
        let flight = FlightRef { hash, id: nth(flight) };
        self.handle(Message::Complete(Complete { flight, outcome, is_error: false }))
    }

    fn leave(&mut self, person: &Person, hash: u64) -> Vec<Seen> {
        person.leave();
        self.handle(Message::Cancel { hash })
    }

    fn stats(&mut self) -> crate::Stats {
        let mut effects = Vec::new();
        let stats = self.shard.stats(self.now, &mut effects);
        self.carry_out(effects);
        stats
    }
}

fn landed(mut landing: Landing<Numbers>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (caller, outcome, leftovers) in &mut landing {
        let outcome = outcome.map_err(|error| error.kind());
        let work_back = leftovers.is_some_and(|leftovers| leftovers.work.is_some());
        seen.push(Seen::Answered(caller.number, outcome, work_back));
    }
    let mut remains = Vec::new();
    landing.remains(&mut remains);
    seen.extend(remains.into_iter().map(discarded));
    seen
}

fn discarded(remains: Remains<Numbers>) -> Seen {
    match remains {
        Remains::Leftovers(leftovers) => {
            leftovers.work.map_or(Seen::DiscardedKey, |work| Seen::DiscardedWorkOf(work.0))
        }
        Remains::Value(value) => Seen::DiscardedValue(value),
    }
}

use Seen::{Aborted, Answered, Crowded, DiscardedKey, DiscardedValue, DiscardedWorkOf, Launched, Overdue, Refused};

const FIRST: FlightId = FlightId::first_of(0);
const SECOND: FlightId = FIRST.next();

/// The flight after `n` others.
fn nth(n: u64) -> FlightId {
    (0..n).fold(FIRST, |id, _| id.next())
}

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
    assert_eq!(bench.complete(1, 0, Ok(70)), [Answered(1, Ok(70), false)]);
    assert_eq!(bench.complete(1, 1, Ok(80)), [Answered(2, Ok(80), false)]);
}

#[test]
fn a_completion_answers_everyone_in_the_order_they_came_and_gives_followers_their_work_back() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _callers: Vec<_> = (0..3).map(|_| bench.join(7)).collect();
    assert_eq!(
        bench.complete(7, 0, Ok(70)),
        [Answered(1, Ok(70), false), Answered(2, Ok(70), true), Answered(3, Ok(70), true)]
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
        [Answered(1, Err("aborted"), false), Answered(2, Err("aborted"), true)]
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
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(1, Ok(70), false)]);
    assert_eq!(bench.join(7).1, [], "the new flight is still there to board");
    assert_eq!(bench.complete(7, 1, Ok(71)), [Answered(2, Ok(71), false), Answered(3, Ok(71), true)]);
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
fn a_join_of_a_caller_that_has_left_counts_nowhere_and_launches_nothing() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let gone = bench.person();
    gone.leave();
    assert_eq!(bench.join_as(&gone, 7, 7), [DiscardedWorkOf(1)]);
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
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(2, Ok(70), true), DiscardedKey]);
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
    assert_eq!(bench.leave(&follower, 7), [DiscardedWorkOf(2), Aborted(FIRST), DiscardedKey]);
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
    let mut discarded = 0;
    for person in &herd {
        discarded += bench.leave(person, 7).len();
    }
    assert_eq!(discarded, 1000, "each one's work was let go");
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
fn a_key_that_panics_when_compared_fails_its_own_join_alone() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _good = bench.join_hashed(1, 7);
    let (_bad, seen) = bench.join_hashed(1, UNCOMPARABLE);
    assert_eq!(seen, [Refused("panicked"), Answered(2, Err("panicked"), true)]);
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

#[test]
fn the_map_of_a_herd_that_has_passed_shrinks() {
    let mut bench = Bench::new(OnAbandon::Finish);
    for name in 0..100_000 {
        bench.join(name);
    }
    assert!(bench.shard.flights.capacity() >= 100_000);
    let mut id = FIRST;
    for hash in 0..100_000 {
        let flight = FlightRef { hash, id };
        bench.handle(Message::Complete(Complete { flight, outcome: Ok(0), is_error: false }));
        id = id.next();
    }
    assert!(bench.shard.flights.capacity() <= 2 * SHRINK_FLOOR, "{}", bench.shard.flights.capacity());
}

// Caps (G7).

#[test]
fn a_full_flight_refuses_one_more_and_takes_one_when_one_has_left() {
    let mut bench = Bench::under(Rules { max_waiters: 2, ..rules(OnAbandon::Finish) });
    let (leader, _) = bench.join(7);
    let _follower = bench.join(7);
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(3, Err("too_many_waiters"), true)]);
    bench.leave(&leader, 7);
    assert_eq!(bench.join(7).1, [], "the seat of who has left is free");
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(5, Err("too_many_waiters"), true)]);
    let stats = bench.stats();
    assert_eq!((stats.waiters, stats.rejections, stats.joins), (2, 2, 5));
}

#[test]
fn a_full_flight_looks_for_the_departed_however_few_they_are() {
    let mut bench = Bench::under(Rules { max_waiters: 10, ..rules(OnAbandon::Finish) });
    let herd: Vec<_> = (0..10).map(|_| bench.join(7).0).collect();
    assert_eq!(bench.leave(&herd[3], 7), [], "one of ten is not worth a look by itself");
    assert_eq!(bench.join(7).1, [DiscardedWorkOf(4)]);
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(12, Err("too_many_waiters"), true)]);
    assert_eq!(bench.stats().waiters, 10);
}

#[test]
fn a_cap_of_one_leaves_the_leader_alone() {
    let mut bench = Bench::under(Rules { max_waiters: 1, ..rules(OnAbandon::Finish) });
    assert_eq!(bench.join(7).1, [Launched(FIRST, 1)]);
    assert_eq!(bench.join(7).1, [Refused("too_many_waiters"), Answered(2, Err("too_many_waiters"), true)]);
}

#[test]
fn the_last_flight_that_the_budget_allows_is_the_last_until_one_has_landed() {
    let mut bench = Bench::under(Rules { budget: Budget::new(2), ..rules(OnAbandon::Finish) });
    let _flights = (bench.join(7), bench.join(8));
    assert_eq!(bench.join(9).1, [Refused("too_many_flights"), Answered(3, Err("too_many_flights"), true)]);
    assert_eq!(bench.join(8).1, [], "followers need no budget");
    bench.complete(7, 0, Ok(70));
    assert_eq!(bench.join(9).1, [Launched(nth(2), 5)]);
}

#[test]
fn shards_share_one_budget() {
    let rules = Rules { budget: Budget::new(1), ..rules(OnAbandon::Abort) };
    let (mut one, mut other) = (Bench::under(rules.clone()), Bench::under(rules));
    let (leader, _) = one.join(7);
    assert_eq!(other.join(8).1, [Refused("too_many_flights"), Answered(1, Err("too_many_flights"), true)]);
    one.leave(&leader, 7);
    assert_eq!(other.join(8).1, [Launched(FIRST, 2)], "an aborted flight gives back what it took");
}

#[test]
fn a_forgotten_flight_counts_until_it_has_landed() {
    let mut bench = Bench::under(Rules { budget: Budget::new(1), ..rules(OnAbandon::Finish) });
    let _old = bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    assert_eq!(bench.join(7).1, [Refused("too_many_flights"), Answered(2, Err("too_many_flights"), true)]);
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
    assert_eq!(bench.expire(), [Overdue(FIRST, 1), Aborted(FIRST), Answered(1, Err("timed_out"), false)]);
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
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(1, Ok(70), false)]);
}

#[test]
fn a_forgotten_flight_has_its_time_too() {
    let mut bench = expiring(OnExpiry::Fail);
    let _leader = bench.join(7);
    bench.shard.forget(7, &Name(7)).unwrap();
    bench.now += LIMIT;
    assert_eq!(bench.expire(), [Overdue(FIRST, 1), Aborted(FIRST), Answered(1, Err("timed_out"), false)]);
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
    assert_eq!(bench.expire(), [Overdue(SECOND, 1), Aborted(SECOND), Answered(2, Err("timed_out"), false)]);
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
    assert_eq!(bench.join(7).1, [Refused("closed"), Answered(2, Err("closed"), true)]);
    assert_eq!(bench.join(8).1, [Refused("closed"), Answered(3, Err("closed"), true)]);
    assert_eq!(bench.complete(7, 0, Ok(70)), [Answered(1, Ok(70), false)]);
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
    fn join_from(&mut self, (from, n): (u64, u64), name: u64) -> (Person, Vec<Seen>) {
        let caller = self.person();
        let origin = Some(Box::new(FlightRef { hash: from, id: nth(n) }));
        let (key, work) = (Name(name), WorkOf(caller.number));
        let mut seen = self.handle(Message::Join(Join { hash: name, key, work, caller: caller.clone(), origin }));
        while let Some(message) = self.between.pop_front() {
            seen.extend(self.handle(message));
        }
        (caller, seen)
    }
}

#[test]
fn work_that_joins_its_own_key_is_told() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _a = bench.join(1);
    assert_eq!(bench.join_from((1, 0), 1).1, [Refused("reentrant"), Answered(2, Err("reentrant"), true)]);
    assert_eq!(bench.stats().waiters, 1);
}

#[test]
fn a_circle_by_way_of_another_key_is_found() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _a = bench.join(1);
    assert_eq!(bench.join_from((1, 0), 2).1, [Launched(SECOND, 2)], "A waits for B");
    let back = bench.join_from((2, 1), 1).1;
    assert_eq!(back, [Refused("reentrant"), Answered(3, Err("reentrant"), true)], "B waits for A");
    let stats = bench.stats();
    assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (3, 2, 0, 1));
}

#[test]
fn a_circle_of_flights_that_others_lead_is_found_whoever_comes_last() {
    let mut bench = Bench::new(OnAbandon::Finish);
    let _leaders = (bench.join(1), bench.join(2), bench.join(3));
    assert_eq!(bench.join_from((1, 0), 2).1, []);
    assert_eq!(bench.join_from((2, 1), 3).1, []);
    assert_eq!(bench.join_from((3, 2), 1).1, [Refused("reentrant"), Answered(6, Err("reentrant"), true)]);
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

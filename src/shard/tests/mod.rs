//! One test per transition of the table at the head of `shard/mod.rs`.

mod controls;

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
    origin: Option<FlightRef>,
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
    type Key = Name;
    type Work = WorkOf;

    fn has_left(&self) -> bool {
        LOOKS.set(LOOKS.get() + 1);
        self.left.get()
    }

    fn claim(&self) -> Option<WorkOf> {
        (!self.left.get()).then_some(WorkOf(self.number))
    }

    fn keep(&self, key: Name) -> Option<Name> {
        self.left.get().then_some(key)
    }

    fn origin(&self) -> Option<FlightRef> {
        self.origin
    }
}

/// What came out of a shard, in a form to compare.
#[derive(Debug, PartialEq)]
enum Seen {
    Launched(FlightId, u64),
    /// Caller, answer, whether a key came back with it.
    Answered(u64, Result<u64, &'static str>, bool),
    Aborted(FlightId),
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
                Effect::Discard(remains) => seen.push(discarded(&remains)),
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
        Person { number: self.next_person, left: Rc::default(), origin: None }
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
        self.handle(Message::Join(Join { hash, key: Name(name), caller: caller.clone() }))
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
        self.shard.stats(self.now)
    }
}

fn landed(mut landing: Landing<Numbers>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (caller, outcome, key) in &mut landing {
        let outcome = outcome.map_err(|error| error.kind());
        seen.push(Seen::Answered(caller.number, outcome, key.is_some()));
    }
    seen.extend(landing.remains().map(|remains| discarded(&remains)));
    seen
}

fn discarded(remains: &Remains<Numbers>) -> Seen {
    match remains {
        Remains::Key(_) => Seen::DiscardedKey,
        Remains::Value(value) => Seen::DiscardedValue(*value),
    }
}

use Seen::{Aborted, Answered, Crowded, DiscardedKey, DiscardedValue, Launched, Overdue, Refused};

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
    assert!(to_ask <= super::roster::SWEEP_FLOOR + 4 && roster <= super::roster::SWEEP_FLOOR + 4, "{to_ask}, {roster}");
}

#[test]
fn flights_that_have_landed_leave_nothing_behind_to_be_asked() {
    let mut bench = Bench::new(OnAbandon::Finish);
    for flight in 0..1_000 {
        let callers = [1, 2, 3].map(|_| bench.join(7).0);
        assert_eq!(bench.leave(&callers[0], 7), [], "one of three isn't worth a look");
        bench.complete(7, flight, Ok(70));
    }
    assert!(bench.shard.to_ask.len() <= super::roster::SWEEP_FLOOR + 2, "{}", bench.shard.to_ask.len());
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

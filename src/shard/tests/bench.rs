//! A shard alone, in a world of numbers in which a test sees everything.

use std::{cell::Cell, collections::VecDeque, rc::Rc, time::Instant};

pub(super) use Seen::{Aborted, Answered, Crowded, DiscardedKey, DiscardedValue, Launched, Overdue, Refused};

use crate::{
    error::JoinError,
    policy::{OnAbandon, OnExpiry},
    shard::{
        Budget, Caller, Complete, Effect, FlightId, FlightRef, Join, Landing, Message, Remains, Report, Rules, Shard,
        Standing, World,
    },
};

pub(super) struct Numbers;

impl World for Numbers {
    type Key = Name;
    type Work = WorkOf;
    type Value = u64;
    type Caller = Person;
    type Task = FlightRef;
}

/// A key with a panic button.
#[derive(Debug)]
pub(super) struct Name(pub(super) u64);

pub(super) const UNCOMPARABLE: u64 = 666;

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        assert!(self.0 != UNCOMPARABLE && other.0 != UNCOMPARABLE, "compared the uncomparable");
        self.0 == other.0
    }
}

impl Eq for Name {}

/// Work that knows whose it is.
pub(super) struct WorkOf(pub(super) u64);

#[derive(Clone)]
pub(super) struct Person {
    pub(super) number: u64,
    pub(super) left: Rc<Cell<bool>>,
    pub(super) origin: Option<FlightRef>,
}

impl Person {
    pub(super) fn leave(&self) {
        self.left.set(true);
    }
}

thread_local! {
    /// How often this thread's shards have asked a caller whether it has left.
    pub(super) static LOOKS: Cell<u64> = const { Cell::new(0) };
}

impl Caller for Person {
    type Key = Name;
    type Work = WorkOf;

    fn standing(&self) -> Standing {
        LOOKS.set(LOOKS.get() + 1);
        Standing { left: self.left.get(), origin: self.origin }
    }

    fn claim(&self) -> Option<WorkOf> {
        (!self.left.get()).then_some(WorkOf(self.number))
    }

    fn keep(&self, key: Name) -> Option<Name> {
        self.left.get().then_some(key)
    }
}

/// What came out of a shard, in a form to compare.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
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

pub(super) struct Bench {
    pub(super) shard: Shard<Numbers>,
    /// Probes and circles, on their way between shards of which this is the only one.
    pub(super) between: VecDeque<Message<Numbers>>,
    pub(super) now: Instant,
    pub(super) next_person: u64,
}

impl Bench {
    pub(super) fn new(on_abandon: OnAbandon) -> Self {
        Self::under(rules(on_abandon))
    }

    pub(super) fn under(rules: Rules) -> Self {
        Self { shard: Shard::new(0, rules), between: VecDeque::new(), now: Instant::now(), next_person: 0 }
    }

    pub(super) fn handle(&mut self, message: Message<Numbers>) -> Vec<Seen> {
        let mut effects = Vec::new();
        self.shard.handle(message, self.now, &mut effects);
        self.carry_out(effects)
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect<Numbers>>) -> Vec<Seen> {
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

    pub(super) fn person(&mut self) -> Person {
        self.next_person += 1;
        Person { number: self.next_person, left: Rc::default(), origin: None }
    }

    /// A join of key `name`, whose hash is the name itself.
    pub(super) fn join(&mut self, name: u64) -> (Person, Vec<Seen>) {
        self.join_hashed(name, name)
    }

    pub(super) fn join_hashed(&mut self, hash: u64, name: u64) -> (Person, Vec<Seen>) {
        let caller = self.person();
        let seen = self.join_as(&caller, hash, name);
        (caller, seen)
    }

    pub(super) fn join_as(&mut self, caller: &Person, hash: u64, name: u64) -> Vec<Seen> {
        self.handle(Message::Join(Join {
            hash,
            key: Name(name),
            nested: caller.origin.is_some(),
            caller: caller.clone(),
        }))
    }

    pub(super) fn complete(&mut self, hash: u64, flight: u64, outcome: Result<u64, JoinError>) -> Vec<Seen> {
        let flight = FlightRef { hash, id: nth(flight) };
        self.handle(Message::Complete(Complete { flight, outcome, is_error: false }))
    }

    pub(super) fn leave(&mut self, person: &Person, hash: u64) -> Vec<Seen> {
        person.leave();
        self.handle(Message::Cancel { hash })
    }

    pub(super) fn stats(&mut self) -> crate::Stats {
        self.shard.stats(self.now)
    }
}

pub(super) fn landed(mut landing: Landing<Numbers>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (caller, outcome, key) in &mut landing {
        let outcome = outcome.map_err(|error| error.kind());
        seen.push(Seen::Answered(caller.number, outcome, key.is_some()));
    }
    seen.extend(landing.remains().map(|remains| discarded(&remains)));
    seen
}

pub(super) fn discarded(remains: &Remains<Numbers>) -> Seen {
    match remains {
        Remains::Key(_) => Seen::DiscardedKey,
        Remains::Value(value) => Seen::DiscardedValue(*value),
    }
}

pub(super) const FIRST: FlightId = FlightId::first_of(0);
pub(super) const SECOND: FlightId = FIRST.next();

/// The flight after `n` others.
pub(super) fn nth(n: u64) -> FlightId {
    (0..n).fold(FIRST, |id, _| id.next())
}

//! The shard against a naive reference: the same random messages into both, and every effect compared.
//!
//! The reference keeps everything and looks at everything. Where the shard may choose its moment (a departure is noticed
//! at the latest with its own `Cancel`) the reference says what is allowed and what is due.

use std::{cell::Cell, rc::Rc, time::Instant};

use proptest::prelude::*;

use super::{Caller, Complete, Effect, FlightId, FlightRef, Join, Message, Shard, World, tests::rules};
use crate::{error::JoinError, policy::OnAbandon};

struct Plain;

impl World for Plain {
    type Key = u8;
    type Work = usize;
    type Value = FlightId;
    type Caller = Seat;
    type Task = FlightRef;
}

#[derive(Clone)]
struct Seat {
    caller: usize,
    left: Rc<Cell<bool>>,
}

impl Caller for Seat {
    fn has_left(&self) -> bool {
        self.left.get()
    }
}

/// Several keys share a hash, so that identity is never the hash's doing.
fn hash_of(key: u8) -> u64 {
    u64::from(key % 2)
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    /// The caller leaves; its `Cancel` is on its way.
    Leave(prop::sample::Index),
    /// The oldest `Cancel` on its way arrives.
    Cancel,
    /// A running flight's work ends.
    Complete(prop::sample::Index, bool),
    /// An ended flight's completion arrives once more.
    CompleteAgain(prop::sample::Index),
    Forget(u8),
    ForgetAll,
    Stats,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8).prop_map(Step::Join),
        5 => any::<prop::sample::Index>().prop_map(Step::Leave),
        5 => Just(Step::Cancel),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(flight, ok)| Step::Complete(flight, ok)),
        1 => any::<prop::sample::Index>().prop_map(Step::CompleteAgain),
        2 => (0..4_u8).prop_map(Step::Forget),
        1 => Just(Step::ForgetAll),
        1 => Just(Step::Stats),
    ]
}

/// What the reference knows of a flight.
struct Flight {
    id: FlightId,
    key: u8,
    joinable: bool,
    over: bool,
    aboard: Vec<usize>,
}

/// What the reference knows of a caller.
struct Person {
    seat: Seat,
    flight: usize,
    answered: bool,
    /// Its `Cancel` has arrived.
    announced: bool,
}

struct Trial {
    shard: Shard<Plain>,
    on_abandon: OnAbandon,
    flights: Vec<Flight>,
    people: Vec<Person>,
    /// `Cancel`s on their way, each with the caller it is about.
    cancels: Vec<usize>,
}

impl Trial {
    fn new(on_abandon: OnAbandon) -> Self {
        Self { shard: Shard::new(0, rules(on_abandon)), on_abandon, flights: vec![], people: vec![], cancels: vec![] }
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Join(key) => self.join(key)?,
            Step::Leave(index) => self.leave(index),
            Step::Cancel => self.cancel()?,
            Step::Complete(ref index, ok) => {
                let running: Vec<_> = (0..self.flights.len()).filter(|&flight| !self.flights[flight].over).collect();
                if !running.is_empty() {
                    self.complete(*index.get(&running), ok)?;
                }
            }
            Step::CompleteAgain(ref index) => {
                let over: Vec<_> = self.flights.iter().filter(|flight| flight.over).map(|f| (f.key, f.id)).collect();
                if !over.is_empty() {
                    let (key, id) = *index.get(&over);
                    let effects = self.send(completion(key, id, true));
                    prop_assert!(effects.iter().all(|effect| matches!(effect, Effect::Discard(_))), "a late result");
                }
            }
            Step::Forget(key) => {
                let found = self.flights.iter_mut().find(|flight| flight.joinable && flight.key == key);
                let was_live = found.map(|flight| flight.joinable = false).is_some();
                prop_assert_eq!(self.shard.forget(hash_of(key), &key).unwrap(), was_live);
            }
            Step::ForgetAll => {
                let joinable = self.flights.iter_mut().filter(|flight| flight.joinable);
                let forgotten = joinable.map(|flight| flight.joinable = false).count();
                prop_assert_eq!(self.shard.forget_all(), forgotten);
            }
            Step::Stats => self.stats()?,
        }
        Ok(())
    }

    fn send(&mut self, message: Message<Plain>) -> Vec<Effect<Plain>> {
        let mut effects = Vec::new();
        self.shard.handle(message, Instant::now(), &mut effects);
        effects
    }

    fn join(&mut self, key: u8) -> Result<(), TestCaseError> {
        let caller = self.people.len();
        let seat = Seat { caller, left: Rc::default() };
        let message = Join { hash: hash_of(key), key, work: caller, caller: seat.clone(), origin: None };
        let effects = self.send(Message::Join(message));
        let flight = match self.flights.iter().position(|flight| flight.joinable && flight.key == key) {
            Some(flight) => {
                prop_assert!(effects.is_empty(), "G1: a flight of the key was live and joinable");
                flight
            }
            None => {
                let [Effect::Launch { flight: launched, work }] = effects[..] else {
                    return Err(TestCaseError::fail("a join of a key without a joinable flight launches one"));
                };
                prop_assert_eq!(work, caller, "the leader's own work runs");
                self.shard.launched(launched, launched);
                self.flights.push(Flight { id: launched.id, key, joinable: true, over: false, aboard: vec![] });
                self.flights.len() - 1
            }
        };
        self.flights[flight].aboard.push(caller);
        self.people.push(Person { seat, flight, answered: false, announced: false });
        Ok(())
    }

    fn leave(&mut self, index: prop::sample::Index) {
        let there = |person: &&Person| !person.answered && !person.seat.left.get();
        let there: Vec<_> = self.people.iter().filter(there).map(|person| person.seat.clone()).collect();
        if !there.is_empty() {
            let seat = index.get(&there);
            seat.left.set(true);
            self.cancels.push(seat.caller);
        }
    }

    fn cancel(&mut self) -> Result<(), TestCaseError> {
        if self.cancels.is_empty() {
            return Ok(());
        }
        let caller = self.cancels.remove(0);
        self.people[caller].announced = true;
        let hash = hash_of(self.flights[self.people[caller].flight].key);
        for effect in self.send(Message::Cancel { hash }) {
            match effect {
                Effect::Abort(task) => {
                    prop_assert_eq!(self.on_abandon, OnAbandon::Abort);
                    let people = &self.people;
                    let flight = self.flights.iter_mut().find(|flight| flight.id == task.id && !flight.over).unwrap();
                    let all_left = flight.aboard.iter().all(|&caller| people[caller].seat.left.get());
                    prop_assert!(all_left, "G2: aborted under a live caller");
                    (flight.over, flight.joinable) = (true, false);
                }
                Effect::Land(mut landing) => prop_assert!(landing.next().is_none(), "an abort has nobody to answer"),
                Effect::Discard(_) => {}
                Effect::Launch { .. } | Effect::Send { .. } | Effect::Report(_) => {
                    return Err(TestCaseError::fail("a cancel launches, sends and reports nothing"));
                }
            }
        }
        if self.on_abandon == OnAbandon::Abort {
            let gone = |&caller: &usize| self.people[caller].announced;
            let due = self.flights.iter().find(|flight| !flight.over && flight.aboard.iter().all(gone));
            prop_assert!(due.is_none(), "G10: everyone has left and said so, and the work still runs");
        }
        Ok(())
    }

    fn complete(&mut self, flight: usize, ok: bool) -> Result<(), TestCaseError> {
        let (key, id) = (self.flights[flight].key, self.flights[flight].id);
        let mut effects = self.send(completion(key, id, ok));
        prop_assert_eq!(effects.len(), 1, "a completion lands its flight and does nothing else");
        let Some(Effect::Land(landing)) = effects.pop() else {
            return Err(TestCaseError::fail("a live flight's completion lands it"));
        };
        for (seat, outcome, leftovers) in landing {
            let person = &mut self.people[seat.caller];
            prop_assert!(!person.answered, "G5: one answer each");
            prop_assert_eq!(person.flight, flight, "G9: answered by its own flight");
            prop_assert_eq!(outcome.ok(), ok.then_some(id));
            if let Some(work) = leftovers.and_then(|leftovers| leftovers.work) {
                prop_assert_eq!(work, seat.caller, "each gets its own back");
            }
            person.answered = true;
        }
        let unanswered = |person: &Person| person.flight == flight && !person.answered && !person.seat.left.get();
        prop_assert!(!self.people.iter().any(unanswered), "G5: everyone is answered");
        (self.flights[flight].over, self.flights[flight].joinable) = (true, false);
        Ok(())
    }

    fn stats(&mut self) -> Result<(), TestCaseError> {
        let stats = self.shard.stats(Instant::now(), &mut Vec::new());
        let live = self.flights.iter().filter(|flight| !flight.over).count();
        prop_assert_eq!(stats.flights, live);
        prop_assert_eq!(stats.executions, self.flights.len() as u64);
        prop_assert_eq!(stats.joins, self.people.len() as u64);
        prop_assert_eq!(stats.joins, stats.executions + stats.coalesced);
        let waiting = |person: &&Person| !person.answered && !person.announced && !self.flights[person.flight].over;
        let (most, least) = (
            self.people.iter().filter(waiting).count(),
            self.people.iter().filter(waiting).filter(|person| !person.seat.left.get()).count(),
        );
        prop_assert!((least..=most).contains(&stats.waiters), "{least} <= {} <= {most}", stats.waiters);
        Ok(())
    }

    /// Lets everything end, and looks for what is left.
    fn land_everything(&mut self) -> Result<(), TestCaseError> {
        while !self.cancels.is_empty() {
            self.cancel()?;
        }
        while let Some(flight) = self.flights.iter().position(|flight| !flight.over) {
            self.complete(flight, true)?;
        }
        self.stats()?;
        let stats = self.shard.stats(Instant::now(), &mut Vec::new());
        prop_assert_eq!((stats.flights, stats.waiters), (0, 0), "G6: nothing is left");
        Ok(())
    }
}

fn completion(key: u8, flight: FlightId, ok: bool) -> Message<Plain> {
    let outcome = if ok { Ok(flight) } else { Err(JoinError::Aborted) };
    let flight = FlightRef { hash: hash_of(key), id: flight };
    Message::Complete(Complete { flight, outcome, is_error: false })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_shard_does_what_the_reference_does(
        abort in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut trial = Trial::new(if abort { OnAbandon::Abort } else { OnAbandon::Finish });
        for step in &steps {
            trial.take(step)?;
        }
        trial.land_everything()?;
    }
}

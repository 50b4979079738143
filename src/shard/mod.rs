//! The state machine at the ground floor: one shard's share of the keys, and the flights under way for them.
//!
//! It is pure and synchronous. It takes a message and the time and gives back what to do; it knows no runtime, no
//! channel and no actor, and the only user code it runs is the key's `Eq`, guarded.
//!
//! | | no flight for the key | a joinable flight | a flight no longer joinable |
//! | --- | --- | --- | --- |
//! | `Join` | launch, or refuse at the cap | board, or refuse at the cap | (not found: launch) |
//! | `Complete` of that flight | discard the outcome | unmap, land | unmap, land |
//! | `Cancel` | – | reap; empty and `Abort`: unmap, abort | the same |
//! | `Probe` of that flight | – | pass on to those who wait for it, or report a circle | the same |
//! | `Circle` | – | put the waiter off: `Reentrant` | the same |
//! | `forget` | false | no longer joinable, true | (not found: false) |
//! | `expire` | – | `Fail`: unmap, abort, land; `Detach`: no longer joinable | the same |
//! | draining | refuse | refuse; otherwise as above | as above |
//! | `close` | – | unmap, land, abort | the same |

mod boarding;
mod circles;
mod crew;
mod flight;
mod message;
mod roster;
mod rules;
mod sight;
mod world;

// Not under Shuttle, whose atomics work in its own tasks alone.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
pub(crate) mod model;
#[cfg(test)]
mod tests;

use std::time::Instant;

use hashbrown::HashTable;

use self::{flight::Flight, message::ProbeId, roster::Roster};
pub(crate) use self::{
    message::{Complete, Effect, FlightId, FlightRef, Join, Landing, Message, Probe, Remains, Report, Wait},
    rules::{Budget, Rules},
    sight::Sighting,
    world::{Caller, Standing, World},
};
use crate::{
    error::{CaughtPanic, JoinError},
    panics,
    policy::{OnAbandon, OnExpiry},
    stats::Stats,
};

/// Below this many buckets an idle map isn't worth shrinking.
const SHRINK_FLOOR: usize = 1024;

pub(crate) struct Shard<W: World> {
    /// All flights under their key's hash, joinable or not. At most one flight per key is joinable (G1).
    flights: HashTable<Flight<W>>,
    rules: Rules,
    next_id: FlightId,
    waiters: usize,
    /// Flights that have their time before them, in the order of their deadlines.
    roster: Roster,
    /// Flights that are past it and fly on all the same, under [`OnExpiry::Detach`].
    overdue: Roster,
    /// Flights that may have lost callers since they were last looked at.
    to_ask: Vec<FlightRef>,
    /// The last probe that was sent.
    probes: ProbeId,
    /// The time of the last join, and since when flights must have been under way to be past their time then.
    overdue_since: Option<(Instant, Option<Instant>)>,
    /// No flight starts and nobody boards any more.
    draining: bool,
    /// Counters only; the gauges are filled in when somebody asks.
    counters: Stats,
    /// What was counted before the last reset.
    before: Stats,
}

impl<W: World> Shard<W> {
    pub(crate) fn new(number: usize, rules: Rules) -> Self {
        Self {
            flights: HashTable::new(),
            rules,
            next_id: FlightId::first_of(number),
            waiters: 0,
            roster: Roster::default(),
            overdue: Roster::default(),
            to_ask: Vec::new(),
            probes: FlightId::first_of(number),
            overdue_since: None,
            draining: false,
            counters: Stats::default(),
            before: Stats::default(),
        }
    }

    /// Takes one message; what there is to do about it is appended to `effects`.
    pub(crate) fn handle(&mut self, message: Message<W>, now: Instant, effects: &mut Vec<Effect<W>>) {
        match message {
            Message::Join(join) => self.join(join, now, effects),
            Message::Complete(complete) => self.complete(complete, effects),
            Message::Cancel { hash } => self.cancel(hash, effects),
            Message::Probe(probe) => self.probe(*probe, effects),
            Message::Circle(wait) => self.circle(wait, effects),
        }
    }

    /// Takes the task of a flight that was just launched.
    pub(crate) fn launched(&mut self, flight: FlightRef, task: W::Task) {
        if let Some(flight) = self.find(flight) {
            flight.task = Some(task);
        }
    }

    fn complete(&mut self, complete: Complete<W>, effects: &mut Vec<Effect<W>>) {
        let Complete { flight, outcome, is_error } = complete;
        let Some(flight) = self.unmap(flight) else {
            // The flight was aborted while its work was ending. A late result changes nothing.
            if let Ok(value) = outcome {
                effects.push(Effect::Discard(Remains::Value(value)));
            }
            return;
        };
        match &outcome {
            Ok(_) => self.counters.errors += u64::from(is_error),
            Err(JoinError::Panicked(_)) => self.counters.panics += 1,
            Err(_) => self.counters.aborts += 1,
        }
        effects.push(Effect::Land(flight.land(outcome).0));
    }

    fn cancel(&mut self, hash: u64, effects: &mut Vec<Effect<W>>) {
        let mut abandoned = Vec::new();
        for flight in self.flights.iter_hash_mut(hash).filter(|flight| flight.itself.hash == hash) {
            if flight.hint_departure() {
                self.waiters -= reap(flight, &mut self.counters);
                if flight.waiters() == 0 && self.rules.on_abandon == OnAbandon::Abort {
                    abandoned.push(flight.itself);
                }
            } else if !flight.to_ask {
                flight.to_ask = true;
                self.to_ask.push(flight.itself);
            }
        }
        if self.to_ask.len() > 2 * self.flights.len() + roster::SWEEP_FLOOR {
            let flights = &self.flights;
            self.to_ask.retain(|&flight| is_live(flights, flight));
        }
        for flight in abandoned {
            self.abandon(flight, effects);
        }
    }

    fn abandon(&mut self, flight: FlightRef, effects: &mut Vec<Effect<W>>) {
        self.counters.aborts += 1;
        self.cut_short(flight, JoinError::Aborted, effects);
    }

    /// Unmaps the flight and has its work dropped, in one step as far as any message can tell (G10, G11).
    fn cut_short(&mut self, flight: FlightRef, error: JoinError, effects: &mut Vec<Effect<W>>) {
        if let Some(flight) = self.unmap(flight) {
            let (landing, task) = flight.land(Err(error));
            effects.extend(task.map(Effect::Abort));
            effects.push(Effect::Land(landing));
        }
    }

    /// Takes a flight out of the map, by its identity: the same key may have a newer one (G9).
    fn unmap(&mut self, flight: FlightRef) -> Option<Flight<W>> {
        let entry = self.flights.find_entry(flight.hash, |candidate| candidate.is(flight)).ok()?;
        let (flight, _) = entry.remove();
        self.waiters -= flight.waiters();
        self.rules.budget.give_back();
        // The map of a herd that has passed must not stay as large as the herd was (G6).
        if self.flights.capacity() > SHRINK_FLOOR && self.flights.len() < self.flights.capacity() / 8 {
            self.flights.shrink_to(self.flights.len() * 2, |flight| flight.itself.hash);
        }
        Some(flight)
    }

    fn find(&mut self, flight: FlightRef) -> Option<&mut Flight<W>> {
        self.flights.find_mut(flight.hash, |candidate| candidate.is(flight))
    }

    /// Detaches the key's flight, if it has one: those aboard still get its result, the next join starts anew (G9).
    pub(crate) fn forget(&mut self, hash: u64, key: &W::Key) -> Result<bool, CaughtPanic> {
        let found = panics::catch(|| self.flights.find_mut(hash, |flight| flight.boards(hash, key)))?;
        Ok(found.is_some_and(|flight| {
            flight.joinable = false;
            self.counters.forgets += 1;
            true
        }))
    }

    /// Detaches every flight, and says how many there were to detach.
    pub(crate) fn forget_all(&mut self) -> usize {
        let mut forgotten = 0;
        for flight in self.flights.iter_mut().filter(|flight| flight.joinable) {
            flight.joinable = false;
            forgotten += 1;
        }
        self.counters.forgets += forgotten as u64;
        forgotten
    }

    /// When the next flight's time is up, if one's ever is.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        let limit = self.rules.max_flight_duration?;
        let flights = &self.flights;
        let started = self.roster.oldest(|flight| started(flights, flight))?;
        // A limit beyond what the clock can express is as good as none.
        started.checked_add(limit)
    }

    /// Ends or detaches the oldest flight if its time is up (G11). True if it was: there may be more.
    pub(crate) fn expire(&mut self, now: Instant, effects: &mut Vec<Effect<W>>) -> bool {
        let (Some(limit), Some(deadline)) = (self.rules.max_flight_duration, self.next_deadline()) else {
            return false;
        };
        if deadline > now {
            return false;
        }
        let Some(oldest) = self.roster.remove_oldest() else { return false };
        self.counters.timeouts += 1;
        if let Some(flight) = self.find(oldest) {
            let age = now.saturating_duration_since(flight.started);
            let waiters = flight.waiters();
            flight.joinable = false;
            effects.push(Effect::Report(Report::Overdue { flight: oldest.id, age, waiters }));
        }
        match self.rules.on_expiry {
            OnExpiry::Fail => self.cut_short(oldest, JoinError::TimedOut { after: limit }, effects),
            OnExpiry::Detach => {
                let flights = &self.flights;
                self.overdue.enter(oldest, flights.len(), |flight| is_live(flights, flight));
            }
        }
        true
    }

    /// From now on joins are refused with `Closed`; what is under way goes on.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    pub(crate) fn flights(&self) -> usize {
        self.flights.len()
    }

    /// Ends every flight: whoever is aboard is answered `Closed` (G5). The work is dropped if `abort` says so.
    pub(crate) fn close(&mut self, abort: bool, effects: &mut Vec<Effect<W>>) {
        for flight in self.flights.drain() {
            self.rules.budget.give_back();
            let (landing, task) = flight.land(Err(JoinError::Closed));
            if abort {
                self.counters.aborts += 1;
                effects.extend(task.map(Effect::Abort));
            }
            effects.push(Effect::Land(landing));
        }
        self.waiters = 0;
    }

    /// Whether abandoned work is to be dropped.
    pub(crate) fn aborts_abandoned(&self) -> bool {
        self.rules.on_abandon == OnAbandon::Abort
    }

    /// Takes note of a caller that turned out to have left when its answer came. One that belongs to what was counted
    /// before a reset is in the totals alone.
    pub(crate) fn count_departure(&mut self, since_reset: bool) {
        let counters = if since_reset { &mut self.counters } else { &mut self.before };
        counters.departures += 1;
    }
}

impl<W: World> Flight<W> {
    /// Whether a join of `key` may board. Compares the key last, as it alone is user code.
    fn boards(&self, hash: u64, key: &W::Key) -> bool {
        self.itself.hash == hash && self.joinable && self.key == *key
    }
}

fn reap<W: World>(flight: &mut Flight<W>, counters: &mut Stats) -> usize {
    let departed = flight.reap();
    counters.departures += departed as u64;
    departed
}

fn is_live<W: World>(flights: &HashTable<Flight<W>>, flight: FlightRef) -> bool {
    started(flights, flight).is_some()
}

/// When a flight started, if it is still under way.
fn started<W: World>(flights: &HashTable<Flight<W>>, flight: FlightRef) -> Option<Instant> {
    flights.find(flight.hash, |candidate| candidate.is(flight)).map(|flight| flight.started)
}

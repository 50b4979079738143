//! The state machine at the ground floor: one shard's share of the keys, and the flights under way for them.
//!
//! It is pure and synchronous. It takes a message and the time and gives back what to do; it knows no runtime, no
//! channel and no actor, and the only user code it runs is the key's `Eq`, guarded.
//!
//! | | no flight for the key | a joinable flight | a forgotten flight |
//! | --- | --- | --- | --- |
//! | `Join` | launch | board | (not found: launch) |
//! | `Complete` of that flight | discard the outcome | unmap, land | unmap, land |
//! | `Cancel` | – | reap; empty and `Abort`: unmap, abort | the same |
//! | `forget` | false | forgotten, true | (not found: false) |

mod flight;
mod message;
mod world;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::time::Instant;

use hashbrown::HashTable;

use self::flight::Flight;
pub(crate) use self::{
    message::{Complete, Effect, FlightId, Join, Landing, Leftovers, Message, Remains, Waiter},
    world::{Caller, World},
};
use crate::{
    error::{CaughtPanic, JoinError},
    panics,
    policy::OnAbandon,
    stats::Stats,
};

/// Below this many buckets an idle map isn't worth shrinking.
const SHRINK_FLOOR: usize = 1024;

pub(crate) struct Shard<W: World> {
    /// Joinable and forgotten flights alike, under their key's hash. At most one flight per key is joinable (G1).
    flights: HashTable<Flight<W>>,
    on_abandon: OnAbandon,
    next_id: u64,
    waiters: usize,
    /// Counters only; the gauges are filled in when somebody asks.
    counters: Stats,
}

impl<W: World> Shard<W> {
    pub(crate) fn new(on_abandon: OnAbandon) -> Self {
        Self { flights: HashTable::new(), on_abandon, next_id: 0, waiters: 0, counters: Stats::default() }
    }

    /// Takes one message; what there is to do about it is appended to `effects`.
    pub(crate) fn handle(&mut self, message: Message<W>, now: Instant, effects: &mut Vec<Effect<W>>) {
        match message {
            Message::Join(join) => self.join(join, now, effects),
            Message::Complete(complete) => self.complete(complete, effects),
            Message::Cancel { hash } => self.cancel(hash, effects),
        }
    }

    fn join(&mut self, join: Join<W>, now: Instant, effects: &mut Vec<Effect<W>>) {
        let Join { hash, key, work, caller } = join;
        if caller.has_left() {
            effects.push(Effect::Discard(Remains::Leftovers(Leftovers { key, work: Some(work) })));
            return;
        }
        self.counters.joins += 1;
        // Looking up changes nothing, so a panic in `Eq` leaves the map as it was.
        let found = panics::catch(|| {
            self.flights.find_mut(hash, |flight| flight.hash == hash && flight.joinable && flight.key == key)
        });
        match found {
            Ok(Some(flight)) => {
                flight.board(caller, Leftovers { key, work: Some(work) });
                self.waiters += 1;
                self.counters.coalesced += 1;
            }
            Ok(None) => {
                let id = FlightId(self.next_id);
                self.next_id += 1;
                let flight = Flight::new(hash, id, key, caller, now);
                self.flights.insert_unique(hash, flight, |flight| flight.hash);
                self.waiters += 1;
                self.counters.executions += 1;
                effects.push(Effect::Launch { hash, flight: id, work });
            }
            Err(panic) => {
                self.counters.rejections += 1;
                let refused = Waiter { caller, leftovers: Some(Leftovers { key, work: Some(work) }) };
                effects.push(Effect::Land(Landing::new(vec![refused], None, Err(JoinError::Panicked(panic)))));
            }
        }
    }

    /// Takes the task of a flight that was just launched.
    pub(crate) fn launched(&mut self, hash: u64, id: FlightId, task: W::Task) {
        if let Some(flight) = self.flights.find_mut(hash, |flight| flight.id == id) {
            flight.task = Some(task);
        }
    }

    fn complete(&mut self, complete: Complete<W>, effects: &mut Vec<Effect<W>>) {
        let Complete { hash, flight: id, outcome, is_error } = complete;
        let Some(flight) = self.unmap(hash, id) else {
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
        for flight in self.flights.iter_hash_mut(hash).filter(|flight| flight.hash == hash) {
            if flight.hint_departure() {
                let departed = reap(flight, effects);
                self.waiters -= departed;
                self.counters.departures += departed as u64;
                if flight.waiters() == 0 && self.on_abandon == OnAbandon::Abort {
                    abandoned.push(flight.id);
                }
            }
        }
        for id in abandoned {
            self.abort(hash, id, effects);
        }
    }

    /// Unmaps the flight and has its work dropped, in one step as far as any message can tell (G10).
    fn abort(&mut self, hash: u64, id: FlightId, effects: &mut Vec<Effect<W>>) {
        if let Some(flight) = self.unmap(hash, id) {
            self.counters.aborts += 1;
            let (landing, task) = flight.land(Err(JoinError::Aborted));
            effects.extend(task.map(Effect::Abort));
            effects.push(Effect::Land(landing));
        }
    }

    /// Takes a flight out of the map, by its identity: the same key may have a newer one (G9).
    fn unmap(&mut self, hash: u64, id: FlightId) -> Option<Flight<W>> {
        let entry = self.flights.find_entry(hash, |flight| flight.id == id).ok()?;
        let (flight, _) = entry.remove();
        self.waiters -= flight.waiters();
        // The map of a herd that has passed must not stay as large as the herd was (G6).
        if self.flights.capacity() > SHRINK_FLOOR && self.flights.len() < self.flights.capacity() / 8 {
            self.flights.shrink_to(self.flights.len() * 2, |flight| flight.hash);
        }
        Some(flight)
    }

    /// Detaches the key's flight, if it has one: those aboard still get its result, the next join starts anew (G9).
    pub(crate) fn forget(&mut self, hash: u64, key: &W::Key) -> Result<bool, CaughtPanic> {
        let found = panics::catch(|| {
            self.flights.find_mut(hash, |flight| flight.hash == hash && flight.joinable && flight.key == *key)
        })?;
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

    /// Takes note of callers that turned out to have left when their answer came.
    pub(crate) fn count_departures(&mut self, departed: u64) {
        self.counters.departures += departed;
    }

    /// Counters and gauges as of now. Reaps first, so that `waiters` counts nobody who has left.
    pub(crate) fn stats(&mut self, now: Instant, effects: &mut Vec<Effect<W>>) -> Stats {
        let mut oldest: Option<Instant> = None;
        for flight in &mut self.flights {
            if flight.has_hints() {
                let departed = reap(flight, effects);
                self.waiters -= departed;
                self.counters.departures += departed as u64;
            }
            oldest = Some(oldest.map_or(flight.started, |oldest| oldest.min(flight.started)));
        }
        let mut stats = self.counters.clone();
        stats.flights = self.flights.len();
        stats.waiters = self.waiters;
        stats.oldest_flight = oldest.map(|started| now.saturating_duration_since(started));
        stats
    }

    /// Counters to zero; the gauges say what is, and stay.
    pub(crate) fn reset_stats(&mut self) {
        self.counters = Stats::default();
    }

    /// Ends every flight: whoever is aboard is answered `Closed` (G5), and work is dropped where nobody would have
    /// wanted it finished.
    pub(crate) fn close(&mut self, effects: &mut Vec<Effect<W>>) {
        for flight in self.flights.drain() {
            let (landing, task) = flight.land(Err(JoinError::Closed));
            if self.on_abandon == OnAbandon::Abort {
                self.counters.aborts += 1;
                effects.extend(task.map(Effect::Abort));
            }
            effects.push(Effect::Land(landing));
        }
        self.waiters = 0;
    }
}

fn reap<W: World>(flight: &mut Flight<W>, effects: &mut Vec<Effect<W>>) -> usize {
    flight.reap(|leftovers| effects.push(Effect::Discard(Remains::Leftovers(leftovers))))
}

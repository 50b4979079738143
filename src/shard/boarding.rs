//! What becomes of a join: a seat on a flight, a flight of its own, or a refusal.

use std::time::Instant;

use super::{
    Effect, FlightRef, Join, Landing, Remains, Report, Rules, Shard, Wait, World, circles, crew::Crew, flight::Flight,
    is_live, reap, world::Caller,
};
use crate::{error::JoinError, panics, stats::Stats};

impl<W: World> Shard<W> {
    /// A caller that has left, before this or meanwhile, counts nowhere.
    pub(super) fn join(&mut self, join: Join<W>, now: Instant, effects: &mut Vec<Effect<W>>) {
        if let Some(key) = self.seat(join, now, effects) {
            effects.push(Effect::Discard(Remains::Key(key)));
        }
    }

    /// Gives the key back if its caller has left.
    fn seat(&mut self, join: Join<W>, now: Instant, effects: &mut Vec<Effect<W>>) -> Option<W::Key> {
        let Join { hash, key, caller, nested } = join;
        let origin = if nested { caller.standing().origin } else { None };
        let overdue_since = self.overdue_since(now);
        // Looking up changes nothing, so a panic in `Eq` leaves the map as it was.
        let mut found = panics::catch(|| self.flights.find_mut(hash, |flight| flight.boards(hash, &key)));
        if let Ok(Some(flight)) = &mut found
            && overdue_since.is_some_and(|since| flight.started <= since)
            && !self.draining
            && !caller.has_left()
        {
            // Its alarm is about to ring. Whoever comes after its time is not to share its end (G11).
            flight.joinable = false;
            found = Ok(None);
        }
        let admitted = match found {
            Ok(_) if self.draining => Err(JoinError::Closed),
            Ok(Some(flight)) => match admit(flight, origin, &self.rules, &mut self.counters) {
                Ok(departed) => {
                    self.waiters -= departed;
                    Ok(Some(flight))
                }
                Err(error) => Err(error),
            },
            // Whoever has left takes no flight away from others, not even for a moment (G7).
            Ok(None) if caller.has_left() => return Some(key),
            Ok(None) if self.rules.budget.take() => Ok(None),
            Ok(None) => Err(JoinError::TooManyFlights { limit: self.rules.budget.limit() }),
            Err(panic) => Err(JoinError::Panicked(panic)),
        };
        match admitted {
            Ok(Some(flight)) => {
                // It may have left before anything of this, and is asked but here.
                if let Some(key) = caller.keep(key) {
                    return Some(key);
                }
                let awaited = flight.itself;
                flight.board(caller, origin.is_some());
                self.waiters += 1;
                self.counters.joins += 1;
                self.counters.coalesced += 1;
                report_crowd(flight, self.rules.crowd, effects);
                if let Some(waiting) = origin {
                    self.probes = self.probes.next();
                    effects.push(circles::suspect(Wait { waiting, awaited }, self.probes));
                }
            }
            Ok(None) => {
                let Some(work) = caller.claim() else {
                    self.rules.budget.give_back();
                    return Some(key);
                };
                let flight = self.launch(hash, key, (caller, origin.is_some()), now, effects);
                self.counters.joins += 1;
                self.counters.executions += 1;
                effects.push(Effect::Launch { flight, work });
            }
            Err(error) => {
                if let Some(key) = caller.keep(key) {
                    return Some(key);
                }
                self.counters.joins += 1;
                self.counters.rejections += 1;
                turn_away(Crew::new(Some(caller), Vec::new()), error, effects);
            }
        }
        None
    }

    fn launch(
        &mut self,
        hash: u64,
        key: W::Key,
        (leader, nested): (W::Caller, bool),
        now: Instant,
        effects: &mut Vec<Effect<W>>,
    ) -> FlightRef {
        let itself = FlightRef { hash, id: self.next_id };
        self.next_id = self.next_id.next();
        let mut flight = Flight::new(itself, key, leader, nested, now);
        report_crowd(&mut flight, self.rules.crowd, effects);
        self.flights.insert_unique(hash, flight, |flight| flight.itself.hash);
        let flights = &self.flights;
        self.roster.enter(itself, flights.len(), |flight| is_live(flights, flight));
        self.waiters += 1;
        itself
    }

    /// Flights that started then or before are past their time. Many joins share their turn's time, and the sum.
    fn overdue_since(&mut self, now: Instant) -> Option<Instant> {
        match self.overdue_since {
            Some((then, since)) if then == now => since,
            _ => {
                let since = self.rules.max_flight_duration.and_then(|limit| now.checked_sub(limit));
                self.overdue_since = Some((now, since));
                since
            }
        }
    }
}

/// Whether a flight takes one more caller, and how many it turned out to have lost.
fn admit<W: World>(
    flight: &mut Flight<W>,
    origin: Option<FlightRef>,
    rules: &Rules,
    counters: &mut Stats,
) -> Result<usize, JoinError> {
    if origin == Some(flight.itself) {
        return Err(JoinError::Reentrant);
    }
    let mut departed = 0;
    // Only the living count (G7). Without a hint nobody can have left before this join came.
    if flight.waiters() >= rules.max_waiters && flight.has_hints() {
        departed = reap(flight, counters);
    }
    if flight.waiters() >= rules.max_waiters {
        return Err(JoinError::TooManyWaiters { limit: rules.max_waiters });
    }
    Ok(departed)
}

/// Answers callers who have no flight. They have their keys.
pub(super) fn turn_away<W: World>(crew: Crew<W>, error: JoinError, effects: &mut Vec<Effect<W>>) {
    effects.push(Effect::Report(Report::Rejected { error: error.kind() }));
    effects.push(Effect::Land(Landing::refusal(crew, error)));
}

fn report_crowd<W: World>(flight: &mut Flight<W>, crowd: usize, effects: &mut Vec<Effect<W>>) {
    if flight.becomes_crowded(crowd) {
        let (flight, waiters) = (flight.itself.id, flight.waiters());
        effects.push(Effect::Report(Report::Crowded { flight, waiters }));
    }
}

//! What becomes of a join: it leads a flight of its own, follows another's, or is refused.

use std::time::Instant;

use super::{
    Effect, Join, Joined, Phase, Report, Shard, Slot, Types,
    flight::Flight,
    limits::Limits,
    message::{FlightId, FlightRef},
};
use crate::error::JoinError;

impl<T: Types> Shard<T> {
    pub(crate) fn join(&mut self, join: Join<T>, now: Instant, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        self.expire(now, effects);
        if self.phase != Phase::Open {
            return self.refuse(join, JoinError::Closed, effects);
        }
        let flight = match self.flights.joinable(join.hash, &join.key) {
            Ok(Some(flight)) => flight,
            Ok(None) => return self.lead(join, now, effects),
            Err(panic) => return self.refuse(join, JoinError::Panicked(panic), effects),
        };
        if is_past_its_deadline(flight, &self.limits, now) {
            // More were due than one turn expires. New callers must start a new flight all the same (G11).
            let overdue = flight.itself;
            self.flights.detach(overdue);
            return self.lead(join, now, effects);
        }
        if let Err(error) = admit(flight, join.origin, &self.limits) {
            return self.refuse(join, error, effects);
        }
        let Join { key, waker, .. } = join;
        let slot = Slot { flight: flight.itself, number: flight.waiters.push(waker) };
        let detaches = std::mem::replace(&mut flight.in_place, false);
        let record = flight.record.clone();
        report_crowd(flight, self.limits.crowd, effects);
        self.waiters += 1;
        self.counters.joins += 1;
        self.counters.coalesced += 1;
        Joined::Follows { slot, record, key, detaches }
    }

    fn lead(&mut self, join: Join<T>, now: Instant, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        if !self.limits.permits.take() {
            let limit = self.limits.permits.limit();
            return self.refuse(join, JoinError::TooManyFlights { limit }, effects);
        }
        let Join { hash, key, waker, description, in_place, origin: _ } = join;
        let itself = FlightRef { hash, id: self.next_id };
        self.next_id = self.next_id.next();
        let mut flight = Flight::<T>::new(itself, key, waker, description, in_place, now);
        let record = flight.record.clone();
        report_crowd(&mut flight, self.limits.crowd, effects);
        self.flights.insert(Box::new(flight));
        self.waiters += 1;
        self.counters.joins += 1;
        self.counters.executions += 1;
        self.note_deadline(itself, now, effects);
        Joined::Leads { slot: Slot { flight: itself, number: 0 }, record }
    }

    /// The queue is kept without a limit, too: it tells which flight is the oldest.
    fn note_deadline(&mut self, flight: FlightRef, now: Instant, effects: &mut Vec<Effect<T>>) {
        let flights = &self.flights;
        self.deadlines.push(flight, flights.len(), |flight| flights.get(flight).is_some());
        let Some(limit) = self.limits.max_flight_duration else { return };
        if self.next_expiry.is_none() {
            self.next_expiry = now.checked_add(limit);
        }
        if !self.alarm_set && self.next_expiry.is_some() {
            self.alarm_set = true;
            effects.push(Effect::SetAlarm);
        }
    }

    fn refuse(&mut self, join: Join<T>, error: JoinError, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        self.counters.joins += 1;
        self.counters.rejections += 1;
        effects.push(Effect::Report(Report::Rejected { reason: error.kind().as_str() }));
        Joined::Refused { error, key: join.key, waker: join.waker }
    }
}

fn is_past_its_deadline<T: Types>(flight: &Flight<T>, limits: &Limits, now: Instant) -> bool {
    limits
        .max_flight_duration
        .and_then(|limit| flight.started.checked_add(limit))
        .is_some_and(|deadline| deadline <= now)
}

/// Whether a flight takes one more caller. Its waiters are all live, so the cap is exact without a look at them (G7).
fn admit<T: Types>(flight: &Flight<T>, origin: Option<FlightId>, limits: &Limits) -> Result<(), JoinError> {
    // Before the cap: whoever joins its own flight has to hear of that. Longer cycles are found after the turn (G12).
    if origin == Some(flight.itself.id) {
        return Err(JoinError::Reentrant);
    }
    let limit = limits.max_waiters;
    if flight.waiters.len() < limit { Ok(()) } else { Err(JoinError::TooManyWaiters { limit }) }
}

fn report_crowd<T: Types>(flight: &mut Flight<T>, crowd: usize, effects: &mut Vec<Effect<T>>) {
    if flight.becomes_crowded(crowd) {
        let (flight, waiters) = (flight.itself.id, flight.waiters.len());
        effects.push(Effect::Report(Report::Crowded { flight, waiters }));
    }
}

//! What becomes of a join: it leads a flight of its own, follows another's, or is refused.

use std::time::Instant;

use super::{
    Effect, Join, Joined, Phase, Report, Shard, Slot, Types,
    classes::{Changed, reclass},
    flight::{Flight, Stage},
    flights::Table,
    limits::Limits,
    message::{Begins, FlightId, FlightRef},
    own_deadlines::OwnDeadlines,
};
use crate::{config::Priority, error::JoinError, stats::Stats};

impl<T: Types> Shard<T> {
    pub(crate) fn join(&mut self, join: Join<T>, now: Instant, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        self.expire(now, effects);
        if self.phase != Phase::Open {
            return self.refuse(join, JoinError::Closed, effects);
        }
        self.look_up(join, now, effects)
    }

    #[inline]
    pub(super) fn look_up(&mut self, join: Join<T>, now: Instant, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        let flight = match self.flights.first(join.hash, &join.key) {
            Ok(Some(flight)) => flight,
            Ok(None) => return self.lead(join, None, now, effects),
            Err(panic) => return self.refuse(join, JoinError::Panicked(panic), effects),
        };
        if join.fresh || !flight.is_under_way() || is_past_its_deadline(flight, &self.limits, &self.own_deadlines, now)
        {
            let first = flight.itself;
            return self.join_behind(first, join, now, effects);
        }
        if let Err(error) = admit(flight, join.origin, &self.limits) {
            return self.refuse(join, error, effects);
        }
        self.waiters += 1;
        self.counters.coalesced += 1;
        share(flight, join, &self.limits, &mut self.counters, effects)
    }

    /// Shares a flight that was found already.
    pub(super) fn follow(&mut self, flight: FlightRef, join: Join<T>, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        let Some(flight) = self.flights.find(flight) else { return self.refuse(join, JoinError::Aborted, effects) };
        if let Err(error) = admit(flight, join.origin, &self.limits) {
            return self.refuse(join, error, effects);
        }
        self.waiters += 1;
        self.counters.coalesced += 1;
        share(flight, join, &self.limits, &mut self.counters, effects)
    }

    /// Starts a flight; with a flight before it, it begins when that one's execution has ended.
    pub(super) fn lead(
        &mut self,
        join: Join<T>,
        after: Option<FlightRef>,
        now: Instant,
        effects: &mut Vec<Effect<T>>,
    ) -> Joined<T> {
        if !self.limits.permits.take() {
            let limit = self.limits.permits.limit();
            return self.refuse(join, JoinError::TooManyFlights { limit }, effects);
        }
        let Join { hash, key, waker, description, in_place, limit, class, .. } = join;
        let itself = FlightRef { hash, id: self.next_id };
        self.next_id = self.next_id.next();
        let (stage, table) = match after {
            None if in_place => (Stage::InPlace, Table::ByKey),
            None => (Stage::Running, Table::ByKey),
            Some(_) => (Stage::Pending, Table::ById),
        };
        let begins = match after.map(|first| self.flights.under_way(first)) {
            None => Begins::AtOnce,
            Some(Some(first)) => Begins::After(&first.record),
            Some(None) => Begins::AfterAborted,
        };
        let record = T::record(itself, begins, self.limits.takeovers);
        let mut flight = Flight::<T>::new(itself, key, waker, description, record.clone(), stage, now);
        if let Some(limit) = limit {
            flight.own_deadline = true;
            self.own_deadlines.add(itself, limit);
        }
        if class != Priority::Normal
            && let Some(Changed { class, .. }) = flight.enter_class(0, class)
        {
            T::reclass(&flight.record, class);
        }
        report_crowd(&mut flight, self.limits.crowd, effects);
        self.flights.insert(table, Box::new(flight));
        self.waiters += 1;
        self.led += 1;
        match after {
            None => self.note_deadline(itself, limit.is_some(), now, effects),
            Some(first) => self.succeed(first, itself, now, effects),
        }
        Joined::Leads { slot: Slot { flight: itself, number: 0 }, record }
    }

    /// The queue is kept without a limit, too: it tells which flight is the oldest.
    #[inline]
    pub(super) fn note_deadline(&mut self, flight: FlightRef, own: bool, now: Instant, effects: &mut Vec<Effect<T>>) {
        if own {
            return self.note_own_deadline(flight, now, effects);
        }
        let flights = &self.flights;
        self.deadlines.push(flight, flights.len(), |flight| flights.under_common_limit(flight).is_some());
        let Some(limit) = self.limits.max_flight_duration else { return };
        // A limit beyond what the clock can express is none.
        if let Some(deadline) = now.checked_add(limit) {
            self.look_by(deadline, effects);
        }
    }

    #[cold]
    fn note_own_deadline(&mut self, flight: FlightRef, now: Instant, effects: &mut Vec<Effect<T>>) {
        if let Some(deadline) = self.own_deadlines.begin(flight, now) {
            self.look_by(deadline, effects);
        }
    }

    /// There is something to do then that no message asks for.
    #[inline]
    pub(super) fn look_by(&mut self, moment: Instant, effects: &mut Vec<Effect<T>>) {
        if self.next_expiry.is_none_or(|next| moment < next) {
            self.next_expiry = Some(moment);
            if self.alarm.is_none_or(|alarm| moment < alarm) {
                self.alarm = Some(moment);
                effects.push(Effect::SetAlarm);
            }
        }
    }

    pub(super) fn refuse(&mut self, join: Join<T>, error: JoinError, effects: &mut Vec<Effect<T>>) -> Joined<T> {
        self.counters.rejections += 1;
        self.profile.refused(&error);
        effects.push(Effect::Report(Report::Rejected { reason: error.kind().as_str() }));
        Joined::Refused { error, key: join.key, waker: join.waker }
    }
}

pub(super) fn is_past_its_deadline<T: Types>(
    flight: &Flight<T>,
    limits: &Limits,
    own: &OwnDeadlines,
    now: Instant,
) -> bool {
    if flight.own_deadline {
        return own.is_past(flight.itself, now);
    }
    limits
        .max_flight_duration
        .and_then(|limit| flight.started.checked_add(limit))
        .is_some_and(|deadline| deadline <= now)
}

#[inline]
fn share<T: Types>(
    flight: &mut Flight<T>,
    join: Join<T>,
    limits: &Limits,
    counters: &mut Stats,
    effects: &mut Vec<Effect<T>>,
) -> Joined<T> {
    let Join { key, waker, class, .. } = join;
    let slot = Slot { flight: flight.itself, number: flight.waiters.push(waker) };
    if let Some(changed) = flight.enter_class(slot.number, class) {
        reclass(flight, changed, counters, effects);
    }
    let detaches = flight.stage == Stage::InPlace;
    if detaches {
        flight.stage = Stage::Running;
    }
    let record = flight.record.clone();
    report_crowd(flight, limits.crowd, effects);
    Joined::Follows { slot, record, key, detaches }
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

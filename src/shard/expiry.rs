//! Flights whose time is up (G11), and work that asks for more.

use std::time::{Duration, Instant};

use super::{Effect, Report, Shard, Types, message::FlightRef};
use crate::{
    config::OnExpiry,
    error::{JoinError, NotExtended},
};

/// The most flights that one turn expires. More stay for the next.
pub(super) const EXPIRIES: usize = 64;

impl<T: Types> Shard<T> {
    /// The actor's look at the time: expires what is due, and says when to look again, if ever.
    pub(crate) fn tick(&mut self, now: Instant, effects: &mut Vec<Effect<T>>) -> Option<Instant> {
        self.expire(now, effects);
        self.next_expiry = self.next_time();
        // An alarm that was asked for stays, though its flight may be over: the actor often looks only then, and would be called
        // anew by the next flight, and the next.
        let asked_for = self.alarm.filter(|&alarm| alarm > now);
        self.alarm = [asked_for, self.next_expiry].into_iter().flatten().min();
        self.alarm
    }

    /// Ends or detaches flights whose time is up (G11). Whichever turn comes first does it, so a flight never waits for
    /// its actor alone.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant, effects: &mut Vec<Effect<T>>) {
        if self.next_expiry.is_some_and(|expiry| expiry <= now) {
            self.expire_some(now, effects);
        }
    }

    #[cold]
    fn expire_some(&mut self, now: Instant, effects: &mut Vec<Effect<T>>) {
        for _ in 0..EXPIRIES {
            if self.next_expiry.is_none_or(|next| next > now) {
                return;
            }
            if self.next_deadline().is_some_and(|deadline| deadline <= now) {
                if let Some(oldest) = self.deadlines.remove_oldest() {
                    self.expire_one(oldest, now, effects);
                }
            } else if let Some((deadline, flight)) = self.own_deadlines.next()
                && deadline <= now
            {
                self.expire_one(flight, now, effects);
            } else if self.next_grace().is_some_and(|over| over <= now) {
                self.end_oldest_grace(now, effects);
            }
            self.next_expiry = self.next_time();
        }
    }

    pub(super) fn expire_one(&mut self, flight: FlightRef, now: Instant, effects: &mut Vec<Effect<T>>) {
        let Some(overdue) = self.flights.under_way(flight) else { return };
        let (age, waiters) = (now.saturating_duration_since(overdue.started), overdue.waiters.len());
        effects.push(Effect::Report(Report::Overdue { flight: flight.id, age, waiters }));
        self.counters.timeouts += 1;
        let own = if overdue.own_deadline { self.own_deadlines.remove(flight) } else { None };
        match self.limits.on_expiry {
            OnExpiry::Fail => {
                let after = own.or(self.limits.max_flight_duration).unwrap_or(age);
                if let Some(cut) = self.cut_short(flight, now, effects) {
                    effects.push(Effect::End { cut, error: JoinError::TimedOut { after }, abort: true });
                }
            }
            OnExpiry::Detach => {
                self.pass_over(flight, now, effects);
                let flights = &self.flights;
                self.overdue.push(flight, flights.len(), |flight| flights.under_way(flight).is_some());
            }
        }
    }

    /// When there is something to do that no message asks for.
    fn next_time(&mut self) -> Option<Instant> {
        let own = self.own_deadlines.next().map(|(deadline, _)| deadline);
        [self.next_deadline(), own, self.next_grace()].into_iter().flatten().min()
    }

    /// When the next flight's time is up, if one's ever is.
    fn next_deadline(&mut self) -> Option<Instant> {
        let limit = self.limits.max_flight_duration?;
        let flights = &self.flights;
        let started =
            self.deadlines.oldest(|flight| flights.under_common_limit(flight).map(|flight| flight.started))?;
        // A limit beyond what the clock can express is none.
        started.checked_add(limit)
    }

    /// Moves a flight's deadline to so long from now: not beyond the cap, and never back. Says how long the flight has left.
    ///
    /// The actor need not hear of it: it looks at the old deadline's time, and finds the new one.
    pub(crate) fn extend(&mut self, flight: FlightRef, by: Duration, now: Instant) -> Result<Duration, NotExtended> {
        let cap = self.limits.max_extended_duration.ok_or(NotExtended::NotAllowed)?;
        let found = self.flights.under_way(flight).ok_or(NotExtended::Over)?;
        let started = found.started;
        let limit = if found.own_deadline {
            Some(self.own_deadlines.limit(flight).ok_or(NotExtended::Over)?)
        } else {
            self.limits.max_flight_duration
        };
        // A limit beyond what the clock can express is none.
        let Some(deadline) = limit.and_then(|limit| started.checked_add(limit)) else { return Ok(Duration::MAX) };
        if deadline <= now {
            return Err(NotExtended::Over);
        }
        let age = now.saturating_duration_since(started);
        let longer = age.saturating_add(by).min(cap);
        if limit.is_some_and(|limit| longer <= limit) {
            return Ok(deadline - now);
        }
        let extended = self.own_deadlines.set(flight, started, longer);
        self.has_own_deadline(flight);
        Ok(extended.map_or(Duration::MAX, |extended| extended - now))
    }

    fn has_own_deadline(&mut self, extended: FlightRef) {
        if let Some(flight) = self.flights.find(extended)
            && !flight.own_deadline
        {
            flight.own_deadline = true;
            self.deadlines.ended(extended);
        }
    }
}

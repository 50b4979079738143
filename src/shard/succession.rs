//! One execution after the other: flights whose work waits until the work before it is gone.
//!
//! Two kinds of flight have a successor. One that was cut short, and whose work is not gone: its key's next flight waits for
//! that, so that the two don't overlap (G10, G11), but for no longer than the grace. And one that is under way where a join
//! asks for a flight that begins after it. Either has one successor at most, which all such joins share.

use std::time::Instant;

use super::{
    Effect, Join, Joined, Report, Shard, Types,
    flight::{Flight, Stage},
    flights::Table,
    join::is_past_its_deadline,
    message::{Cut, FlightRef},
};
use crate::{config::OnExpiry, error::JoinError};

impl<T: Types> Shard<T> {
    /// A join whose key has a flight that it can't share: it shares that one's successor, or becomes it.
    #[cold]
    pub(super) fn join_behind(
        &mut self,
        first: FlightRef,
        join: Join<T>,
        now: Instant,
        effects: &mut Vec<Effect<T>>,
    ) -> Joined<T> {
        let is_past = |flight| is_past_its_deadline(flight, &self.limits, &self.own_deadlines, now);
        if self.flights.under_way(first).is_some_and(is_past) {
            // More were due than one turn expires. New callers must start a new flight all the same (G11).
            match self.limits.on_expiry {
                OnExpiry::Fail => self.expire_one(first, now, effects),
                OnExpiry::Detach => self.pass_over(first, now, effects),
            }
        }
        if !self.flights.is_first(first) {
            // Nothing is left to wait for, unless its successor has taken its place.
            return self.look_up(join, now, effects);
        }
        // Aborted work, too, if it blocks its thread and so goes on: it would wait for its own end.
        if join.origin == Some(first.id) {
            return self.refuse(join, JoinError::Reentrant, effects);
        }
        match self.flights.successor(first) {
            Some(successor) => self.follow(successor, join, effects),
            None => self.lead(join, Some(first), now, effects),
        }
    }

    /// A new flight is to wait for this one.
    pub(super) fn succeed(
        &mut self,
        first: FlightRef,
        successor: FlightRef,
        now: Instant,
        effects: &mut Vec<Effect<T>>,
    ) {
        let Some(flight) = self.flights.find(first) else { return };
        // One that has waited before, and is over, has begun the grace.
        let begins_grace = flight.stage == Stage::Ending && flight.successor().is_none();
        flight.set_successor(successor.id);
        if begins_grace {
            // A join may have read the clock before the flight was cut short.
            flight.started = flight.started.max(now);
            self.begin_grace(first, effects);
        } else if flight.stage == Stage::InPlace {
            // Its leader may not poll its work any longer: other callers depend on it now (G2).
            flight.stage = Stage::Running;
            effects.push(Effect::Run(flight.record.clone()));
        }
    }

    /// The execution that a flight waited for has ended. The flight is where that one's was: it can be joined if that could.
    pub(super) fn begin(&mut self, pending: FlightRef, table: Table, now: Instant, effects: &mut Vec<Effect<T>>) {
        // Its callers may all have left meanwhile.
        let Some(flight) = self.flights.find(pending) else { return };
        flight.begin(now);
        let own_deadline = flight.own_deadline;
        effects.push(Effect::Run(flight.record.clone()));
        if table == Table::ByKey {
            self.flights.make_first(pending);
        }
        self.note_deadline(pending, own_deadline, now, effects);
    }

    /// A flight is over before its work has ended. Its callers come back, to be answered; it stays until its work is gone if
    /// another flight of its key may have to wait for that.
    pub(super) fn cut_short(
        &mut self,
        flight: FlightRef,
        now: Instant,
        effects: &mut Vec<Effect<T>>,
    ) -> Option<Cut<T>> {
        let found = self.flights.find(flight)?;
        self.waiters -= found.waiters.len();
        self.lingering += 1;
        self.profile.ended(found, || now);
        T::forget(&found.record);
        let (has_begun, own_deadline) = (found.is_under_way(), found.own_deadline);
        let has_successor = self.flights.successor(flight).is_some();
        let stays = has_begun && !self.limits.abort_grace.is_zero() && (has_successor || self.flights.is_first(flight));
        self.end_deadline(flight, own_deadline);
        if !stays {
            let (flight, table) = self.flights.remove(flight)?;
            if let Some(successor) = flight.successor() {
                self.begin(successor, table, now, effects);
            }
            return Some(flight.into_cut());
        }
        let cut = self.flights.cut(flight, now);
        if has_successor {
            self.begin_grace(flight, effects);
        } else if let Some(flight) = self.flights.find(flight) {
            // Another may have waited, and be over.
            flight.take_successor();
        }
        cut
    }

    /// A flight begins to wait for aborted work: it does for no longer than the grace.
    fn begin_grace(&mut self, aborted: FlightRef, effects: &mut Vec<Effect<T>>) {
        let flights = &self.flights;
        self.endings.push(aborted, flights.len(), |flight| flights.ending(flight).is_some());
        if let Some(over) = self.next_grace() {
            self.look_by(over, effects);
        }
    }

    /// When the next grace is over, if one is running. They are over in the order in which they began.
    pub(super) fn next_grace(&mut self) -> Option<Instant> {
        let flights = &self.flights;
        let began = self.endings.oldest(|flight| flights.ending(flight).map(|flight| flight.started))?;
        began.checked_add(self.limits.abort_grace)
    }

    /// The grace that began first is over: the flight that waits begins, if it is there still.
    pub(super) fn end_oldest_grace(&mut self, now: Instant, effects: &mut Vec<Effect<T>>) {
        let Some(aborted) = self.endings.remove_oldest() else { return };
        let Some(successor) = self.flights.successor(aborted) else {
            self.flights.find(aborted).and_then(Flight::take_successor);
            return;
        };
        if let Some((gone, table)) = self.flights.remove(aborted) {
            self.counters.overlaps += 1;
            let grace = self.limits.abort_grace;
            effects.push(Effect::Report(Report::Overlapping { flight: successor.id, aborted: aborted.id, grace }));
            effects.push(Effect::Discard(gone));
            self.begin(successor, table, now, effects);
        }
    }

    /// A flight that goes on past its deadline lets no further caller join it, and the key's next flight waits for it no longer.
    pub(super) fn pass_over(&mut self, overdue: FlightRef, now: Instant, effects: &mut Vec<Effect<T>>) {
        let table = if self.flights.is_first(overdue) { Table::ByKey } else { Table::ById };
        self.flights.detach(overdue);
        self.flights.get(overdue).into_iter().for_each(|overdue| T::forget(&overdue.record));
        if let Some(successor) = self.flights.find(overdue).and_then(Flight::take_successor) {
            self.begin(successor, table, now, effects);
        }
    }
}

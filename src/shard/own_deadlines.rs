//! Flights with a time limit of their own: their leader's, or one that their work has extended.
//!
//! Their deadlines have no order that a queue could keep, so they are sorted: O(log n) for each such flight. All others are in
//! `deadlines`.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use hashbrown::HashTable;

use super::{
    by_id::{shrink, spread},
    message::{FlightId, FlightRef},
};

#[derive(Clone, Default)]
pub(super) struct OwnDeadlines {
    flights: HashTable<Own>,
    due: BTreeSet<(Instant, FlightId)>,
    started: BTreeSet<(Instant, FlightId)>,
}

#[derive(Clone, Copy)]
struct Own {
    flight: FlightRef,
    limit: Duration,
    /// `None` while its work has not begun.
    started: Option<Instant>,
    /// `None` also where it is beyond what the clock can express.
    deadline: Option<Instant>,
}

impl Own {
    fn hash(&self) -> u64 {
        spread(self.flight.id)
    }
}

impl OwnDeadlines {
    /// A flight whose time begins with its work.
    pub(super) fn add(&mut self, flight: FlightRef, limit: Duration) {
        let own = Own { flight, limit, started: None, deadline: None };
        self.flights.insert_unique(spread(flight.id), own, Own::hash);
    }

    /// Its work begins. The deadline comes back.
    pub(super) fn begin(&mut self, flight: FlightRef, now: Instant) -> Option<Instant> {
        let limit = self.limit(flight)?;
        self.set(flight, now, limit)
    }

    /// A flight that started then may take this long, whatever its limit was before.
    pub(super) fn set(&mut self, flight: FlightRef, started: Instant, limit: Duration) -> Option<Instant> {
        let own = Own { flight, limit, started: Some(started), deadline: started.checked_add(limit) };
        match self.flights.find_mut(spread(flight.id), |own| own.flight.id == flight.id) {
            Some(before) => {
                let before = std::mem::replace(before, own);
                self.unsort(before);
            }
            None => drop(self.flights.insert_unique(spread(flight.id), own, Own::hash)),
        }
        self.started.insert((started, flight.id));
        self.due.extend(own.deadline.map(|deadline| (deadline, flight.id)));
        own.deadline
    }

    /// It is over, or goes on past its deadline. Its limit comes back.
    pub(super) fn remove(&mut self, flight: FlightRef) -> Option<Duration> {
        let entry = self.flights.find_entry(spread(flight.id), |own| own.flight.id == flight.id).ok()?;
        let (own, _) = entry.remove();
        self.unsort(own);
        // What was sorted frees its memory itself.
        shrink(&mut self.flights, Own::hash);
        Some(own.limit)
    }

    fn unsort(&mut self, own: Own) {
        own.started.map(|started| self.started.remove(&(started, own.flight.id)));
        own.deadline.map(|deadline| self.due.remove(&(deadline, own.flight.id)));
    }

    fn get(&self, flight: FlightId) -> Option<&Own> {
        self.flights.find(spread(flight), |own| own.flight.id == flight)
    }

    /// `None` if it is over, or goes on past its deadline.
    pub(super) fn limit(&self, flight: FlightRef) -> Option<Duration> {
        self.get(flight.id).map(|own| own.limit)
    }

    pub(super) fn is_past(&self, flight: FlightRef, now: Instant) -> bool {
        self.get(flight.id).and_then(|own| own.deadline).is_some_and(|deadline| deadline <= now)
    }

    /// The next deadline, and whose it is.
    pub(super) fn next(&self) -> Option<(Instant, FlightRef)> {
        let &(deadline, id) = self.due.first()?;
        Some((deadline, self.get(id)?.flight))
    }

    /// In the order of their start.
    pub(super) fn by_age(&self) -> impl Iterator<Item = (Instant, FlightRef)> {
        self.started.iter().filter_map(|&(started, id)| Some((started, self.get(id)?.flight)))
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty() && self.due.is_empty() && self.started.is_empty()
    }
}

//! What an operator can see of a shard.

use std::{
    cmp::Reverse,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{FlightId, FlightRef, Shard, Times, Types, flight::Flight};
use crate::{stats::Stats, tally::Led};

/// A flight, as seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct FlightSnapshot {
    pub(crate) flight: FlightId,
    pub(crate) age: Duration,
    pub(crate) waiters: usize,
    pub(crate) description: Option<Box<str>>,
}

impl FlightSnapshot {
    fn of<T: Types>(flight: &Flight<T>, now: Instant) -> Self {
        Self {
            flight: flight.itself.id,
            age: now.saturating_duration_since(flight.started),
            waiters: flight.waiters.len(),
            description: flight.description().map(Into::into),
        }
    }
}

impl<T: Types> Shard<T> {
    /// How many works were called is not counted here.
    pub(crate) fn led(&self) -> Led {
        Led { flights: self.led - self.uncalled, next: self.next_id }
    }

    /// Counters and gauges as of now.
    pub(crate) fn stats(&mut self, now: Instant) -> Stats {
        let mut stats = self.counters.clone();
        stats.flights = self.flights.len();
        stats.waiters = self.waiters;
        stats.lingering = self.lingering;
        let flights = &self.flights;
        let started = |flight| flights.under_way(flight).map(|flight| flight.started);
        let own = self.own_deadlines.by_age().next().map(|(started, _)| started);
        let common = self.deadlines.oldest(|flight| flights.under_common_limit(flight).map(|flight| flight.started));
        let oldest = self.overdue.oldest(started).into_iter().chain(common).chain(own).min();
        stats.oldest_flight = oldest.map(|started| now.saturating_duration_since(started));
        stats
    }

    /// The same without regard to resets.
    pub(crate) fn totals(&mut self, now: Instant) -> Stats {
        self.stats(now).add(&self.before)
    }

    /// Counters to zero; the gauges say what is, and stay.
    pub(crate) fn reset_stats(&mut self) {
        self.before = mem::take(&mut self.before).add(&mem::take(&mut self.counters));
    }

    /// One flight, unless it is over.
    pub(crate) fn snapshot(&self, flight: FlightRef, now: Instant) -> Option<FlightSnapshot> {
        self.flights.under_way(flight).map(|flight| FlightSnapshot::of(flight, now))
    }

    /// When a flight began and will have ended, for a caller that asks.
    pub(crate) fn times(&mut self, flight: FlightRef) -> Option<Arc<Times>> {
        self.flights.find(flight).map(Flight::times)
    }

    /// The `most` flights with the most waiters, and the `most` oldest.
    pub(crate) fn inspect(&self, most: usize, now: Instant) -> (Vec<FlightSnapshot>, Vec<FlightSnapshot>) {
        let snapshot = |flight: &Flight<T>| FlightSnapshot::of(flight, now);
        let mut crowded: Vec<_> = self.flights.iter().collect();
        if crowded.len() > most && most > 0 {
            crowded.select_nth_unstable_by_key(most - 1, |flight| Reverse(flight.waiters.len()));
        }
        crowded.truncate(most);
        crowded.sort_by_key(|flight| Reverse(flight.waiters.len()));
        (crowded.into_iter().map(snapshot).collect(), self.oldest(most, now))
    }

    /// The `most` oldest flights.
    pub(crate) fn oldest(&self, most: usize, now: Instant) -> Vec<FlightSnapshot> {
        // The oldest of each queue, and of all those.
        let under_way = |flight| self.flights.under_way(flight);
        let mut oldest: Vec<_> = self.overdue.iter().filter_map(under_way).take(most).collect();
        let common = |flight| self.flights.under_common_limit(flight);
        oldest.extend(self.deadlines.iter().filter_map(common).take(most));
        oldest.extend(self.own_deadlines.by_age().filter_map(|(_, flight)| under_way(flight)).take(most));
        oldest.sort_by_key(|flight| flight.started);
        oldest.truncate(most);
        oldest.into_iter().map(|flight| FlightSnapshot::of(flight, now)).collect()
    }
}

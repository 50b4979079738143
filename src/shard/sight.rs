//! What an operator can see of a shard.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{FlightId, Shard, World, flight::Flight, reap, started};
use crate::{panics, stats::Stats};

/// Says what a key is.
type Describe<'a, K> = &'a dyn Fn(&K) -> String;

/// A flight, as seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) flight: FlightId,
    pub(crate) age: Duration,
    pub(crate) waiters: usize,
    pub(crate) description: Option<String>,
}

impl<W: World> Shard<W> {
    /// Counters and gauges as of now. Reaps first, so that `waiters` counts nobody who has left.
    pub(crate) fn stats(&mut self, now: Instant) -> Stats {
        self.take_note_of_departures();
        let mut stats = self.counters.clone();
        stats.flights = self.flights.len();
        stats.waiters = self.waiters;
        let flights = &self.flights;
        let oldest = self.overdue.oldest(|flight| started(flights, flight));
        let oldest = oldest.or_else(|| self.roster.oldest(|flight| started(flights, flight)));
        stats.oldest_flight = oldest.map(|started| now.saturating_duration_since(started));
        stats
    }

    /// The same without regard to resets.
    pub(crate) fn totals(&mut self, now: Instant) -> Stats {
        self.stats(now).add(&self.before)
    }

    /// Counters to zero; the gauges say what is, and stay. Reaps first: who left before belongs to what was counted before.
    pub(crate) fn reset_stats(&mut self) {
        self.take_note_of_departures();
        self.before = mem::take(&mut self.before).add(&mem::take(&mut self.counters));
    }

    fn take_note_of_departures(&mut self) {
        for flight in mem::take(&mut self.to_ask) {
            if let Some(flight) = self.flights.find_mut(flight.hash, |candidate| candidate.is(flight)) {
                flight.to_ask = false;
                self.waiters -= reap(flight, &mut self.counters);
            }
        }
    }

    /// The `most` flights with the most waiters, and the `most` oldest.
    pub(crate) fn inspect(
        &self,
        most: usize,
        now: Instant,
        describe: Option<Describe<'_, W::Key>>,
    ) -> (Vec<Sighting>, Vec<Sighting>) {
        let sight = |flight: &Flight<W>| Sighting {
            flight: flight.itself.id,
            age: now.saturating_duration_since(flight.started),
            waiters: flight.waiters(),
            // The user's own, over a key that only this shard can reach: it runs here, for a few keys, under guard.
            description: describe.and_then(|describe| panics::catch(|| describe(&flight.key)).ok()),
        };
        let mut crowded: Vec<_> = self.flights.iter().collect();
        if crowded.len() > most && most > 0 {
            crowded.select_nth_unstable_by_key(most - 1, |flight| std::cmp::Reverse(flight.waiters()));
        }
        crowded.truncate(most);
        crowded.sort_by_key(|flight| std::cmp::Reverse(flight.waiters()));
        let by_age = self.overdue.iter().chain(self.roster.iter());
        let oldest = by_age.filter_map(|entry| self.flights.find(entry.hash, |flight| flight.is(entry)));
        (crowded.into_iter().map(sight).collect(), oldest.take(most).map(sight).collect())
    }
}

//! What the live page asks and orders that others don't.

use std::time::{Duration, Instant};

use super::{
    super::{Shard, Types},
    Profile, ProfileSnapshot,
    counts::Counts,
};

impl<T: Types> Shard<T> {
    /// Counts this many hot keys, and more.
    pub(crate) fn with_profile(mut self, hot_keys: Option<usize>) -> Self {
        self.profile = Profile { counts: hot_keys.map(|hot_keys| Box::new(Counts::new(hot_keys))) };
        self
    }

    /// How long flights may take that have no limit of their own.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.limits.max_flight_duration
    }

    /// What the builder asked to be counted for the live page.
    pub(crate) fn profile(&mut self, most: usize, now: Instant) -> Option<ProfileSnapshot> {
        Some(self.profile.counts.as_mut()?.snapshot(most, now))
    }

    /// [`forget`](Self::forget) by a flight's number, which is all that the live page knows of it. Looks at all flights.
    pub(crate) fn forget_numbered(&mut self, number: u64) -> bool {
        let named = self.flights.iter().map(|flight| flight.itself).find(|flight| flight.id.number() == number);
        let forgotten = named.map_or(0, |flight| self.flights.forget(flight));
        self.counters.forgets += forgotten as u64;
        forgotten > 0
    }
}

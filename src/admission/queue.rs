//! The flights that wait, by class, and in each class in the order in which they came.

use std::collections::BTreeMap;

use super::ticket::QueuedFlight;
use crate::{config::Priority, shard::FlightId};

/// Each time after so many flights were taken by class, the next is the one that has waited longest, so that no class waits for
/// ever.
pub(super) const AGING: u64 = 16;

/// O(log n) for each step. A flight that changes its class keeps its age.
#[derive(Default)]
pub(super) struct ClassQueue {
    /// By age, from the lowest class to the highest.
    classes: [BTreeMap<u64, QueuedFlight>; Priority::ALL.len()],
    places: BTreeMap<FlightId, Place>,
    /// Of the next to come.
    age: u64,
    taken: u64,
}

#[derive(Clone, Copy)]
struct Place {
    class: Priority,
    age: u64,
}

impl ClassQueue {
    pub(super) fn push(&mut self, flight: QueuedFlight) {
        let place = Place { class: flight.ticket().class(), age: self.age };
        self.age += 1;
        self.places.insert(flight.flight(), place);
        self.class(place.class).insert(place.age, flight);
    }

    fn class(&mut self, class: Priority) -> &mut BTreeMap<u64, QueuedFlight> {
        &mut self.classes[class as usize]
    }

    pub(super) fn remove(&mut self, flight: FlightId) -> Option<QueuedFlight> {
        let Place { class, age } = self.places.remove(&flight)?;
        self.class(class).remove(&age)
    }

    /// Its class may have changed.
    pub(super) fn reclass(&mut self, flight: FlightId) {
        let Some(&Place { class, age }) = self.places.get(&flight) else { return };
        let Some(queued) = self.class(class).remove(&age) else { return };
        let class = queued.ticket().class();
        self.places.insert(flight, Place { class, age });
        self.class(class).insert(age, queued);
    }

    /// The next to begin: the oldest of the highest class, or now and then of all.
    pub(super) fn next(&self) -> Option<FlightId> {
        let heads = self.classes.iter().rev().filter_map(|class| class.first_key_value());
        let by_age = |head: &(&u64, &QueuedFlight)| *head.0;
        let head = if self.taken % AGING == AGING - 1 { heads.min_by_key(by_age) } else { heads.into_iter().next() };
        head.map(|(_, flight)| flight.flight())
    }

    /// The next one has begun.
    pub(super) fn note_taken(&mut self) {
        self.taken += 1;
    }

    /// The first to be given up: the newest of the lowest class.
    pub(super) fn last(&self) -> Option<FlightId> {
        self.classes.iter().find_map(|class| class.last_key_value()).map(|(_, flight)| flight.flight())
    }

    /// Of some flights, that which would be the first to begin.
    pub(super) fn first_of(&self, flights: impl Iterator<Item = FlightId>) -> Option<FlightId> {
        let placed = flights.filter_map(|flight| Some((flight, self.places.get(&flight)?)));
        placed.min_by_key(|(_, place)| (std::cmp::Reverse(place.class), place.age)).map(|(flight, _)| flight)
    }

    pub(super) fn has(&self, flight: FlightId) -> bool {
        self.places.contains_key(&flight)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

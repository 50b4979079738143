//! Flights in the order in which they started: which is the oldest, which is due.
//!
//! All flights of a coalescer have the same time limit, so the order of starting is the order of deadlines, and a queue
//! serves both. A flight that ends leaves its entry behind. Such entries are skipped at the front, and removed together
//! when they are the greater part: O(1) per flight, and a queue at most about twice as long as there are flights.

use std::collections::VecDeque;

use super::message::FlightRef;

/// Below this many entries nothing is worth removing.
const SWEEP_FLOOR: usize = 64;

#[derive(Clone, Default)]
pub(super) struct Deadlines {
    entries: VecDeque<FlightRef>,
}

impl Deadlines {
    /// Adds a flight; `live` is how many flights there are, `is_live` whether one still is.
    pub(super) fn push(&mut self, flight: FlightRef, live: usize, is_live: impl Fn(FlightRef) -> bool) {
        self.entries.push_back(flight);
        if self.entries.len() > SWEEP_FLOOR + 2 * live {
            self.entries.retain(|&flight| is_live(flight));
            // Not each time: the queue grows that far again before the next time.
            let room = 2 * self.entries.len() + SWEEP_FLOOR;
            if self.entries.capacity() > 2 * room {
                self.entries.shrink_to(room);
            }
        }
    }

    /// A flight has ended. Where flights end in the order of their start, this keeps the queue as short as there are flights.
    #[inline]
    pub(super) fn ended(&mut self, flight: FlightRef) {
        if self.entries.front() == Some(&flight) {
            self.entries.pop_front();
        }
    }

    /// The live flight that started first, and what `find` knows of it.
    pub(super) fn oldest<T>(&mut self, find: impl Fn(FlightRef) -> Option<T>) -> Option<T> {
        while let Some(&flight) = self.entries.front() {
            if let Some(found) = find(flight) {
                return Some(found);
            }
            self.entries.pop_front();
        }
        None
    }

    pub(super) fn remove_oldest(&mut self) -> Option<FlightRef> {
        self.entries.pop_front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = FlightRef> {
        self.entries.iter().copied()
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }
}

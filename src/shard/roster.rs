//! Flights in the order in which they started: which is the oldest, which is due.
//!
//! All flights of a coalescer have the same time, so the order of starting is the order of deadlines, and a queue does
//! for both. A flight that ends leaves its entry behind; entries of flights long gone are skipped at the front and
//! swept out when they are the greater part, which keeps the cost per flight constant and the queue no longer than
//! about twice the flights there are.

use std::collections::VecDeque;

use super::message::FlightRef;

/// Below this many entries nothing is worth sweeping.
pub(super) const SWEEP_FLOOR: usize = 64;

#[derive(Clone, Default)]
pub(super) struct Roster {
    entries: VecDeque<FlightRef>,
}

impl Roster {
    /// Enters a flight; `live` is how many of all entered still are, `is_live` whether one is.
    pub(super) fn enter(&mut self, flight: FlightRef, live: usize, is_live: impl Fn(FlightRef) -> bool) {
        self.entries.push_back(flight);
        if self.entries.len() > SWEEP_FLOOR + 2 * live {
            self.entries.retain(|&flight| is_live(flight));
            // Not at every sweep: the queue will grow that far again before the next.
            let room = 2 * self.entries.len() + SWEEP_FLOOR;
            if self.entries.capacity() > 2 * room {
                self.entries.shrink_to(room);
            }
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

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

//! Flights in the order in which they started: which is the oldest, which is due.
//!
//! All flights of a coalescer have the same time, so the order of starting is the order of deadlines, and a queue does
//! for both. A flight that ends leaves its entry behind; entries of flights long gone are skipped at the front and
//! swept out when they are the greater part, which keeps the cost per flight constant and the queue no longer than
//! about twice the flights there are.

use std::{collections::VecDeque, time::Instant};

use super::message::FlightRef;

/// Below this many entries nothing is worth sweeping.
pub(super) const SWEEP_FLOOR: usize = 64;

#[derive(Clone, Default)]
pub(super) struct Roster {
    entries: VecDeque<Entry>,
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) flight: FlightRef,
    pub(super) started: Instant,
}

impl Roster {
    /// Enters a flight; `live` is how many of all entered still are, `is_live` whether one is.
    pub(super) fn enter(&mut self, entry: Entry, live: usize, is_live: impl Fn(FlightRef) -> bool) {
        self.entries.push_back(entry);
        if self.entries.len() > SWEEP_FLOOR + 2 * live {
            self.entries.retain(|entry| is_live(entry.flight));
            self.entries.shrink_to(2 * self.entries.len() + SWEEP_FLOOR);
        }
    }

    /// The live flight that started first.
    pub(super) fn oldest(&mut self, is_live: impl Fn(FlightRef) -> bool) -> Option<Entry> {
        while let Some(entry) = self.entries.front() {
            if is_live(entry.flight) {
                return Some(*entry);
            }
            self.entries.pop_front();
        }
        None
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

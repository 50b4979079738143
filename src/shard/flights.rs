//! The flights under way: a table by key for those that can be joined, and one by identity for those that cannot.
//!
//! A forgotten or expired flight leaves the table by key. So its key is free at once (G9, G11), and however many
//! detached flights a key has, neither a join nor a departure ever walks past them.

use hashbrown::HashTable;

use super::{
    flight::Flight,
    message::{FlightId, FlightRef, Types},
};
use crate::{error::CaughtPanic, unwind::catch};

/// Below this many buckets an idle table isn't worth shrinking.
pub(super) const SHRINK_FLOOR: usize = 1024;

/// Each boxed: it moves as a pointer, and an empty bucket takes no more room than one.
pub(super) struct Flights<T: Types> {
    /// By the key's hash. At most one per key (G1).
    joinable: HashTable<Box<Flight<T>>>,
    /// By the flight's number.
    detached: HashTable<Box<Flight<T>>>,
}

impl<T: Types> Flights<T> {
    pub(super) fn new() -> Self {
        Self { joinable: HashTable::new(), detached: HashTable::new() }
    }

    /// The flight that a join of `key` may share. Looking changes nothing, so a panic in `Eq` leaves all as it was (G13).
    pub(super) fn joinable(&mut self, hash: u64, key: &T::Key) -> Result<Option<&mut Flight<T>>, CaughtPanic> {
        // The key last, as comparing it runs user code.
        let found = catch(|| self.joinable.find_mut(hash, |flight| flight.itself.hash == hash && flight.key == *key))?;
        Ok(found.map(Box::as_mut))
    }

    pub(super) fn insert(&mut self, flight: Box<Flight<T>>) {
        self.joinable.insert_unique(flight.itself.hash, flight, |flight| flight.itself.hash);
    }

    pub(super) fn find(&mut self, flight: FlightRef) -> Option<&mut Flight<T>> {
        let joinable = self.joinable.find_mut(flight.hash, |candidate| candidate.is(flight));
        let found = joinable.or_else(|| self.detached.find_mut(spread(flight.id), |candidate| candidate.is(flight)));
        found.map(Box::as_mut)
    }

    pub(super) fn get(&self, flight: FlightRef) -> Option<&Flight<T>> {
        let joinable = self.joinable.find(flight.hash, |candidate| candidate.is(flight));
        let found = joinable.or_else(|| self.detached.find(spread(flight.id), |candidate| candidate.is(flight)));
        found.map(Box::as_ref)
    }

    /// Takes a flight out, by its identity: the same key may have a newer one (G9).
    pub(super) fn remove(&mut self, flight: FlightRef) -> Option<Box<Flight<T>>> {
        let removed = self.remove_joinable(flight);
        removed.or_else(|| {
            let entry = self.detached.find_entry(spread(flight.id), |candidate| candidate.is(flight)).ok()?;
            let (flight, _) = entry.remove();
            shrink(&mut self.detached, |flight| spread(flight.itself.id));
            Some(flight)
        })
    }

    fn remove_joinable(&mut self, flight: FlightRef) -> Option<Box<Flight<T>>> {
        let entry = self.joinable.find_entry(flight.hash, |candidate| candidate.is(flight)).ok()?;
        let (flight, _) = entry.remove();
        shrink(&mut self.joinable, |flight| flight.itself.hash);
        Some(flight)
    }

    /// Lets no further caller join the flight. False if none could already.
    pub(super) fn detach(&mut self, flight: FlightRef) -> bool {
        let Some(flight) = self.remove_joinable(flight) else { return false };
        self.detached.insert_unique(spread(flight.itself.id), flight, |flight| spread(flight.itself.id));
        true
    }

    /// Detaches every flight, and says how many could be joined.
    pub(super) fn detach_all(&mut self) -> usize {
        let count = self.joinable.len();
        for flight in std::mem::take(&mut self.joinable) {
            self.detached.insert_unique(spread(flight.itself.id), flight, |flight| spread(flight.itself.id));
        }
        count
    }

    pub(super) fn len(&self) -> usize {
        self.joinable.len() + self.detached.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight<T>> {
        self.joinable.iter().chain(self.detached.iter()).map(Box::as_ref)
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Box<Flight<T>>> + use<T> {
        std::mem::take(&mut self.joinable).into_iter().chain(std::mem::take(&mut self.detached))
    }

    /// Whether a join can still find it.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn is_joinable(&self, flight: FlightRef) -> bool {
        self.joinable.find(flight.hash, |candidate| candidate.is(flight)).is_some()
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn capacity(&self) -> usize {
        self.joinable.capacity() + self.detached.capacity()
    }
}

// For the model, which goes on from one state in many ways. Its types are numbers.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
impl<T: Types> Clone for Flights<T>
where
    Flight<T>: Clone,
{
    fn clone(&self) -> Self {
        Self { joinable: self.joinable.clone(), detached: self.detached.clone() }
    }
}

/// The table of a burst that has passed must not stay as large as the burst was (G6).
fn shrink<T: Types>(table: &mut HashTable<Box<Flight<T>>>, hash: impl Fn(&Box<Flight<T>>) -> u64) {
    if table.capacity() > SHRINK_FLOOR && table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2, hash);
    }
}

/// Flights are numbered in steps; a multiplication (Fibonacci hashing, Knuth 6.4) spreads them over bucket and tag bits.
fn spread(id: FlightId) -> u64 {
    let mixed = id.number().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

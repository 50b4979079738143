//! Flights by identity.

use hashbrown::{HashTable, hash_table};

use super::{
    flight::Flight,
    message::{FlightId, Types},
};

/// Below this many buckets an idle table isn't worth shrinking.
pub(super) const SHRINK_FLOOR: usize = 1024;

/// Each boxed: it moves as a pointer, and an empty bucket takes no more room than one.
pub(super) struct ById<T: Types>(HashTable<Box<Flight<T>>>);

impl<T: Types> ById<T> {
    pub(super) fn new() -> Self {
        Self(HashTable::new())
    }

    pub(super) fn insert(&mut self, flight: Box<Flight<T>>) {
        self.0.insert_unique(spread(flight.itself.id), flight, |flight| spread(flight.itself.id));
    }

    pub(super) fn get(&self, flight: FlightId) -> Option<&Flight<T>> {
        self.0.find(spread(flight), |candidate| candidate.is(flight)).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, flight: FlightId) -> Option<&mut Flight<T>> {
        self.0.find_mut(spread(flight), |candidate| candidate.is(flight)).map(Box::as_mut)
    }

    pub(super) fn remove(&mut self, flight: FlightId) -> Option<Box<Flight<T>>> {
        let entry = self.0.find_entry(spread(flight), |candidate| candidate.is(flight)).ok()?;
        let (flight, _) = entry.remove();
        shrink(&mut self.0, |flight| spread(flight.itself.id));
        Some(flight)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight<T>> {
        self.0.iter().map(Box::as_ref)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flight<T>> {
        self.0.iter_mut().map(Box::as_mut)
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<T: Types> IntoIterator for ById<T> {
    type Item = Box<Flight<T>>;
    type IntoIter = hash_table::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

// For the model, which goes on from one state in many ways. Its types are numbers.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
impl<T: Types> Clone for ById<T>
where
    Flight<T>: Clone,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The table of a burst that has passed must not stay as large as the burst was (G6).
pub(super) fn shrink<I>(table: &mut HashTable<I>, hash: impl Fn(&I) -> u64) {
    if table.capacity() > SHRINK_FLOOR && table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2, hash);
    }
}

/// Flights are numbered in steps; a multiplication (Fibonacci hashing, Knuth 6.4) spreads them over bucket and tag bits.
pub(super) fn spread(id: FlightId) -> u64 {
    let mixed = id.number().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

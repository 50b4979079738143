//! Flights whose keys' hash, all 64 bits of it, is that of another flight that can be joined.
//!
//! A hash finds each of them at the same place, so a table by hash would find one by walking past the others. Here the
//! hash finds a table by identity: O(1) for all but a join, which has to compare keys. With a good hasher there are none.

use hashbrown::HashTable;

use super::{
    by_id::{ById, shrink},
    flight::Flight,
    message::{FlightRef, Types},
};

pub(super) struct Piles<T: Types> {
    by_hash: HashTable<Pile<T>>,
    flights: usize,
}

/// Never empty.
struct Pile<T: Types> {
    hash: u64,
    flights: ById<T>,
}

impl<T: Types> Piles<T> {
    pub(super) fn new() -> Self {
        Self { by_hash: HashTable::new(), flights: 0 }
    }

    pub(super) fn insert(&mut self, flight: Box<Flight<T>>) {
        let hash = flight.itself.hash;
        let pile = self.by_hash.entry(hash, |pile| pile.hash == hash, |pile| pile.hash);
        pile.or_insert_with(|| Pile { hash, flights: ById::new() }).get_mut().flights.insert(flight);
        self.flights += 1;
    }

    /// Runs the key's `Eq`, which may panic.
    pub(super) fn of_key(&mut self, hash: u64, key: &T::Key) -> Option<&mut Flight<T>> {
        self.pile_mut(hash)?.iter_mut().find(|flight| flight.key == *key)
    }

    #[inline]
    pub(super) fn get(&self, flight: FlightRef) -> Option<&Flight<T>> {
        self.pile(flight.hash)?.get(flight.id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, flight: FlightRef) -> Option<&mut Flight<T>> {
        self.pile_mut(flight.hash)?.get_mut(flight.id)
    }

    #[inline]
    pub(super) fn remove(&mut self, flight: FlightRef) -> Option<Box<Flight<T>>> {
        let removed = self.pile_mut(flight.hash)?.remove(flight.id)?;
        self.flights -= 1;
        self.remove_empty(flight.hash);
        Some(removed)
    }

    #[cold]
    fn remove_empty(&mut self, hash: u64) {
        if let Ok(pile) = self.by_hash.find_entry(hash, |pile| pile.hash == hash && pile.flights.len() == 0) {
            pile.remove();
            shrink(&mut self.by_hash, |pile| pile.hash);
        }
    }

    #[inline]
    fn pile(&self, hash: u64) -> Option<&ById<T>> {
        if self.flights == 0 {
            return None;
        }
        self.by_hash.find(hash, |pile| pile.hash == hash).map(|pile| &pile.flights)
    }

    #[inline]
    fn pile_mut(&mut self, hash: u64) -> Option<&mut ById<T>> {
        if self.flights == 0 {
            return None;
        }
        self.by_hash.find_mut(hash, |pile| pile.hash == hash).map(|pile| &mut pile.flights)
    }

    pub(super) fn len(&self) -> usize {
        self.flights
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight<T>> {
        self.by_hash.iter().flat_map(|pile| pile.flights.iter())
    }

    pub(super) fn into_flights(self) -> impl Iterator<Item = Box<Flight<T>>> {
        self.by_hash.into_iter().flat_map(|pile| pile.flights)
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn capacity(&self) -> usize {
        self.by_hash.iter().map(|pile| pile.flights.capacity()).sum::<usize>() + self.by_hash.capacity()
    }
}

// For the model, as those of `ById`.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
impl<T: Types> Clone for Piles<T>
where
    Flight<T>: Clone,
{
    fn clone(&self) -> Self {
        Self { by_hash: self.by_hash.clone(), flights: self.flights }
    }
}

#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
impl<T: Types> Clone for Pile<T>
where
    Flight<T>: Clone,
{
    fn clone(&self) -> Self {
        Self { hash: self.hash, flights: self.flights.clone() }
    }
}

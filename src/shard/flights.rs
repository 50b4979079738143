//! The flights of a shard: a table by key for the one of each key that a join meets first, and one by identity for all others.
//!
//! The table by key has one flight of a hash at most; the flights of other keys with that hash are in a pile of their own.
//! A forgotten or expired flight leaves the table by key. So its key is free at once (G9, G11), and however many
//! detached flights a key has, neither a join nor a departure ever walks past them. A pending flight is in the table by
//! identity until it begins: a join finds it through the flight that it waits for.

use std::{mem, time::Instant};

use hashbrown::{HashTable, hash_table::Entry};

use super::{
    by_id::{ById, shrink},
    flight::{Flight, Stage},
    message::{Cut, FlightRef, Types},
    piles::Piles,
};
use crate::{error::CaughtPanic, unwind::catch};

pub(super) struct Flights<T: Types> {
    /// By the key's hash. Not two of one hash.
    by_key: HashTable<Box<Flight<T>>>,
    /// What has no place in there. At most one per key in both (G1).
    piles: Piles<T>,
    by_id: ById<T>,
    /// How many of all are kept until their work is gone.
    ending: usize,
}

/// Where a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// In the table by key or in a pile: a join of its key meets it first.
    ByKey,
    ById,
}

impl<T: Types> Flights<T> {
    pub(super) fn new() -> Self {
        Self { by_key: HashTable::new(), piles: Piles::new(), by_id: ById::new(), ending: 0 }
    }

    /// The flight that a join of `key` meets first. Looking changes nothing, so a panic in `Eq` leaves all as it was (G13).
    pub(super) fn first(&mut self, hash: u64, key: &T::Key) -> Result<Option<&mut Flight<T>>, CaughtPanic> {
        catch(|| {
            // The key last, as comparing it runs user code.
            let by_key = self.by_key.find_mut(hash, |flight| flight.itself.hash == hash && flight.key == *key);
            by_key.map(Box::as_mut).or_else(|| self.piles.of_key(hash, key))
        })
    }

    pub(super) fn insert(&mut self, table: Table, flight: Box<Flight<T>>) {
        self.ending += usize::from(flight.stage == Stage::Ending);
        if table == Table::ById {
            return self.by_id.insert(flight);
        }
        let hash = flight.itself.hash;
        match self.by_key.entry(hash, |other| other.itself.hash == hash, |flight| flight.itself.hash) {
            Entry::Vacant(place) => {
                place.insert(flight);
            }
            Entry::Occupied(_) => self.piles.insert(flight),
        }
    }

    pub(super) fn find(&mut self, flight: FlightRef) -> Option<&mut Flight<T>> {
        let by_key = self.by_key.find_mut(flight.hash, |candidate| candidate.is(flight.id)).map(Box::as_mut);
        by_key.or_else(|| self.piles.get_mut(flight)).or_else(|| self.by_id.get_mut(flight.id))
    }

    pub(super) fn get(&self, flight: FlightRef) -> Option<&Flight<T>> {
        self.first_of(flight).or_else(|| self.by_id.get(flight.id))
    }

    /// The flight, if a join of its key meets it first.
    fn first_of(&self, flight: FlightRef) -> Option<&Flight<T>> {
        let by_key = self.by_key.find(flight.hash, |candidate| candidate.is(flight.id)).map(Box::as_ref);
        by_key.or_else(|| self.piles.get(flight))
    }

    /// A flight whose work has begun, and whose callers wait for it.
    pub(super) fn under_way(&self, flight: FlightRef) -> Option<&Flight<T>> {
        self.get(flight).filter(|flight| flight.is_under_way())
    }

    /// The same, under the time limit that all flights have which have none of their own.
    pub(super) fn under_common_limit(&self, flight: FlightRef) -> Option<&Flight<T>> {
        self.under_way(flight).filter(|flight| !flight.own_deadline)
    }

    /// A flight that was cut short, and whose work is not gone.
    pub(super) fn ending(&self, flight: FlightRef) -> Option<&Flight<T>> {
        self.get(flight).filter(|flight| flight.stage == Stage::Ending)
    }

    /// The flight that begins when this one's execution has ended.
    pub(super) fn successor(&self, flight: FlightRef) -> Option<FlightRef> {
        self.get(flight)?.successor().filter(|&successor| self.get(successor).is_some())
    }

    /// Takes a flight out, by its identity: the same key may have a newer one (G9). Says where it was.
    pub(super) fn remove(&mut self, flight: FlightRef) -> Option<(Box<Flight<T>>, Table)> {
        let by_key = self.remove_by_key(flight).or_else(|| self.piles.remove(flight));
        let by_key = by_key.map(|flight| (flight, Table::ByKey));
        let (flight, table) = by_key.or_else(|| self.by_id.remove(flight.id).map(|flight| (flight, Table::ById)))?;
        self.ending -= usize::from(flight.stage == Stage::Ending);
        Some((flight, table))
    }

    fn remove_by_key(&mut self, flight: FlightRef) -> Option<Box<Flight<T>>> {
        let entry = self.by_key.find_entry(flight.hash, |candidate| candidate.is(flight.id)).ok()?;
        let (flight, _) = entry.remove();
        shrink(&mut self.by_key, |flight| flight.itself.hash);
        Some(flight)
    }

    /// From now on a join of its key meets this flight first.
    pub(super) fn make_first(&mut self, flight: FlightRef) {
        if let Some((flight, _)) = self.remove(flight) {
            self.insert(Table::ByKey, flight);
        }
    }

    /// From now on no join meets this flight, nor the one that waits for it. How many of the two have callers.
    pub(super) fn detach(&mut self, flight: FlightRef) -> usize {
        let live = self.live(flight);
        if live == 0 || !self.is_first(flight) {
            return 0;
        }
        if let Some((flight, _)) = self.remove(flight) {
            self.insert(Table::ById, flight);
        }
        live
    }

    /// The same, and says so to the two.
    pub(super) fn forget(&mut self, flight: FlightRef) -> usize {
        let successor = self.successor(flight);
        let forgotten = self.detach(flight);
        if forgotten > 0 {
            let both = [Some(flight), successor].into_iter().flatten();
            both.filter_map(|flight| self.get(flight)).for_each(|flight| T::forget(&flight.record));
        }
        forgotten
    }

    /// Forgets every flight, and says how many could be joined.
    pub(super) fn forget_all(&mut self) -> usize {
        let all: Vec<_> = self.firsts().map(|flight| flight.itself).collect();
        all.into_iter().map(|flight| self.forget(flight)).sum()
    }

    /// How many flights that are not over a join of this one's key may meet: it, and the one that waits for it.
    fn live(&self, flight: FlightRef) -> usize {
        usize::from(self.under_way(flight).is_some()) + usize::from(self.successor(flight).is_some())
    }

    /// Cuts a flight short, but keeps it until its work is gone.
    pub(super) fn cut(&mut self, flight: FlightRef, now: Instant) -> Option<Cut<T>> {
        let cut = self.find(flight)?.cut(now);
        self.ending += 1;
        Some(cut)
    }

    /// Those that are not over.
    pub(super) fn len(&self) -> usize {
        self.by_key.len() + self.piles.len() + self.by_id.len() - self.ending
    }

    /// Those that are not over.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight<T>> {
        self.firsts().chain(self.by_id.iter()).filter(|flight| flight.stage != Stage::Ending)
    }

    /// Those that a join of their key meets first.
    fn firsts(&self) -> impl Iterator<Item = &Flight<T>> {
        self.by_key.iter().map(Box::as_ref).chain(self.piles.iter())
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Box<Flight<T>>> + use<T> {
        let Self { by_key, piles, by_id, .. } = mem::replace(self, Self::new());
        by_key.into_iter().chain(piles.into_flights()).chain(by_id)
    }

    /// Whether a join of its key meets it first.
    pub(super) fn is_first(&self, flight: FlightRef) -> bool {
        self.first_of(flight).is_some()
    }

    /// Whether a join can find it: first, or as the one that waits for the first.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn is_joinable(&self, flight: FlightRef) -> bool {
        self.is_first(flight) || self.firsts().any(|first| first.successor() == Some(flight))
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn capacity(&self) -> usize {
        self.by_key.capacity() + self.piles.capacity() + self.by_id.capacity()
    }
}

// For the model, as those of `ById`.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
impl<T: Types> Clone for Flights<T>
where
    Flight<T>: Clone,
{
    fn clone(&self) -> Self {
        let Self { by_key, piles, by_id, ending } = self;
        Self { by_key: by_key.clone(), piles: piles.clone(), by_id: by_id.clone(), ending: *ending }
    }
}

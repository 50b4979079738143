//! The flights of a shard: a table by key for the one of each key that a join meets first, and one by identity for all others.
//!
//! A forgotten or expired flight leaves the table by key. So its key is free at once (G9, G11), and however many
//! detached flights a key has, neither a join nor a departure ever walks past them. A pending flight is in the table by
//! identity until it begins: a join finds it through the flight that it waits for.

use std::{mem, time::Instant};

use hashbrown::HashTable;

use super::{
    flight::{Flight, Stage},
    message::{Cut, FlightId, FlightRef, Types},
};
use crate::{error::CaughtPanic, unwind::catch};

/// Below this many buckets an idle table isn't worth shrinking.
pub(super) const SHRINK_FLOOR: usize = 1024;

/// Each boxed: it moves as a pointer, and an empty bucket takes no more room than one.
pub(super) struct Flights<T: Types> {
    /// By the key's hash. At most one per key (G1).
    by_key: HashTable<Box<Flight<T>>>,
    /// By the flight's number.
    by_id: HashTable<Box<Flight<T>>>,
    /// How many of both are kept until their work is gone.
    ending: usize,
}

/// Which of the two tables a flight is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    ByKey,
    ById,
}

impl<T: Types> Flights<T> {
    pub(super) fn new() -> Self {
        Self { by_key: HashTable::new(), by_id: HashTable::new(), ending: 0 }
    }

    /// The flight that a join of `key` meets first. Looking changes nothing, so a panic in `Eq` leaves all as it was (G13).
    pub(super) fn first(&mut self, hash: u64, key: &T::Key) -> Result<Option<&mut Flight<T>>, CaughtPanic> {
        // The key last, as comparing it runs user code.
        let found = catch(|| self.by_key.find_mut(hash, |flight| flight.itself.hash == hash && flight.key == *key))?;
        Ok(found.map(Box::as_mut))
    }

    pub(super) fn insert(&mut self, table: Table, flight: Box<Flight<T>>) {
        self.ending += usize::from(flight.stage == Stage::Ending);
        match table {
            Table::ByKey => self.by_key.insert_unique(flight.itself.hash, flight, |flight| flight.itself.hash),
            Table::ById => {
                self.by_id.insert_unique(spread(flight.itself.id), flight, |flight| spread(flight.itself.id))
            }
        };
    }

    pub(super) fn find(&mut self, flight: FlightRef) -> Option<&mut Flight<T>> {
        let by_key = self.by_key.find_mut(flight.hash, |candidate| candidate.is(flight));
        let found = by_key.or_else(|| self.by_id.find_mut(spread(flight.id), |candidate| candidate.is(flight)));
        found.map(Box::as_mut)
    }

    pub(super) fn get(&self, flight: FlightRef) -> Option<&Flight<T>> {
        let by_key = self.by_key.find(flight.hash, |candidate| candidate.is(flight));
        let found = by_key.or_else(|| self.by_id.find(spread(flight.id), |candidate| candidate.is(flight)));
        found.map(Box::as_ref)
    }

    /// A flight whose work has begun, and whose callers wait for it.
    pub(super) fn under_way(&self, flight: FlightRef) -> Option<&Flight<T>> {
        self.get(flight).filter(|flight| flight.is_under_way())
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
        let by_key = self.remove_by_key(flight).map(|flight| (flight, Table::ByKey));
        let (flight, table) = by_key.or_else(|| self.remove_by_id(flight).map(|flight| (flight, Table::ById)))?;
        self.ending -= usize::from(flight.stage == Stage::Ending);
        Some((flight, table))
    }

    fn remove_by_key(&mut self, flight: FlightRef) -> Option<Box<Flight<T>>> {
        let entry = self.by_key.find_entry(flight.hash, |candidate| candidate.is(flight)).ok()?;
        let (flight, _) = entry.remove();
        shrink(&mut self.by_key, |flight| flight.itself.hash);
        Some(flight)
    }

    fn remove_by_id(&mut self, flight: FlightRef) -> Option<Box<Flight<T>>> {
        let entry = self.by_id.find_entry(spread(flight.id), |candidate| candidate.is(flight)).ok()?;
        let (flight, _) = entry.remove();
        shrink(&mut self.by_id, |flight| spread(flight.itself.id));
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
        let all: Vec<_> = self.by_key.iter().map(|flight| flight.itself).collect();
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
        self.by_key.len() + self.by_id.len() - self.ending
    }

    /// Those that are not over.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight<T>> {
        let all = self.by_key.iter().chain(self.by_id.iter()).map(Box::as_ref);
        all.filter(|flight| flight.stage != Stage::Ending)
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Box<Flight<T>>> + use<T> {
        self.ending = 0;
        mem::take(&mut self.by_key).into_iter().chain(mem::take(&mut self.by_id))
    }

    /// Whether a join of its key meets it first.
    pub(super) fn is_first(&self, flight: FlightRef) -> bool {
        self.by_key.find(flight.hash, |candidate| candidate.is(flight)).is_some()
    }

    /// Whether a join can find it: first, or as the one that waits for the first.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn is_joinable(&self, flight: FlightRef) -> bool {
        let waits = |first: &Box<Flight<T>>| first.successor() == Some(flight);
        self.is_first(flight) || self.by_key.find(flight.hash, waits).is_some()
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn capacity(&self) -> usize {
        self.by_key.capacity() + self.by_id.capacity()
    }
}

// For the model, which goes on from one state in many ways. Its types are numbers.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
impl<T: Types> Clone for Flights<T>
where
    Flight<T>: Clone,
{
    fn clone(&self) -> Self {
        Self { by_key: self.by_key.clone(), by_id: self.by_id.clone(), ending: self.ending }
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

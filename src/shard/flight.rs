//! One execution of work for one key, and the callers that wait for it.

use std::time::Instant;

use super::{
    message::{FlightRef, ProbeId, Types},
    waiters::{Slots, Waiters},
};

#[derive(Clone)]
pub(crate) struct Flight<T: Types> {
    pub(crate) itself: FlightRef,
    pub(crate) key: T::Key,
    pub(crate) started: Instant,
    pub(crate) record: T::Record,
    pub(crate) waiters: Waiters<T::Waker>,
    /// Its leader polls its work itself: no other caller has joined yet.
    pub(super) in_place: bool,
    /// That it is crowded has been reported.
    pub(super) crowded: bool,
    /// What hardly any flight has.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Default)]
struct Extra {
    description: Option<Box<str>>,
    /// Those callers that are the work of other flights.
    nested: Option<Slots<Nested>>,
    /// The probe that looked at it last.
    probed: Option<ProbeId>,
}

/// A caller that is the work of another flight.
#[derive(Clone)]
pub(super) struct Nested {
    origin: FlightRef,
    /// Its wait closed a cycle: it gets `Reentrant` when it is next polled.
    refused: bool,
}

impl<T: Types> Flight<T> {
    pub(super) fn new(
        itself: FlightRef,
        key: T::Key,
        leader: T::Waker,
        origin: Option<FlightRef>,
        description: Option<Box<str>>,
        in_place: bool,
        now: Instant,
    ) -> Self {
        let mut flight = Self {
            itself,
            key,
            started: now,
            record: T::record(itself),
            waiters: Waiters::led_by(leader),
            in_place,
            crowded: false,
            extra: None,
        };
        if description.is_some() {
            flight.extra.get_or_insert_default().description = description;
        }
        flight.note_origin(0, origin);
        flight
    }

    pub(super) fn is(&self, flight: FlightRef) -> bool {
        self.itself.id == flight.id
    }

    /// The number of the new follower's slot.
    pub(super) fn add(&mut self, follower: T::Waker, origin: Option<FlightRef>) -> u64 {
        let number = self.waiters.push(follower);
        self.note_origin(number, origin);
        number
    }

    fn note_origin(&mut self, number: u64, origin: Option<FlightRef>) {
        if let Some(origin) = origin {
            let nested = self.extra.get_or_insert_default().nested.get_or_insert_with(Slots::new);
            nested.push(number, Nested { origin, refused: false });
        }
    }

    /// Frees a slot. `None` if it is free already.
    pub(super) fn remove(&mut self, number: u64) -> Option<T::Waker> {
        let waker = self.waiters.remove(number)?;
        if let Some(nested) = self.nested() {
            nested.remove(number);
        }
        Some(waker)
    }

    fn nested(&mut self) -> Option<&mut Slots<Nested>> {
        self.extra.as_mut()?.nested.as_mut()
    }

    /// The first time that there are as many waiters as `crowd`: true.
    pub(super) fn becomes_crowded(&mut self, crowd: usize) -> bool {
        let becomes = !self.crowded && self.waiters.len() >= crowd;
        self.crowded |= becomes;
        becomes
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.extra.as_ref()?.description.as_deref()
    }

    /// Whether this is the probe's first visit. Without asking, flights that wait for one another in many ways would be
    /// walked once for each way, of which there are exponentially many.
    pub(super) fn is_first_visit(&mut self, probe: ProbeId) -> bool {
        // A flight that no work waits for has nothing to pass on, and need not remember.
        self.extra.as_mut().is_some_and(|extra| extra.probed.replace(probe) != Some(probe))
    }

    /// The flights whose work waits for this one.
    pub(super) fn awaited_by(&mut self) -> impl Iterator<Item = FlightRef> {
        self.nested().into_iter().flat_map(Slots::iter_mut).filter(|(_, nested)| !nested.refused).map(|(_, n)| n.origin)
    }

    /// Marks those followers that are the work of `origin`, and takes their wakers out, to be woken outside. A leader
    /// stays: it came when the flight was new and waited for nothing, so a cycle through it was closed by a later wait,
    /// which is found by a probe of its own.
    pub(super) fn refuse(&mut self, origin: FlightRef, no_waker: fn() -> T::Waker) -> Vec<T::Waker> {
        let Some(nested) = self.nested() else { return Vec::new() };
        let numbers: Vec<u64> = nested
            .iter_mut()
            .filter(|(number, nested)| *number != 0 && nested.origin == origin && !nested.refused)
            .map(|(number, nested)| {
                nested.refused = true;
                number
            })
            .collect();
        numbers.into_iter().filter_map(|number| self.waiters.replace(number, no_waker()).ok()).collect()
    }

    pub(super) fn is_refused(&mut self, number: u64) -> bool {
        self.nested().and_then(|nested| nested.get_mut(number)).is_some_and(|nested| nested.refused)
    }

    /// The slots of those callers that are the work of other flights: number, origin, and whether it is refused.
    #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
    pub(super) fn nested_slots(&self) -> impl Iterator<Item = (u64, FlightRef, bool)> {
        let nested = self.extra.as_ref().and_then(|extra| extra.nested.as_ref());
        nested.into_iter().flat_map(Slots::iter).map(|(number, nested)| (number, nested.origin, nested.refused))
    }

    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(super) fn probed(&self) -> Option<ProbeId> {
        self.extra.as_ref()?.probed
    }
}

//! One execution of work for one key, and the callers that wait for it.

use std::time::Instant;

use super::{
    message::{FlightRef, Types},
    waiters::Waiters,
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
    /// As its leader's `describe` said.
    description: Option<Description>,
}

/// Boxed twice, so that it takes one word where there is none, as nearly always.
type Description = Box<Box<str>>;

impl<T: Types> Flight<T> {
    pub(super) fn new(
        itself: FlightRef,
        key: T::Key,
        leader: T::Waker,
        description: Option<Box<str>>,
        in_place: bool,
        now: Instant,
    ) -> Self {
        Self {
            itself,
            key,
            started: now,
            record: T::record(itself),
            waiters: Waiters::led_by(leader),
            in_place,
            crowded: false,
            description: description.map(Box::new),
        }
    }

    pub(super) fn is(&self, flight: FlightRef) -> bool {
        self.itself.id == flight.id
    }

    /// The first time that there are as many waiters as `crowd`: true.
    pub(super) fn becomes_crowded(&mut self, crowd: usize) -> bool {
        let becomes = !self.crowded && self.waiters.len() >= crowd;
        self.crowded |= becomes;
        becomes
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.description.as_ref().map(|description| &***description)
    }
}

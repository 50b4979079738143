//! One execution of work for one key, and the callers that wait for it.

use std::{mem, time::Instant};

use super::{
    message::{Cut, FlightId, FlightRef, Types},
    waiters::Waiters,
};

/// What a flight's work does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not begun: it waits for another execution of the key to end.
    Pending,
    /// Its leader polls it: no other caller has joined yet.
    InPlace,
    Running,
    /// The flight was cut short, and has no callers any more. It is kept until its work is gone, so that the key's next flight
    /// waits for that.
    Ending,
}

#[derive(Clone)]
pub(crate) struct Flight<T: Types> {
    pub(crate) itself: FlightRef,
    pub(crate) key: T::Key,
    /// When its work was given to run; of a pending flight, when it was first joined; of an ending one, when
    /// its successor began to wait.
    pub(crate) started: Instant,
    pub(crate) record: T::Record,
    pub(crate) waiters: Waiters<T::Waker>,
    pub(super) stage: Stage,
    /// The flight that begins when this one's execution has ended, unless it is over by then.
    pub(super) successor: Option<FlightId>,
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
        record: T::Record,
        stage: Stage,
        now: Instant,
    ) -> Self {
        Self {
            itself,
            key,
            started: now,
            record,
            waiters: Waiters::led_by(leader),
            stage,
            successor: None,
            crowded: false,
            description: description.map(Box::new),
        }
    }

    pub(super) fn is(&self, flight: FlightId) -> bool {
        #[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
        super::fake::LOOKS.set(super::fake::LOOKS.get() + 1);
        self.itself.id == flight
    }

    /// Its work has begun, and its callers wait for it.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::InPlace | Stage::Running)
    }

    pub(super) fn successor(&self) -> Option<FlightRef> {
        self.successor.map(|id| FlightRef { hash: self.itself.hash, id })
    }

    pub(super) fn take_successor(&mut self) -> Option<FlightRef> {
        let successor = self.successor();
        self.successor = None;
        successor
    }

    /// Its callers, to be answered; the flight stays until its work is gone.
    pub(super) fn cut(&mut self, now: Instant) -> Cut<T> {
        let started = mem::replace(&mut self.started, now);
        self.stage = Stage::Ending;
        let (record, waiters) = (self.record.clone(), mem::take(&mut self.waiters));
        Cut { itself: self.itself, key: None, started, record, waiters }
    }

    /// The same where it does not stay.
    pub(crate) fn into_cut(self) -> Cut<T> {
        let Self { itself, key, started, record, waiters, .. } = self;
        Cut { itself, key: Some(key), started, record, waiters }
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

//! One execution of work for one key, and the callers that wait for it.

use std::{mem, sync::Arc, time::Instant};

use super::{
    classes::{Changed, Classes},
    message::{Cut, FlightId, FlightRef, Types},
    times::Times,
    waiters::Waiters,
};
use crate::config::Priority;

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
    /// It has a time limit of its own.
    pub(super) own_deadline: bool,
    /// That it is crowded has been reported.
    pub(super) crowded: bool,
    /// What few flights have, in one word.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Default)]
struct Rare {
    /// As its leader's `describe` said.
    description: Option<Box<str>>,
    /// The flight that begins when this one's execution has ended, unless it is over by then.
    successor: Option<FlightId>,
    /// Where a caller asks for them.
    times: Option<Arc<Times>>,
    /// Where a caller is not of the default class.
    classes: Option<Classes>,
}

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
            own_deadline: false,
            crowded: false,
            rare: description.map(|description| Box::new(Rare { description: Some(description), ..Rare::default() })),
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
        let id = self.rare.as_ref()?.successor?;
        Some(FlightRef { hash: self.itself.hash, id })
    }

    pub(super) fn set_successor(&mut self, successor: FlightId) {
        self.rare.get_or_insert_default().successor = Some(successor);
    }

    pub(super) fn take_successor(&mut self) -> Option<FlightRef> {
        let id = self.rare.as_mut()?.successor.take()?;
        Some(FlightRef { hash: self.itself.hash, id })
    }

    /// Its callers, to be answered; the flight stays until its work is gone.
    pub(super) fn cut(&mut self, now: Instant) -> Cut<T> {
        let started = mem::replace(&mut self.started, now);
        self.stage = Stage::Ending;
        let (record, waiters) = (self.record.clone(), mem::take(&mut self.waiters));
        Cut { itself: self.itself, key: None, started, times: self.take_times(), record, waiters }
    }

    /// The same where it does not stay.
    pub(crate) fn into_cut(mut self) -> Cut<T> {
        let times = self.take_times();
        let Self { itself, key, started, record, waiters, .. } = self;
        Cut { itself, key: Some(key), started, times, record, waiters }
    }

    fn classes(&self) -> Option<&Classes> {
        self.rare.as_ref()?.classes.as_ref()
    }

    /// A caller has got this slot. Says whether that changes the flight's class.
    #[inline]
    pub(super) fn enter_class(&mut self, number: u64, class: Priority) -> Option<Changed> {
        if class == Priority::Normal && self.classes().is_none() {
            return None;
        }
        self.change_class(self.waiters.len() - 1, |classes| {
            if class != Priority::Normal {
                classes.enter(number, class);
            }
        })
    }

    /// A caller has given up this slot.
    #[inline]
    pub(super) fn leave_class(&mut self, number: u64) -> Option<Changed> {
        self.classes()?;
        self.change_class(self.waiters.len() + 1, |classes| classes.leave(number))
    }

    #[cold]
    fn change_class(&mut self, callers_before: usize, change: impl FnOnce(&mut Classes)) -> Option<Changed> {
        let callers = self.waiters.len();
        let classes = self.rare.get_or_insert_default().classes.get_or_insert_with(Classes::new);
        // A flight begins with the default.
        let before = classes.highest(callers_before).unwrap_or_default();
        change(classes);
        // Without callers, it stays of the class that it was.
        let class = classes.highest(callers)?;
        (class != before).then_some(Changed { before, class })
    }

    /// The first time that there are as many waiters as `crowd`: true.
    pub(super) fn becomes_crowded(&mut self, crowd: usize) -> bool {
        let becomes = !self.crowded && self.waiters.len() >= crowd;
        self.crowded |= becomes;
        becomes
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.rare.as_ref()?.description.as_deref()
    }

    /// Its work is given to run.
    pub(super) fn begin(&mut self, now: Instant) {
        self.stage = Stage::Running;
        self.started = now;
        self.asked_times().into_iter().for_each(|times| times.begin(now));
    }

    /// For a caller that asks.
    pub(super) fn times(&mut self) -> Arc<Times> {
        let (has_begun, started) = (self.is_under_way(), self.started);
        let times = self.rare.get_or_insert_default().times.get_or_insert_with(Times::new);
        if has_begun {
            times.begin(started);
        }
        Arc::clone(times)
    }

    /// If a caller has asked.
    pub(crate) fn asked_times(&self) -> Option<&Times> {
        self.rare.as_ref()?.times.as_deref()
    }

    fn take_times(&mut self) -> Option<Arc<Times>> {
        self.rare.as_mut()?.times.take()
    }
}

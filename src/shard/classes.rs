//! Of which class a flight is: the highest of its live callers'.

use super::{Effect, Report, Types, flight::Flight, waiters::Slots};
use crate::{config::Priority, stats::Stats};

/// The callers of a flight that are not of the default class. Most flights have none.
#[derive(Clone)]
pub(super) struct Classes {
    callers: Slots<Priority>,
    /// How many of them there are of each class.
    counts: [usize; Priority::ALL.len()],
}

impl Classes {
    pub(super) const fn new() -> Self {
        Self { callers: Slots::new(), counts: [0; Priority::ALL.len()] }
    }

    /// `callers`: of all classes, so that what is not here is of the default one.
    pub(super) fn highest(&self, callers: usize) -> Option<Priority> {
        let has = |class: &Priority| match class {
            Priority::Normal => callers > self.callers.live(),
            class => self.counts[*class as usize] > 0,
        };
        Priority::ALL.into_iter().rev().find(has)
    }

    pub(super) fn enter(&mut self, number: u64, class: Priority) {
        self.callers.push(number, class);
        self.counts[class as usize] += 1;
    }

    pub(super) fn leave(&mut self, number: u64) {
        if let Some(class) = self.callers.remove(number) {
            self.counts[class as usize] -= 1;
        }
    }
}

/// A flight is of another class than before.
#[cold]
pub(super) fn reclass<T: Types>(
    flight: &Flight<T>,
    Changed { before, class }: Changed,
    counters: &mut Stats,
    effects: &mut Vec<Effect<T>>,
) {
    if !T::reclass(&flight.record, class) {
        return;
    }
    effects.push(Effect::Reclass(flight.itself.id));
    if class > before {
        counters.raised += 1;
        effects.push(Effect::Report(Report::Raised { flight: flight.itself.id, class }));
    }
}

/// The class of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) before: Priority,
    pub(super) class: Priority,
}

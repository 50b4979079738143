//! A shard that is being shut down: until when, and who wants to know.

use std::time::Instant;

use crate::{host::oneshot, panics::catch};

/// What became of the flights that were under way when a shutdown began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    pub(crate) finished: usize,
    pub(crate) cut: usize,
}

pub(crate) struct Drain {
    flights: usize,
    /// `None`: as long as it takes.
    deadline: Option<Instant>,
    waiting: Vec<oneshot::Sender<Drained>>,
}

impl Drain {
    pub(crate) fn new(flights: usize) -> Self {
        Self { flights, deadline: None, waiting: Vec::new() }
    }

    pub(crate) fn ask(&mut self, deadline: Option<Instant>, reply: oneshot::Sender<Drained>) {
        self.deadline = [self.deadline, deadline].into_iter().flatten().min();
        self.waiting.push(reply);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// What there is to tell when it ends now, with so many flights still under way.
    pub(crate) fn ends(&self, flights: usize) -> Drained {
        Drained { finished: self.flights - flights, cut: flights }
    }

    pub(crate) fn tell(&mut self, drained: Drained) {
        for waiting in self.waiting.drain(..) {
            // Whoever asked and left has nothing to be told. A waker is anybody's, and a panic in it must not keep the
            // others from hearing.
            let _ = catch(|| waiting.send(drained));
        }
    }
}

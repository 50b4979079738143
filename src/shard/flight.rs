//! One execution of work for one key, and the callers waiting for it.

use std::time::Instant;

use super::{
    message::{FlightId, Landing, Leftovers, Outcome, Waiter},
    world::{Caller, World},
};

pub(super) struct Flight<W: World> {
    pub(super) hash: u64,
    pub(super) id: FlightId,
    pub(super) key: W::Key,
    pub(super) started: Instant,
    /// False once the key was forgotten: the flight flies on for those aboard, and nobody else may board (G9).
    pub(super) joinable: bool,
    /// `None` only between the flight's launch and its task being handed back.
    pub(super) task: Option<W::Task>,
    waiters: Vec<Waiter<W>>,
    /// `Cancel`s since the last reaping that may have come from our waiters.
    hints: usize,
}

impl<W: World> Flight<W> {
    pub(super) fn new(hash: u64, id: FlightId, key: W::Key, leader: W::Caller, now: Instant) -> Self {
        Self {
            hash,
            id,
            key,
            started: now,
            joinable: true,
            task: None,
            waiters: vec![Waiter { caller: leader, leftovers: None }],
            hints: 0,
        }
    }

    pub(super) fn board(&mut self, follower: W::Caller, leftovers: Leftovers<W>) {
        self.waiters.push(Waiter { caller: follower, leftovers: Some(leftovers) });
    }

    pub(super) fn waiters(&self) -> usize {
        self.waiters.len()
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.waiters.capacity()
    }

    /// Takes note that a caller of our hash left, and says whether it is time to [`reap`](Self::reap).
    ///
    /// A `Cancel` names a hash, so it may be about another flight's caller; a hint too many only makes us look. None is
    /// ever missing: a caller leaves before it sends its `Cancel`, so whoever is still aboard after a reaping and
    /// leaves later sends a hint later. Looking when half of us may be gone keeps the cost per departure constant, and
    /// still notices at once that everybody is gone.
    pub(super) fn hint_departure(&mut self) -> bool {
        self.hints += 1;
        self.hints * 2 >= self.waiters.len()
    }

    pub(super) fn has_hints(&self) -> bool {
        self.hints > 0
    }

    /// Removes the waiters that have left, giving back what they had sent. Returns how many there were.
    pub(super) fn reap(&mut self, mut discard: impl FnMut(Leftovers<W>)) -> usize {
        self.hints = 0;
        let before = self.waiters.len();
        for departed in self.waiters.extract_if(.., |waiter| waiter.caller.has_left()) {
            if let Some(leftovers) = departed.leftovers {
                discard(leftovers);
            }
        }
        // A herd that has gone must not leave its seats allocated for as long as the flight lasts (G6).
        if self.waiters.len() < self.waiters.capacity() / 4 {
            self.waiters.shrink_to(self.waiters.len() * 2);
        }
        before - self.waiters.len()
    }

    pub(super) fn land(self, outcome: Outcome<W>) -> (Landing<W>, Option<W::Task>) {
        (Landing::new(self.waiters, Some(self.key), outcome), self.task)
    }
}

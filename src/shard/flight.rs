//! One execution of work for one key, and the callers waiting for it.

use std::time::Instant;

use super::{
    crew::Crew,
    message::{FlightRef, Flown, Landing, Outcome, Probe, ProbeId},
    world::{Caller, World},
};

pub(super) struct Flight<W: World> {
    pub(super) itself: FlightRef,
    pub(super) key: W::Key,
    pub(super) started: Instant,
    /// False once the key was forgotten or the flight is overdue: it flies on for those aboard, and nobody else may
    /// board (G9, G11).
    pub(super) joinable: bool,
    /// `None` only between the flight's launch and its task being handed back.
    pub(super) task: Option<W::Task>,
    pub(super) crew: Crew<W>,
    /// `Cancel`s since the last reaping that may have come from our waiters.
    pub(super) hints: usize,
    /// How many waiters, at most, are the work of other flights.
    pub(super) nested: usize,
    /// That it is crowded has been said.
    pub(super) crowded: bool,
    /// The probe that looked at it last.
    pub(super) probed: Option<ProbeId>,
    /// It is on the shard's list of flights to ask before it tells its gauges.
    pub(super) to_ask: bool,
}

impl<W: World> Flight<W> {
    pub(super) fn new(itself: FlightRef, key: W::Key, leader: W::Caller, nested: bool, now: Instant) -> Self {
        Self {
            itself,
            key,
            started: now,
            joinable: true,
            task: None,
            nested: nested.into(),
            crew: Crew::new(Some(leader), Vec::new()),
            hints: 0,
            crowded: false,
            probed: None,
            to_ask: false,
        }
    }

    pub(super) fn is(&self, flight: FlightRef) -> bool {
        self.itself.id == flight.id
    }

    pub(super) fn board(&mut self, follower: W::Caller, nested: bool) {
        self.nested += usize::from(nested);
        self.crew.board(follower);
    }

    pub(super) fn waiters(&self) -> usize {
        self.crew.len()
    }

    /// The first time that there are as many waiters as `crowd`: true.
    pub(super) fn becomes_crowded(&mut self, crowd: usize) -> bool {
        let becomes = !self.crowded && self.crew.len() >= crowd;
        self.crowded |= becomes;
        becomes
    }

    /// Takes note that a caller of our hash left, and says whether it is time to [`reap`](Self::reap).
    ///
    /// A `Cancel` names a hash, so it may be about another flight's caller; a hint too many only makes us look. None is
    /// ever missing: a caller leaves before it sends its `Cancel`, so whoever is still aboard after a reaping and
    /// leaves later sends a hint later. Looking when half of us may be gone keeps the cost per departure constant, and
    /// still notices at once that everybody is gone.
    pub(super) fn hint_departure(&mut self) -> bool {
        self.hints += 1;
        self.is_worth_looking()
    }

    /// Whether half of those aboard may be gone. To be asked whenever there are more hints, or fewer aboard.
    pub(super) fn is_worth_looking(&self) -> bool {
        self.has_hints() && self.hints * 2 >= self.crew.len()
    }

    pub(super) fn has_hints(&self) -> bool {
        self.hints > 0
    }

    /// Removes the waiters that have left. Returns how many there were.
    pub(super) fn reap(&mut self) -> usize {
        self.hints = 0;
        let (mut departed, mut nested) = (0, 0);
        for caller in self.crew.extract(Caller::has_left) {
            departed += 1;
            nested += usize::from(self.nested > 0 && caller.standing().origin.is_some());
        }
        self.nested -= nested;
        self.crew.shrink();
        departed
    }

    /// Whether this is the probe's first visit. Without asking, the ways through flights that wait for one another in many
    /// ways would be walked each by itself, and there are exponentially many of them.
    pub(super) fn is_first_visit(&mut self, probe: &Probe) -> bool {
        self.probed.replace(probe.id) != Some(probe.id)
    }

    /// The flights whose work waits for this one.
    pub(super) fn awaited_by(&self) -> impl Iterator<Item = FlightRef> {
        // Hardly any flight is awaited by work, and those that aren't may have very many waiters.
        let crew = (self.nested > 0).then(|| self.crew.iter());
        crew.into_iter()
            .flatten()
            .map(Caller::standing)
            .filter(|standing| !standing.left)
            .filter_map(|standing| standing.origin)
    }

    /// Takes those followers off who are the work of `origin`. A leader stays: it came when the flight was new and waited
    /// for nobody, so a circle that goes through it was closed by somebody else, who is found by a probe of their own.
    pub(super) fn put_off(&mut self, origin: FlightRef) -> Vec<W::Caller> {
        let off: Vec<_> = self.crew.extract_followers(|caller| caller.standing().origin == Some(origin)).collect();
        self.nested -= off.len();
        off
    }

    pub(super) fn land(self, outcome: Outcome<W>) -> (Landing<W>, Option<W::Task>) {
        let flown = Flown { id: self.itself.id, started: self.started };
        (Landing::new(flown, self.crew, self.key, outcome), self.task)
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.crew.seats()
    }
}

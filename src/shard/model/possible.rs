//! What can happen next.

use super::{Caller, Completion, Flight, Setting, Stage, Trial, Work};
use crate::config::Priority;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// A caller's first poll, inside a flight's work if it says so.
    Begin {
        key: u8,
        fresh: bool,
        class: Priority,
        inside: Option<usize>,
        way: Way,
    },
    /// A caller is polled again: it reads its answer, or exchanges its waker.
    Poll(usize, Way),
    Leave(usize, Way),
    /// The shard handles the message that has waited longest in the queue.
    Deliver,
    /// A flight's work ends.
    End(usize, Completion, Way),
    /// A flight's work may begin.
    Grant(usize),
    /// The leader begins to poll its flight's work.
    Resume(usize),
    /// The leader's poll of its flight's work ends, and the work doesn't.
    Park(usize),
    /// The outcome of a flight that is over is published, and its callers are woken.
    Publish(usize),
    /// Work asks for more time.
    Extend(usize),
    Forget(u8),
    ForgetAll,
    Tick,
    /// The actor looks after its shard.
    Look,
    Drain,
    Close,
}

/// How a message gets to the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    /// The shard was out.
    Queued,
}

impl Trial<'_> {
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        self.joins(&mut moves);
        for (number, caller) in self.callers.iter().enumerate() {
            self.moves_of_caller(number, caller, &mut moves);
        }
        for (number, flight) in self.flights.iter().enumerate() {
            self.moves_of_work(number, flight, &mut moves);
            if flight.outcome.is_some() && !flight.published {
                moves.push(Move::Publish(number));
            }
        }
        moves.extend((!self.is_free()).then_some(Move::Deliver));
        if self.now < self.setting.ticks {
            moves.push(Move::Tick);
        }
        if self.is_free() && !self.closed {
            self.controls(&mut moves);
        }
        moves
    }

    fn ways(&self) -> impl Iterator<Item = Way> + use<> {
        let direct = self.is_free().then_some(Way::Direct);
        direct.into_iter().chain(self.setting.queues.then_some(Way::Queued))
    }

    fn joins(&self, moves: &mut Vec<Move>) {
        if self.callers.len() >= self.setting.callers.into() {
            return;
        }
        // The first key asked for may as well be the first key there is.
        let keys = if self.callers.is_empty() { 1 } else { self.setting.keys };
        let inside = (0..self.flights.len()).filter(|&flight| self.setting.nested && self.is_polled(flight)).map(Some);
        for inside in [None].into_iter().chain(inside) {
            for (key, fresh) in (0..keys).flat_map(|key| [(key, false), (key, true)]) {
                if self.setting.fresh || !fresh {
                    let begin = |class| self.ways().map(move |way| Move::Begin { key, fresh, class, inside, way });
                    moves.extend(self.classes().iter().flat_map(|&class| begin(class)));
                }
            }
        }
    }

    fn classes(&self) -> &'static [Priority] {
        match self.setting {
            Setting { admits: false, .. } => &[Priority::Normal],
            // Few, where everything is tried.
            Setting { callers: ..4, .. } => &[Priority::Background, Priority::Normal],
            _ => &Priority::ALL,
        }
    }

    /// Work that may go on, in its task or in its leader's poll.
    fn is_polled(&self, flight: usize) -> bool {
        matches!(self.flights[flight].work, Work::Running | Work::Polled { .. })
    }

    fn moves_of_caller(&self, number: usize, caller: &Caller, moves: &mut Vec<Move>) {
        let leave = self.ways().map(|way| Move::Leave(number, way));
        match caller.stage {
            Stage::Done | Stage::Withdrawn => {}
            // It sends nothing.
            Stage::Queued => moves.push(Move::Leave(number, Way::Queued)),
            Stage::Replied(_) => {
                moves.extend(leave);
                moves.push(Move::Poll(number, Way::Direct));
            }
            Stage::Waiting(place) => {
                let flight = &self.flights[place.flight];
                if self.is_within_its_poll(number) {
                    return;
                }
                if flight.published {
                    moves.push(Move::Poll(number, Way::Direct));
                    return;
                }
                moves.extend(leave);
                if self.renewals > 0 {
                    moves.extend(self.ways().map(|way| Move::Poll(number, way)));
                } else if caller.woken && self.is_free() {
                    moves.push(Move::Poll(number, Way::Direct));
                }
            }
        }
    }

    fn moves_of_work(&self, number: usize, flight: &Flight, moves: &mut Vec<Move>) {
        let ends = Completion::ALL.into_iter().filter(|&completion| self.can_end(number, flight.work, completion));
        for completion in ends {
            moves.extend(self.ways().map(|way| Move::End(number, completion, way)));
        }
        match flight.work {
            Work::Queued => moves.push(Move::Grant(number)),
            Work::Parked if self.can_resume(flight) => moves.push(Move::Resume(number)),
            Work::Polled { .. } if !self.is_nested_polled(number) => moves.push(Move::Park(number)),
            _ => {}
        }
    }

    pub(super) fn can_end(&self, number: usize, work: Work, completion: Completion) -> bool {
        let possible = match (work, completion) {
            // It is given up, or its task is dropped.
            (Work::Queued, completion) => {
                completion == Completion::Shed || (completion == Completion::Aborted && self.setting.fails)
            }
            // Only a task is dropped without its leader.
            (_, Completion::Shed)
            | (Work::Over | Work::Parked | Work::Pending, _)
            | (Work::Polled { .. }, Completion::Aborted) => false,
            (Work::Aborted, Completion::Aborted) => true,
            (_, Completion::Value) => self.flights[number].has_begun(),
            (Work::Aborted, _) => false,
            (Work::Running | Work::Polled { .. }, _) => self.setting.fails,
        };
        // Work goes no further while it waits for what it joined; it can be dropped, and its joins with it.
        let waits = self.nested_in(number).next().is_some();
        possible && if completion == Completion::Aborted { !self.is_nested_polled(number) } else { !waits }
    }

    /// A leader that polls its own work.
    fn is_within_its_poll(&self, caller: usize) -> bool {
        let polls = |flight: &Flight| flight.leader == caller && matches!(flight.work, Work::Polled { .. });
        self.callers[caller].place().is_some_and(|place| polls(&self.flights[place.flight]))
    }

    fn is_nested_polled(&self, flight: usize) -> bool {
        self.nested_in(flight).any(|caller| self.is_within_its_poll(caller))
    }

    /// Its leader is there and can be polled: by the work that it is part of, if it is part of one.
    fn can_resume(&self, flight: &Flight) -> bool {
        let inside = self.callers[flight.leader].inside;
        !flight.published && inside.is_none_or(|outer| self.is_polled(outer))
    }

    fn controls(&self, moves: &mut Vec<Move>) {
        if self.extensions > 0 {
            let runs = |&flight: &usize| self.flights[flight].has_begun() && self.flights[flight].work != Work::Over;
            moves.extend((0..self.flights.len()).filter(runs).map(Move::Extend));
        }
        if self.forgets > 0 {
            let live = |key: u8| self.mapped().any(|flight| self.flights[flight].key == key);
            moves.extend((0..self.setting.keys).filter(|&key| live(key)).map(Move::Forget));
            if self.setting.keys > 1 && self.mapped().next().is_some() {
                moves.push(Move::ForgetAll);
            }
        }
        if self.called || self.alarm.is_some_and(|alarm| alarm <= super::at(self.now)) {
            moves.push(Move::Look);
        }
        if self.setting.ends {
            moves.extend((!self.draining).then_some(Move::Drain));
            moves.push(Move::Close);
        }
    }
}

impl Completion {
    /// In which work can end, called or not.
    pub(super) const ALL: [Self; 5] = [Self::Value, Self::Error, Self::Panicked, Self::Aborted, Self::Shed];
}

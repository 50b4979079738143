//! What becomes of joins and of flights.

use super::{Call, Flight, Oracle, State};
use crate::schedules::{
    steps::{How, Way, When},
    world::Answer,
};

impl Oracle {
    pub(super) fn admit(&mut self, call: usize) {
        let (key, origin) = (self.calls[call].key, self.calls[call].origin);
        match self.joinable(key) {
            Some(flight) if origin == Some(flight) => self.refuse(call, Answer::Reentrant),
            Some(flight) if self.flights[flight].waiters.len() >= self.options.max_waiters => {
                self.refuse(call, Answer::TooManyWaiters);
            }
            Some(flight) => {
                if origin.is_some_and(|origin| self.waits_for(flight, origin)) {
                    return self.refuse(call, Answer::Reentrant);
                }
                self.counters.joins += 1;
                self.counters.coalesced += 1;
                self.flights[flight].waiters.push(call);
                self.calls[call].state = State::Waiting(flight);
            }
            None if self.live().count() + self.lingering() >= self.options.max_flights => {
                self.refuse(call, Answer::TooManyFlights);
            }
            None => self.launch(call),
        }
    }

    fn refuse(&mut self, call: usize, answer: Answer) {
        self.counters.joins += 1;
        self.counters.rejections += 1;
        self.calls[call].state = State::Answered(answer);
    }

    fn launch(&mut self, call: usize) {
        self.calls[call].state = State::Waiting(self.flights.len());
        let key = self.calls[call].key;
        let blocks = |flight: &Flight| flight.key == key && flight.lingers && flight.blocks;
        let after = self.flights.iter().position(blocks);
        self.flights.push(Flight {
            leader: call,
            key,
            joinable: true,
            started: self.now,
            over: false,
            begun: false,
            overdue: false,
            lingers: false,
            blocks: false,
            after,
            waiters: vec![call],
            passed: self.gates,
            awaits: None,
        });
    }

    /// The first poll of a flight's task.
    pub(super) fn begin(&mut self, flight: usize) {
        let leader = self.flights[flight].leader;
        let Call { id, ref plan, .. } = self.calls[leader];
        let plan = plan.clone();
        self.begun.push(id);
        // A leader counts with its work, and not at all if that is dropped before.
        self.counters.joins += 1;
        self.counters.executions += 1;
        (self.flights[flight].begun, self.flights[flight].passed) = (true, self.gates);
        let When::Joined { key, plan: nested } = plan.ends else { return };
        if plan.by == How::PanicInTheClosure {
            return;
        }
        let call = self.calls.len();
        self.calls.push(Call {
            id: id + 1,
            key,
            way: Way::Join,
            plan: *nested,
            state: State::Idle,
            origin: Some(flight),
            gives_up: None,
        });
        self.flights[flight].awaits = Some(call);
        if self.is_closed {
            self.calls[call].state = State::Answered(Answer::Closed);
        } else {
            self.admit(call);
        }
    }

    /// Whether that flight, by way of whatever it waits for, waits for the other.
    fn waits_for(&self, mut flight: usize, other: usize) -> bool {
        loop {
            match self.flights[flight].awaits.map(|call| &self.calls[call].state) {
                Some(&State::Waiting(next)) if next == other => return true,
                Some(&State::Waiting(next)) => flight = next,
                _ => return false,
            }
        }
    }

    pub(super) fn depart(&mut self, call: usize) {
        let Some(flight) = self.flights.iter().position(|flight| !flight.over && flight.waiters.contains(&call)) else {
            return;
        };
        self.counters.departures += 1;
        self.flights[flight].waiters.retain(|&other| other != call);
        if self.flights[flight].waiters.is_empty() && self.options.aborts {
            self.counters.aborts += 1;
            self.end(flight, &Answer::Aborted);
            self.drop_work(flight);
        }
    }

    pub(super) fn complete(&mut self, flight: usize) {
        let leader = &self.calls[self.flights[flight].leader];
        let (answer, way) = (outcome(leader), leader.way);
        match answer {
            Answer::Error(_) => self.counters.errors += u64::from(way == Way::Try),
            Answer::Panicked(_) => self.counters.panics += 1,
            _ => {}
        }
        if let Some(call) = self.flights[flight].awaits
            && let State::Answered(answer) = &self.calls[call].state
        {
            self.nested.push((self.calls[call].id, answer.clone()));
        }
        self.end(flight, &answer);
    }

    pub(super) fn end(&mut self, flight: usize, answer: &Answer) {
        let flight = &mut self.flights[flight];
        (flight.over, flight.joinable, flight.blocks) = (true, false, flight.joinable);
        for call in flight.waiters.drain(..) {
            match self.calls[call].state {
                State::Left => self.counters.departures += 1,
                _ => self.calls[call].state = State::Answered(answer.clone()),
            }
        }
    }

    /// Work that is dropped leaves what it waited for.
    pub(super) fn drop_work(&mut self, flight: usize) {
        // Work that waits for other work of its key is in no task, and dropped at once.
        self.flights[flight].lingers = self.flights[flight].begun || self.flights[flight].after.is_none();
        if let Some(call) = self.flights[flight].awaits {
            self.leave(call);
        }
    }
}

pub(super) fn outcome(call: &Call) -> Answer {
    match call.plan.by {
        How::Value => Answer::Value(call.id),
        How::Error => Answer::Error(call.id),
        How::Panic | How::PanicInTheClosure => Answer::Panicked(call.id),
    }
}

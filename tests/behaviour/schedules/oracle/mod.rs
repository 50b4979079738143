//! What has to come of a schedule, by a reference that keeps everything and hurries nowhere.
//!
//! It has no shards, queues or tasks: joins, departures and questions take effect at once. Work begins when tasks have their
//! turn, in the order of the flights; then what can end ends, until nothing moves. Times are milliseconds since the start.

mod flights;

use self::flights::outcome;
use super::{
    steps::{GATES, How, Join, Options, Plan, Way, When},
    world::{Answer, CallId, FLIGHT_LIMIT, MAX_WAIT},
};

/// Room for the joins that a call's work makes: theirs are the numbers after its own.
pub(crate) const NUMBERS_PER_CALL: usize = 8;

pub(crate) struct Call {
    id: CallId,
    pub(crate) key: u8,
    way: Way,
    plan: Plan,
    pub(crate) state: State,
    /// The flight whose work made the join.
    origin: Option<usize>,
    gives_up: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not polled yet.
    Idle,
    Waiting(usize),
    /// Runs its own work, from that state of the gates on.
    Bypassing([u64; GATES]),
    Answered(Answer),
    Left,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Flight {
    leader: usize,
    key: u8,
    joinable: bool,
    started: u64,
    pub(crate) over: bool,
    /// Its task has been polled.
    begun: bool,
    overdue: bool,
    /// It was told to end, and has not been polled since.
    lingers: bool,
    /// It could be joined until it was told to end.
    blocks: bool,
    /// The flight whose work has to be gone before its own begins.
    after: Option<usize>,
    waiters: Vec<usize>,
    passed: [u64; GATES],
    /// The join that its work waits for.
    awaits: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) joins: u64,
    pub(crate) executions: u64,
    pub(crate) coalesced: u64,
    pub(crate) errors: u64,
    pub(crate) panics: u64,
    pub(crate) timeouts: u64,
    pub(crate) rejections: u64,
    pub(crate) departures: u64,
    pub(crate) aborts: u64,
    pub(crate) forgets: u64,
    pub(crate) bypasses: u64,
}

pub(crate) struct Oracle {
    options: Options,
    pub(crate) now: u64,
    gates: [u64; GATES],
    pub(crate) calls: Vec<Call>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) counters: Counters,
    /// Calls whose work was begun.
    pub(crate) begun: Vec<CallId>,
    /// The answers of joins made by work.
    pub(crate) nested: Vec<(CallId, Answer)>,
    pub(crate) is_enabled: bool,
    pub(crate) is_rolled_out: bool,
    pub(crate) is_closed: bool,
}

impl Oracle {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            now: 0,
            gates: [0; GATES],
            calls: Vec::new(),
            flights: Vec::new(),
            counters: Counters::default(),
            begun: Vec::new(),
            nested: Vec::new(),
            is_enabled: true,
            is_rolled_out: true,
            is_closed: false,
        }
    }

    pub(crate) fn bypasses(&self) -> bool {
        !(self.is_enabled && self.is_rolled_out)
    }

    /// Whether the work that a caller waits for waits for a flight itself.
    pub(crate) fn waits_with_others(&self, call: usize) -> bool {
        matches!(self.calls[call].state, State::Waiting(flight) if self.flights[flight].awaits.is_some())
    }

    /// A call's first poll, and what it has to say at once.
    pub(crate) fn join(&mut self, id: CallId, join: &Join) -> Option<Answer> {
        let max_wait = join.has_max_wait.then(|| u64::try_from(MAX_WAIT.as_millis()).unwrap());
        let call = self.calls.len();
        self.calls.push(Call {
            id,
            key: join.key,
            way: join.way,
            plan: join.plan.clone(),
            state: State::Idle,
            origin: None,
            gives_up: max_wait.map(|wait| self.now + wait),
        });
        if self.is_closed {
            self.calls[call].state = State::Answered(Answer::Closed);
        } else if self.bypasses() {
            self.counters.joins += 1;
            self.counters.bypasses += 1;
            self.begun.push(id);
            self.calls[call].state = State::Bypassing(self.gates);
        } else {
            self.admit(call);
        }
        self.poll(call)
    }

    /// The answer that a caller has to get now, if any.
    pub(crate) fn poll(&mut self, call: usize) -> Option<Answer> {
        if let State::Bypassing(passed) = self.calls[call].state
            && self.is_ready(&self.calls[call].plan, &passed, None)
        {
            self.calls[call].state = State::Answered(outcome(&self.calls[call]));
        }
        if let State::Answered(answer) = &self.calls[call].state {
            return Some(answer.clone());
        }
        if self.calls[call].gives_up.is_some_and(|at| at <= self.now) {
            self.leave(call);
            return Some(Answer::CallerTimedOut);
        }
        None
    }

    pub(crate) fn leave(&mut self, call: usize) {
        if let State::Waiting(_) = std::mem::replace(&mut self.calls[call].state, State::Left) {
            self.depart(call);
        }
    }

    pub(crate) fn pulse(&mut self, gate: usize) {
        self.gates[gate] += 1;
    }

    /// Gives tasks their turns: work begins, then what can end ends, until nothing moves.
    pub(crate) fn settle(&mut self) {
        loop {
            let idle = |flight: &Flight| !flight.over && !flight.begun;
            if let Some(flight) = self.flights.iter().position(idle) {
                self.begin(flight);
                continue;
            }
            let ready = |flight: &Flight| {
                !flight.over && self.is_ready(&self.calls[flight.leader].plan, &flight.passed, flight.awaits)
            };
            let Some(flight) = self.flights.iter().position(ready) else { return };
            self.complete(flight);
        }
    }

    fn is_ready(&self, plan: &Plan, passed: &[u64; GATES], awaits: Option<usize>) -> bool {
        if plan.by == How::PanicInTheClosure {
            return true;
        }
        match plan.ends {
            When::AtOnce => true,
            When::AtGate(gate) => self.gates[gate] > passed[gate],
            When::Never => false,
            When::Joined { .. } => awaits.is_some_and(|call| matches!(self.calls[call].state, State::Answered(_))),
        }
    }

    pub(crate) fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let limit = u64::try_from(FLIGHT_LIMIT.as_millis()).unwrap();
        let mut ended = Vec::new();
        for flight in 0..self.flights.len() {
            let Flight { over, overdue, started, .. } = self.flights[flight];
            if !self.options.has_deadline || over || overdue || started + limit > self.now {
                continue;
            }
            self.counters.timeouts += 1;
            (self.flights[flight].overdue, self.flights[flight].joinable) = (true, false);
            if !self.options.detaches {
                self.end(flight, &Answer::FlightTimedOut);
                ended.push(flight);
            }
        }
        // After all of them: a caller that has its answer leaves nothing.
        ended.into_iter().for_each(|flight| self.drop_work(flight));
        self.settle();
    }

    pub(crate) fn joinable(&self, key: u8) -> Option<usize> {
        self.flights.iter().position(|flight| flight.joinable && flight.key == key)
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter().filter(|flight| !flight.over)
    }

    pub(crate) fn polled(&mut self) {
        self.flights.iter_mut().for_each(|flight| flight.lingers = false);
    }

    pub(super) fn lingering(&self) -> usize {
        self.flights.iter().filter(|flight| flight.lingers).count()
    }

    pub(crate) fn forget(&mut self, flight: usize) {
        self.flights[flight].joinable = false;
        // The next flight doesn't wait for what this one waits for.
        if let Some(first) = self.flights[flight].after {
            self.flights[first].blocks = false;
        }
        self.counters.forgets += 1;
    }

    /// Ends everything that is under way with `Closed`, and says how many flights that were.
    pub(crate) fn close(&mut self) -> usize {
        self.is_closed = true;
        let live: Vec<_> = (0..self.flights.len()).filter(|&flight| !self.flights[flight].over).collect();
        live.iter().for_each(|&flight| self.end(flight, &Answer::Closed));
        live.iter().for_each(|&flight| self.drop_work(flight));
        live.len()
    }

    pub(crate) fn waiters(&self) -> usize {
        self.live().map(|flight| flight.waiters.len()).sum()
    }

    pub(crate) fn oldest(&self) -> Option<u64> {
        self.live().map(|flight| self.now - flight.started).max()
    }
}

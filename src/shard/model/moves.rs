//! What can happen next, and what happens then.

use super::{
    super::{Complete, Effect, FlightRef, Join, Landing, Message, Remains},
    Caller, Ended, Flight, Judgement, LEFT, Seat, Sent, Stage, Task, Tiny, Trial, at,
    judge::{Events, Step},
    state::reference,
};
use crate::error::{CaughtPanic, JoinError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// A caller's first poll, inside a flight's work if it says so.
    Begin {
        key: u8,
        inside: Option<usize>,
    },
    Leave(usize),
    /// The shard takes what has lain in the lane longest.
    Deliver,
    /// A flight's task ends, and says so.
    End(usize, Ended),
    Forget(u8),
    ForgetAll,
    Tick,
    /// The shard's alarm rings.
    Expire,
    Drain,
    Close,
}

impl Trial<'_> {
    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        self.callers_moves(&mut moves);
        for (number, flight) in self.flights.iter().enumerate() {
            let ends = |ended: &Ended| self.can_end(number, flight, *ended);
            moves.extend(Ended::ALL.into_iter().filter(ends).map(|ended| Move::End(number, ended)));
        }
        if self.closed {
            return moves;
        }
        if !self.lane.is_empty() {
            moves.push(Move::Deliver);
        }
        if self.forgets > 0 {
            let live = |key: u8| self.mapped().any(|flight| self.flights[flight].key == key);
            moves.extend((0..self.setting.keys).filter(|&key| live(key)).map(Move::Forget));
            if self.setting.keys > 1 && self.mapped().next().is_some() {
                moves.push(Move::ForgetAll);
            }
        }
        if self.now < self.setting.ticks {
            moves.push(Move::Tick);
        }
        if self.due().is_some() {
            moves.push(Move::Expire);
        }
        if self.setting.ends {
            moves.extend((!self.draining).then_some(Move::Drain));
            moves.push(Move::Close);
        }
        moves
    }

    fn callers_moves(&self, moves: &mut Vec<Move>) {
        if self.callers.len() < self.setting.callers.into() && !self.closed {
            // The first key asked for may as well be the first key there is.
            let keys = if self.callers.is_empty() { 1 } else { self.setting.keys };
            for key in 0..keys {
                moves.push(Move::Begin { key, inside: None });
                if self.setting.nested {
                    let running = |number: &usize| self.flights[*number].task == Task::Running;
                    let inside = (0..self.flights.len()).filter(running);
                    moves.extend(inside.map(|inside| Move::Begin { key, inside: Some(inside) }));
                }
            }
        }
        let there = |caller: &usize| self.callers[*caller].stage != Stage::Done && !self.callers[*caller].left;
        moves.extend((0..self.callers.len()).filter(there).map(Move::Leave));
    }

    fn can_end(&self, number: usize, flight: &Flight, ended: Ended) -> bool {
        let possible = match (flight.task, ended) {
            (Task::Over, _) | (Task::Cut, Ended::Panicked) => false,
            (Task::Cut, Ended::Dropped) | (_, Ended::Returned) => true,
            (Task::Running, Ended::Panicked | Ended::Dropped) => self.setting.fails,
        };
        // Work goes no further while it waits for what it joined; it can be dropped, and its joins with it.
        possible && (ended == Ended::Dropped || self.waiting_inside(number).next().is_none())
    }

    pub(super) fn waiting_inside(&self, flight: usize) -> impl Iterator<Item = usize> {
        let waits = move |caller: &Caller| caller.inside == Some(flight) && caller.stage != Stage::Done && !caller.left;
        self.callers.iter().enumerate().filter(move |(_, caller)| waits(caller)).map(|(number, _)| number)
    }

    /// The flight that is to expire next, if its time is up.
    pub(super) fn due(&self) -> Option<usize> {
        let deadline = self.setting.deadline?;
        let oldest = self.mapped().find(|&flight| !self.flights[flight].expired)?;
        (self.flights[oldest].started + deadline <= self.now).then_some(oldest)
    }

    /// Makes a move, and has it judged.
    pub(super) fn make(&mut self, chosen: Move) -> Judgement {
        match chosen {
            Move::Begin { key, inside } => {
                self.lane.push_back(Sent::Join(self.callers.len()));
                self.callers.push(Caller {
                    key,
                    inside,
                    stage: Stage::Sent,
                    left: false,
                    boarded: None,
                    announced: false,
                });
            }
            Move::Leave(caller) => self.leave(caller),
            Move::Deliver => self.deliver()?,
            Move::End(flight, ended) => self.end(flight, ended),
            Move::Forget(key) => {
                self.forgets -= 1;
                let forgotten = self.with_shard(|shard, hash_of| shard.forget(hash_of(key), &key));
                self.judge_forget(key, forgotten.map_err(|panic| panic.message().to_string())?)?;
            }
            Move::ForgetAll => {
                self.forgets -= 1;
                let forgotten = self.with_shard(|shard, _| shard.forget_all());
                self.judge_forget_all(forgotten)?;
            }
            Move::Tick => self.now += 1,
            Move::Expire => self.step(Step::Expire, |shard, now, effects| _ = shard.expire(now, effects))?,
            Move::Drain => {
                self.draining = true;
                self.with_shard(|shard, _| shard.drain());
            }
            Move::Close => self.close()?,
        }
        self.judge_state()
    }

    fn leave(&mut self, caller: usize) {
        // Left first, said afterwards: as every caller does.
        self.callers[caller].left = true;
        self.send(Sent::Cancel(caller));
    }

    fn end(&mut self, flight: usize, ended: Ended) {
        let inside: Vec<_> = self.waiting_inside(flight).collect();
        inside.into_iter().for_each(|caller| self.leave(caller));
        self.flights[flight].task = Task::Over;
        self.send(Sent::Complete(flight, ended));
    }

    fn send(&mut self, sent: Sent) {
        if !self.closed {
            self.lane.push_back(sent);
        }
    }

    fn deliver(&mut self) -> Judgement {
        let Some(sent) = self.lane.pop_front() else { return Ok(()) };
        let step = match sent {
            Sent::Join(caller) => Step::Join(caller),
            Sent::Cancel(caller) => {
                self.callers[caller].announced = true;
                Step::Cancel
            }
            Sent::Complete(flight, ended) => Step::Complete(flight, ended),
            Sent::Probe(_) => Step::Probe,
            Sent::Circle(wait) => Step::Circle(wait),
        };
        let message = self.message(sent);
        self.step(step, |shard, now, effects| shard.handle(message, now, effects))
    }

    fn message(&self, sent: Sent) -> Message<Tiny> {
        match sent {
            Sent::Join(number) => {
                let caller = &self.callers[number];
                let origin = caller.inside.map(|flight| reference(self.setting, &self.flights[flight]));
                let stub = Seat { number: u8::try_from(number).expect("few"), origin };
                let hash = self.setting.hash_of(caller.key);
                Message::Join(Join { hash, key: caller.key, nested: stub.origin.is_some(), caller: stub })
            }
            Sent::Cancel(caller) => Message::Cancel { hash: self.setting.hash_of(self.callers[caller].key) },
            Sent::Complete(flight, ended) => {
                let flight = &self.flights[flight];
                let outcome = match ended {
                    Ended::Returned => Ok(flight.id),
                    Ended::Panicked => Err(JoinError::Panicked(CaughtPanic::new("planned"))),
                    Ended::Dropped => Err(JoinError::Aborted),
                };
                Message::Complete(Complete { flight: reference(self.setting, flight), outcome, is_error: false })
            }
            Sent::Probe(probe) => Message::Probe(Box::new(probe)),
            Sent::Circle(wait) => Message::Circle(wait),
        }
    }

    /// As the pump does it: whatever lies in the lane first, joins refused, then the flights.
    fn close(&mut self) -> Judgement {
        while let Some(&sent) = self.lane.front() {
            if let Sent::Join(caller) = sent {
                self.lane.pop_front();
                self.callers[caller].stage = Stage::Done;
            } else {
                self.deliver()?;
            }
        }
        let abort = self.draining || self.shard.aborts_abandoned();
        self.closed = true;
        self.step(Step::Close, |shard, _, effects| shard.close(abort, effects))?;
        self.lane.clear();
        Ok(())
    }

    pub(super) fn with_shard<T>(&mut self, act: impl FnOnce(&mut super::Shard<Tiny>, &dyn Fn(u8) -> u64) -> T) -> T {
        let left = self.callers.iter().enumerate().map(|(caller, state)| u32::from(state.left) << caller);
        LEFT.set(left.sum());
        act(&mut self.shard, &|key| self.setting.hash_of(key))
    }

    /// Has the shard take a step, carries out what it asks for, and has the judge look at both.
    fn step(
        &mut self,
        step: Step,
        act: impl FnOnce(&mut super::Shard<Tiny>, std::time::Instant, &mut Vec<Effect<Tiny>>),
    ) -> Judgement {
        let now = at(self.now);
        let mut effects = Vec::new();
        self.with_shard(|shard, _| act(shard, now, &mut effects));
        let mut events = Events::default();
        for effect in effects {
            match effect {
                Effect::Launch { flight, work } => {
                    self.shard.launched(flight, flight.id);
                    events.launched.push((flight, work));
                }
                Effect::Land(landing) => self.land(landing, &mut events)?,
                Effect::Abort(id) => events.aborted.extend(self.flight_of(id)),
                Effect::Discard(Remains::Key(key)) => events.discarded.push(key),
                Effect::Discard(Remains::Value(_)) | Effect::Report(_) => {}
                Effect::Send { message, .. } => match message {
                    Message::Probe(probe) => self.send(Sent::Probe(*probe)),
                    Message::Circle(wait) => self.send(Sent::Circle(wait)),
                    _ => return Err("a shard sends other shards nothing but probes and circles".into()),
                },
            }
        }
        self.judge_step(step, &events)
    }

    fn land(&mut self, landing: Landing<Tiny>, events: &mut Events) -> Judgement {
        let flight = landing.flight.map(|flown| flown.id);
        if let Some(id) = flight {
            events.landed.push(self.flight_of(id).ok_or("a landing of a flight that never was")?);
        }
        for (seat, outcome, key) in landing {
            let caller = usize::from(seat.number);
            if key.is_some_and(|key| key != self.callers[caller].key) {
                return Err(format!("caller {caller} got somebody else's key back"));
            }
            if self.callers[caller].left {
                self.shard.count_departure(true);
                self.callers[caller].stage = Stage::Done;
                events.missed.push(caller);
            } else {
                self.judge_answer(caller, flight, &outcome)?;
                events.answered.push((caller, outcome));
            }
        }
        Ok(())
    }
}

impl Flight {
    pub(super) fn new(flight: FlightRef, key: u8, started: u32, leader: usize) -> Self {
        let task = Task::Running;
        let (mapped, joinable, expired) = (true, true, false);
        Self { id: flight.id, key, started, mapped, joinable, expired, task, aboard: vec![leader] }
    }
}

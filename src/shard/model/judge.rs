//! What the shard may do in a step.

use super::{
    super::{FlightId, FlightRef, Wait, message::Outcome},
    Caller, Ended, Flight, Judgement, Stage, Task, Tiny, Trial,
};
use crate::{
    error::JoinError,
    policy::{OnAbandon, OnExpiry},
};

/// What the shard was given to deal with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Join(usize),
    Cancel,
    Complete(usize, Ended),
    Probe,
    Circle(Wait),
    Expire,
    Close,
}

/// What it did about it.
#[derive(Default)]
pub(super) struct Events {
    pub(super) launched: Vec<(FlightRef, u8)>,
    pub(super) landed: Vec<usize>,
    pub(super) aborted: Vec<usize>,
    pub(super) discarded: Vec<u8>,
    pub(super) answered: Vec<(usize, Outcome<Tiny>)>,
    /// Would have been answered, had they still been there.
    pub(super) missed: Vec<usize>,
}

impl Trial<'_> {
    /// G5, G9: one answer for each, from its own flight.
    pub(super) fn judge_answer(&mut self, caller: usize, from: Option<FlightId>, outcome: &Outcome<Tiny>) -> Judgement {
        let stage = self.callers[caller].stage;
        holds!(stage != Stage::Done, "G5: caller {caller} is answered twice");
        if let Some(id) = from {
            let flight = self.flight_of(id);
            holds!(
                matches!((stage, flight), (Stage::Aboard(own), Some(of)) if own == of),
                "caller {caller} is answered by flight {id}, and is {stage:?}"
            );
            holds!(outcome.as_ref().map_or(true, |of| *of == id), "G9: flight {id} lands with another's result");
        } else {
            holds!(outcome.is_err(), "a refusal with a result");
        }
        self.callers[caller].stage = Stage::Done;
        Ok(())
    }

    pub(super) fn judge_step(&mut self, step: Step, events: &Events) -> Judgement {
        for &flight in &events.aborted {
            holds!(self.flights[flight].task != Task::Cut, "flight {flight} is aborted twice");
            if self.flights[flight].task == Task::Running {
                self.flights[flight].task = Task::Cut;
            }
        }
        for key in &events.discarded {
            let gone = self.callers.iter().any(|caller| caller.left && caller.key == *key);
            holds!(gone, "a key {key} is discarded, and everyone who brought one is there");
        }
        match step {
            Step::Join(caller) => self.judge_join(caller, events)?,
            Step::Cancel => self.judge_cancel(events)?,
            Step::Complete(flight, ended) => self.judge_complete(flight, ended, events)?,
            Step::Probe => holds!(events.answered.is_empty() && events.landed.is_empty(), "a probe answers somebody"),
            Step::Circle(wait) => self.judge_circle(wait, events)?,
            Step::Expire => self.judge_expire(events)?,
            Step::Close => self.judge_close(events)?,
        }
        holds!(events.launched.is_empty() || matches!(step, Step::Join(_)), "{step:?} launches a flight");
        Ok(())
    }

    fn judge_join(&mut self, caller: usize, events: &Events) -> Judgement {
        if self.callers[caller].left {
            holds!(
                events.discarded == [self.callers[caller].key],
                "a join of a caller that left is more than discarded"
            );
            self.callers[caller].stage = Stage::Done;
            return Ok(());
        }
        self.books.joins += 1;
        holds!(events.landed.is_empty() && events.aborted.is_empty(), "a join ends a flight");
        let found = self.boardable(caller);
        let refusal = self.due_refusal(caller, found);
        let mine: Vec<_> = events.answered.iter().filter(|(answered, _)| *answered == caller).collect();
        if let [(_, Err(error))] = mine[..] {
            self.books.rejections += 1;
            holds!(events.launched.is_empty(), "refused and launched");
            return match refusal {
                Refusal::Due(kind) | Refusal::Possible(kind) if kind == error.kind() => Ok(()),
                due => Err(format!("caller {caller} is refused with {error}, and {due:?} was due")),
            };
        }
        holds!(mine.is_empty(), "a join is answered with a result");
        holds!(!matches!(refusal, Refusal::Due(_)), "G7, G12: caller {caller} is let in, and {refusal:?}");
        match (found, &events.launched[..]) {
            (Some(flight), []) => {
                self.books.coalesced += 1;
                self.flights[flight].aboard.push(caller);
                self.boards(caller, flight);
                Ok(())
            }
            (None, &[(launched, work)]) => {
                holds!(usize::from(work) == caller, "the work of another than the leader is launched");
                self.books.executions += 1;
                self.boards(caller, self.flights.len());
                self.flights.push(Flight::new(launched, self.callers[caller].key, self.now, caller));
                Ok(())
            }
            (Some(flight), _) => Err(format!("G1: flight {flight} could be joined, and another is launched")),
            (None, launched) => Err(format!("no flight could be joined, and {} were launched", launched.len())),
        }
    }

    fn boards(&mut self, caller: usize, flight: usize) {
        self.callers[caller].stage = Stage::Aboard(flight);
        self.callers[caller].boarded = Some(flight);
    }

    /// The flight that a join has to board. One whose time is up is none, though nobody has rung yet (G11).
    fn boardable(&mut self, caller: usize) -> Option<usize> {
        let key = self.callers[caller].key;
        let flight = self.mapped().find(|&flight| self.flights[flight].joinable && self.flights[flight].key == key)?;
        let deadline = self.setting.deadline.map(|deadline| self.flights[flight].started + deadline);
        if self.draining || deadline.is_none_or(|deadline| self.now < deadline) {
            return Some(flight);
        }
        self.flights[flight].joinable = false;
        None
    }

    fn due_refusal(&self, caller: usize, found: Option<usize>) -> Refusal {
        if self.draining {
            return Refusal::Due("closed");
        }
        let Some(flight) = found else {
            let full = self.mapped().count() >= self.setting.max_flights;
            return if full { Refusal::Due("too_many_flights") } else { Refusal::No };
        };
        if self.callers[caller].inside == Some(flight) {
            return Refusal::Due("reentrant");
        }
        // Who left after this join was sent was there when it was.
        let announced = self.flights[flight].aboard.iter().filter(|&&aboard| self.callers[aboard].announced).count();
        if self.live_aboard(flight).count() >= self.setting.max_waiters {
            Refusal::Due("too_many_waiters")
        } else if self.flights[flight].aboard.len() - announced >= self.setting.max_waiters {
            Refusal::Possible("too_many_waiters")
        } else {
            Refusal::No
        }
    }

    fn judge_cancel(&mut self, events: &Events) -> Judgement {
        holds!(events.answered.is_empty(), "a departure answers somebody");
        for &flight in &events.aborted {
            holds!(self.setting.on_abandon == OnAbandon::Abort, "G10: aborted under Finish");
            self.abandoned(flight, events)?;
        }
        Ok(())
    }

    /// G2, G10: work is dropped only when nobody is left, and in the same step its flight can't be joined any more.
    fn abandoned(&mut self, flight: usize, events: &Events) -> Judgement {
        holds!(self.live_aboard(flight).next().is_none(), "G2: flight {flight} is aborted under a live caller");
        holds!(events.landed.contains(&flight), "G10: flight {flight} is aborted and not unmapped");
        self.books.aborts += 1;
        self.unmapped(flight);
        Ok(())
    }

    fn judge_complete(&mut self, flight: usize, ended: Ended, events: &Events) -> Judgement {
        holds!(events.aborted.is_empty(), "a completion aborts");
        if !self.flights[flight].mapped {
            holds!(events.landed.is_empty() && events.answered.is_empty(), "a late result changes something");
            return Ok(());
        }
        holds!(events.landed == [flight], "G9: the completion of flight {flight} lands {:?}", events.landed);
        let as_it_ended = |outcome: &Outcome<Tiny>| match ended {
            Ended::Returned => outcome.is_ok(),
            Ended::Panicked => matches!(outcome, Err(JoinError::Panicked(_))),
            Ended::Dropped => matches!(outcome, Err(JoinError::Aborted)),
        };
        holds!(events.answered.iter().all(|(_, outcome)| as_it_ended(outcome)), "an answer not as the work ended");
        self.books.panics += u64::from(ended == Ended::Panicked);
        self.books.aborts += u64::from(ended == Ended::Dropped);
        self.unmapped(flight);
        Ok(())
    }

    fn judge_circle(&mut self, wait: Wait, events: &Events) -> Judgement {
        holds!(events.landed.iter().all(|flight| events.aborted.contains(flight)), "a circle ends a flight");
        for (caller, outcome) in &events.answered {
            let inside = self.callers[*caller].inside.map(|flight| self.flights[flight].id);
            holds!(inside == Some(wait.waiting.id), "G12: caller {caller} isn't the work that waits");
            holds!(matches!(outcome, Err(JoinError::Reentrant)), "put off with {outcome:?}");
        }
        let is_circle = self.has_waited_for(wait.awaited.id, wait.waiting.id);
        holds!(is_circle || events.answered.is_empty(), "G12: {wait:?} closes no circle");
        let off = (events.answered.len() + events.missed.len()) as u64;
        self.books.coalesced -= off;
        self.books.rejections += off;
        // Whoever was put off is aboard no longer.
        let Some(flight) = self.flight_of(wait.awaited.id) else { return Err("a circle of no flight".into()) };
        let callers = &self.callers;
        self.flights[flight].aboard.retain(|&caller| callers[caller].stage == Stage::Aboard(flight));
        events.aborted.iter().try_for_each(|&aborted| self.abandoned(aborted, events))
    }

    /// Whether work of one flight has waited for the other, directly or by way of others. Waits that were given up count:
    /// a probe may have seen them.
    fn has_waited_for(&self, waiting: FlightId, awaited: FlightId) -> bool {
        let (mut reached, mut seen) = (vec![waiting], Vec::new());
        while let Some(flight) = reached.pop() {
            if flight == awaited {
                return true;
            }
            seen.push(flight);
            let inside = |caller: &&Caller| caller.inside.is_some_and(|inside| self.flights[inside].id == flight);
            let boarded = self.callers.iter().filter(inside).filter_map(|caller| caller.boarded);
            reached.extend(boarded.map(|next| self.flights[next].id).filter(|next| !seen.contains(next)));
        }
        false
    }

    fn judge_expire(&mut self, events: &Events) -> Judgement {
        let flight = self.due().ok_or("G11: a flight expires before its time")?;
        self.expired(flight, events)
    }

    fn expired(&mut self, flight: usize, events: &Events) -> Judgement {
        self.books.timeouts += 1;
        self.flights[flight].expired = true;
        self.flights[flight].joinable = false;
        if self.setting.on_expiry == OnExpiry::Detach {
            holds!(events.landed.is_empty() && events.aborted.is_empty(), "G11: ended instead of detached");
            return Ok(());
        }
        holds!(
            events.landed == [flight] && events.aborted == [flight],
            "G11: flight {flight} wasn't ended in one step"
        );
        let timed_out = |outcome: &Outcome<Tiny>| match outcome {
            Err(JoinError::TimedOut { after }) => Some(after.as_secs()) == self.setting.deadline.map(u64::from),
            _ => false,
        };
        let mut aboard = events.answered.iter().filter(|(caller, _)| self.flights[flight].aboard.contains(caller));
        holds!(aboard.all(|(_, outcome)| timed_out(outcome)), "G11: not told that time was up");
        self.unmapped(flight);
        Ok(())
    }

    fn judge_close(&mut self, events: &Events) -> Judgement {
        holds!(
            events.answered.iter().all(|(_, outcome)| matches!(outcome, Err(JoinError::Closed))),
            "not told of the end"
        );
        let abort = self.draining || self.setting.on_abandon == OnAbandon::Abort;
        let mapped: Vec<_> = self.mapped().collect();
        for flight in mapped {
            holds!(events.aborted.contains(&flight) == abort, "G10: work at the end neither finished nor aborted");
            self.books.aborts += u64::from(abort);
            self.unmapped(flight);
        }
        Ok(())
    }

    pub(super) fn judge_forget(&mut self, key: u8, was_live: bool) -> Judgement {
        let found = self.mapped().find(|&flight| self.flights[flight].joinable && self.flights[flight].key == key);
        holds!(found.is_some() == was_live, "G9: forget says {was_live} of {found:?}");
        if let Some(flight) = found {
            self.flights[flight].joinable = false;
            self.books.forgets += 1;
        }
        Ok(())
    }

    pub(super) fn judge_forget_all(&mut self, forgotten: usize) -> Judgement {
        let joinable: Vec<_> = self.mapped().filter(|&flight| self.flights[flight].joinable).collect();
        holds!(joinable.len() == forgotten, "G9: {forgotten} forgotten of {joinable:?}");
        joinable.into_iter().for_each(|flight| self.flights[flight].joinable = false);
        self.books.forgets += forgotten as u64;
        Ok(())
    }

    fn unmapped(&mut self, flight: usize) {
        self.flights[flight].mapped = false;
        for caller in std::mem::take(&mut self.flights[flight].aboard) {
            // Live ones have their answer: `judge_state` looks for those that don't.
            if self.callers[caller].left {
                self.callers[caller].stage = Stage::Done;
            }
        }
    }
}

/// What is to become of a join, as far as the books can tell.
#[derive(Debug)]
enum Refusal {
    No,
    Due(&'static str),
    /// Somebody has left whom the shard need not have missed yet.
    Possible(&'static str),
}

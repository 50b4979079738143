//! What a shard asks for in one turn.

use super::{
    super::{Effect, Ended, FlightId, Report},
    Judgement, Numbers, Outcome, Trial,
};
use crate::error::JoinError;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// The flights that were due when the turn began, in the order in which they started.
    pub(super) due: Vec<usize>,
    pub(super) overdue: Vec<usize>,
    pub(super) cut_short: Vec<CutShort>,
    pub(super) rejected: Vec<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct CutShort {
    pub(super) flight: usize,
    pub(super) outcome: Outcome,
    pub(super) abort: bool,
}

impl Events {
    /// A turn that looks at no clock and sends nothing.
    pub(super) fn are_none(&self) -> Judgement {
        let none = Self { due: Vec::new(), ..Self::default() };
        holds!(Self { due: self.due.clone(), ..none } == *self, "a turn does more than it was asked: {self:?}");
        Ok(())
    }
}

impl Trial<'_> {
    pub(super) fn flight_of(&self, id: FlightId) -> Option<usize> {
        self.flights.iter().position(|flight| flight.itself.id == id)
    }

    pub(super) fn known(&self, id: FlightId) -> Judgement<usize> {
        self.flight_of(id).ok_or_else(|| format!("there never was a flight {id}"))
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect<Numbers>>) -> Judgement<Events> {
        let due = (0..self.flights.len()).filter(|&flight| self.is_due(flight)).collect();
        let mut events = Events { due, ..Events::default() };
        for effect in effects {
            match effect {
                Effect::End { ended, error, abort } => self.cut_short(ended, &error, abort, &mut events)?,
                Effect::SetAlarm => {
                    holds!(!self.called && self.alarm.is_none(), "an alarm is asked for, and one is set");
                    self.called = true;
                }
                Effect::Report(Report::Overdue { flight, waiters, .. }) => {
                    let flight = self.known(flight)?;
                    let books = &mut self.flights[flight];
                    holds!(waiters == books.waiters.len(), "{waiters} waiters of flight {flight} are reported");
                    books.expired = true;
                    books.joinable = false;
                    self.counts.timeouts += 1;
                    events.overdue.push(flight);
                }
                Effect::Report(Report::Rejected { reason }) => events.rejected.push(reason),
                Effect::Report(report) => return Err(format!("unexpected: {report:?}")),
            }
        }
        Ok(events)
    }

    /// The flight ends before its work does.
    fn cut_short(&mut self, ended: Ended<Numbers>, error: &JoinError, abort: bool, events: &mut Events) -> Judgement {
        let flight = self.known(ended.itself.id)?;
        self.judge_ended(flight, &ended)?;
        let outcome = match error {
            JoinError::TimedOut { after } if Some(*after) == self.shard.limits.max_flight_duration => Outcome::TimedOut,
            JoinError::Closed => Outcome::Closed,
            other => return Err(format!("flight {flight} is cut short with {other}")),
        };
        events.cut_short.push(CutShort { flight, outcome, abort });
        if abort {
            self.abort(flight);
        }
        self.unmapped(flight, outcome, ended.waiters.into_iter().collect());
        Ok(())
    }
}

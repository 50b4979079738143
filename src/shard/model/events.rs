//! What a shard asks for in one turn.

use super::{
    super::{Cut, Effect, FlightId, Report},
    Judgement, Numbers, Outcome, Trial,
};
use crate::{config::OnExpiry, error::JoinError};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// The flights that were due when the turn began, in the order of their numbers.
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

    /// `expected`: flights that wait to begin, and whose classes have changed.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect<Numbers>>, expected: &[usize]) -> Judgement<Events> {
        let due = (0..self.flights.len()).filter(|&flight| self.is_due(flight)).collect();
        let mut events = Events { due, ..Events::default() };
        let mut reclassed = Vec::new();
        for effect in effects {
            match effect {
                Effect::End { cut, error, abort } => self.cut_short(cut, &error, abort, &mut events)?,
                Effect::Run(record) => self.run(usize::try_from(record).expect("as many as flights"))?,
                Effect::Discard(flight) => {
                    let number = self.known(flight.itself.id)?;
                    let (books, own) = (&mut self.flights[number], flight.key.0);
                    let may_go = books.gone || books.overlaps || self.closed;
                    holds!(
                        std::mem::take(&mut books.kept) && may_go,
                        "G1, G10: flight {number} is no longer waited for"
                    );
                    holds!(own == u64::from(books.key) && flight.waiters.len() == 0, "flight {number} has changed");
                }
                Effect::Report(Report::Overlapping { aborted, .. }) => {
                    let aborted = self.known(aborted)?;
                    holds!(self.grace_is_over(aborted), "G10: the grace of flight {aborted} is not over");
                    self.flights[aborted].overlaps = true;
                    self.counts.overlaps += 1;
                }
                Effect::SetAlarm => {
                    self.called = true;
                }
                Effect::Reclass(flight) => {
                    let flight = self.known(flight)?;
                    let waits = self.flights[flight].waits_to_begin();
                    holds!(waits, "flight {flight} has begun, and the queue is told of its class");
                    reclassed.push(flight);
                }
                Effect::Report(Report::Raised { flight, class }) => {
                    let flight = self.known(flight)?;
                    holds!(class == self.flights[flight].class, "flight {flight} is not raised to {class}");
                    self.counts.raised += 1;
                }
                Effect::Report(Report::Overdue { flight, waiters, .. }) => {
                    let flight = self.known(flight)?;
                    let books = &mut self.flights[flight];
                    holds!(waiters == books.waiters.len(), "{waiters} waiters of flight {flight} are reported");
                    books.expired = true;
                    if self.setting.on_expiry == OnExpiry::Detach {
                        books.joinable = false;
                        books.overlaps = true;
                    }
                    self.counts.timeouts += 1;
                    events.overdue.push(flight);
                }
                Effect::Report(Report::Rejected { reason }) => events.rejected.push(reason),
                Effect::Report(report) => return Err(format!("unexpected: {report:?}")),
            }
        }
        holds!(reclassed == expected, "the queue hears of the classes of {reclassed:?}, not of {expected:?}");
        Ok(events)
    }

    /// The flight ends before its work does.
    fn cut_short(&mut self, cut: Cut<Numbers>, error: &JoinError, abort: bool, events: &mut Events) -> Judgement {
        let flight = self.known(cut.itself.id)?;
        self.judge_cut(flight, &cut)?;
        let outcome = match error {
            JoinError::TimedOut { after } if Some(after.as_secs()) == self.flights[flight].limit.map(u64::from) => {
                Outcome::TimedOut
            }
            JoinError::Closed => Outcome::Closed,
            other => return Err(format!("flight {flight} is cut short with {other}")),
        };
        events.cut_short.push(CutShort { flight, outcome, abort });
        if abort {
            self.abort(flight);
        }
        self.unmapped(flight, outcome, cut.waiters.into_iter().collect());
        Ok(())
    }
}

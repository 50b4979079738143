//! What the shard has to do in a step, according to the judge's books.

use std::time::{Duration, Instant};

use super::{
    super::{Cut, Ended, FlightRef, Joined, Left, Renewed, waiters::Waiters},
    Caller, Completion, Judgement, Leaves, Numbers, OnAbandon, OnExpiry, Outcome, Place, Stage, Trial, Work, at,
    events::{CutShort, Events},
    moves::EXTENSION,
};
use crate::error::NotExtended;

/// What becomes of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Leads { after: Option<usize> },
    Follows(usize),
    Refused(&'static str),
}

impl Trial<'_> {
    fn decide(&self, caller: usize) -> Decision {
        if self.draining || self.closed {
            return Decision::Refused("closed");
        }
        let Caller { key, inside, fresh, .. } = self.callers[caller];
        let joinable: Vec<_> =
            self.mapped().filter(|&flight| self.flights[flight].joinable && self.flights[flight].key == key).collect();
        let find = |begun| joinable.iter().copied().find(|&flight| self.flights[flight].has_begun() == begun);
        let (under_way, pending) = (find(true), find(false));
        let first = under_way.or(self.ending(key));
        match if fresh { pending } else { under_way.or(pending) } {
            _ if first.is_some() && first == inside => Decision::Refused("reentrant"),
            Some(flight) if self.flights[flight].waiters.len() >= self.setting.max_waiters => {
                Decision::Refused("too_many_waiters")
            }
            Some(flight) => Decision::Follows(flight),
            None if self.mapped().count() + self.lingering >= self.setting.max_flights => {
                Decision::Refused("too_many_flights")
            }
            None => Decision::Leads { after: first },
        }
    }

    /// The flight of a key whose aborted work the next one has to wait for.
    fn ending(&self, key: u8) -> Option<usize> {
        self.flights.iter().position(|flight| flight.kept && flight.key == key && !flight.overlaps)
    }

    pub(super) fn judge_join(
        &mut self,
        caller: usize,
        joined: &Joined<Numbers>,
        events: &Events,
    ) -> Judgement<Decision> {
        // Any turn with a clock in hand ends what is due, before anything else (G11).
        self.judge_expiry(events)?;
        let stage = self.callers[caller].stage;
        holds!(stage == Stage::Queued, "G14: the join of caller {caller}, which is {stage:?}, is handled");
        let decision = self.decide(caller);
        let (key, waker) = (u64::from(self.callers[caller].key), self.callers[caller].waker(caller));
        let mut reason = None;
        match (decision, joined) {
            (Decision::Refused(due), Joined::Refused { error, key: back, waker: unused }) => {
                let kind = error.kind().as_str();
                holds!(kind == due, "G7, G12: {kind} instead of {due}");
                holds!((back.0, *unused) == (key, waker), "caller {caller} doesn't get back what it came with");
                reason = Some(due);
                self.counts.rejections += 1;
            }
            (Decision::Follows(flight), Joined::Follows { slot, record, key: back, detaches }) => {
                let followed = &self.flights[flight];
                holds!(!followed.published, "G3: caller {caller} joins flight {flight}, which is published");
                holds!(
                    slot.flight == followed.itself,
                    "G1, G9: caller {caller} joins not flight {flight}, but {slot:?}"
                );
                holds!(slot.number == followed.next_number, "{slot:?} was given to another caller before");
                holds!((*record, back.0) == (flight as u64, key), "caller {caller} gets another's record or key");
                let lonely = matches!(followed.work, Work::Parked | Work::Polled { shared: false, aborted: false });
                holds!(*detaches || !lonely, "G2: caller {caller} depends on the polls of another");
                let dying = matches!(followed.work, Work::Aborted | Work::Polled { aborted: true, .. });
                holds!(!dying, "G10: caller {caller} joins flight {flight}, whose work is aborted");
                self.counts.coalesced += 1;
            }
            (Decision::Leads { .. }, Joined::Leads { slot, record }) => {
                holds!(slot.number == 0, "a leader in slot {}", slot.number);
                holds!(self.flight_of(slot.flight.id).is_none(), "{:?} has been before", slot.flight);
                holds!(*record == self.flights.len() as u64, "a flight with another's record");
            }
            (due, joined) => {
                return Err(format!("G1, G7, G9, G11: {due:?} was due, and caller {caller} {}", name(joined)));
            }
        }
        holds!(events.rejected.iter().copied().eq(reason), "refused: {reason:?}, reported: {:?}", events.rejected);
        Ok(decision)
    }

    pub(super) fn judge_expiry(&mut self, events: &Events) -> Judgement {
        let started = |&flight: &usize| self.flights[flight].started;
        let mut expired = events.overdue.clone();
        expired.sort_unstable();
        // Those that were extended come after the others.
        let (extended, others): (Vec<_>, Vec<_>) =
            events.overdue.iter().partition(|&&flight| self.flights[flight].limit != self.setting.deadline);
        let in_order = others.is_sorted_by_key(|&flight| started(flight))
            && extended.is_sorted_by_key(|&&flight| self.flights[flight].due())
            && others.into_iter().chain(extended).eq(&events.overdue);
        holds!(in_order && expired == events.due, "G11: {:?} are due, and {:?} expire", events.due, events.overdue);
        let cut_short = |&flight| CutShort { flight, outcome: Outcome::TimedOut, abort: true };
        let expected: Vec<_> = match self.setting.on_expiry {
            OnExpiry::Fail => events.overdue.iter().map(cut_short).collect(),
            OnExpiry::Detach => Vec::new(),
        };
        holds!(events.cut_short == expected, "G11: {events:?}");
        let late =
            self.mapped().find(|&flight| self.flights[flight].after.is_some_and(|first| self.grace_is_over(first)));
        holds!(late.is_none(), "G10: flight {late:?} waits longer than the grace");
        // The flights that waited are over themselves.
        for flight in 0..self.flights.len() {
            if self.grace_is_over(flight) {
                self.flights[flight].grace = None;
            }
        }
        Ok(())
    }

    /// Work has asked for more time.
    pub(super) fn judge_extension(
        &mut self,
        flight: usize,
        extended: Result<Duration, NotExtended>,
        events: &Events,
    ) -> Judgement {
        self.judge_expiry(events)?;
        let (now, longest) = (self.now, self.setting.longest);
        let books = &mut self.flights[flight];
        let due = match books.limit {
            _ if !books.mapped || books.expired => Err(NotExtended::Over),
            None => Ok(Duration::MAX),
            Some(limit) => {
                let limit = limit.max(longest.min(now - books.started + EXTENSION));
                books.limit = Some(limit);
                Ok(Duration::from_secs((books.started + limit - now).into()))
            }
        };
        holds!(extended == due, "G11: work gets {extended:?}, and not {due:?}");
        Ok(())
    }

    /// What comes out of the map is what the books have, so each caller is woken by its last waker.
    fn judge_ended(&self, flight: usize, ended: &Ended<Numbers>) -> Judgement {
        holds!(ended.key.0 == u64::from(self.flights[flight].key), "flight {flight} ends with another's key");
        self.judge_end(flight, ended.itself, ended.started, ended.record, &ended.waiters)
    }

    /// The same, and whether the shard keeps the flight for the next one of its key: if that may have to wait.
    pub(super) fn judge_cut(&mut self, flight: usize, cut: &Cut<Numbers>) -> Judgement {
        self.judge_end(flight, cut.itself, cut.started, cut.record, &cut.waiters)?;
        let books = &self.flights[flight];
        let may_be_waited_for = books.has_begun() && (books.joinable || self.successor(flight).is_some());
        let keeps = may_be_waited_for && self.setting.grace > 0 && !self.closed;
        let key = cut.key.map(|key| key.0);
        holds!(key == (!keeps).then_some(books.key.into()), "G1, G10: flight {flight} is kept: {keeps}, {key:?}");
        self.flights[flight].kept = keeps;
        self.flights[flight].grace = (keeps && self.successor(flight).is_some()).then_some(self.now);
        Ok(())
    }

    fn judge_end(
        &self,
        flight: usize,
        itself: FlightRef,
        started: Instant,
        record: u64,
        waiters: &Waiters<u64>,
    ) -> Judgement {
        let books = &self.flights[flight];
        holds!(books.mapped, "flight {flight} ends twice");
        holds!(itself == books.itself && started == at(books.started), "G9: another flight than {flight} ends");
        holds!(record == flight as u64, "flight {flight} ends with another's record");
        let expected = books.waiters.iter().map(|waiter| (waiter.number, waiter.waker));
        holds!(waiters.iter().map(|(n, w)| (n, *w)).eq(expected), "G5: not all callers of flight {flight} are woken");
        Ok(())
    }

    pub(super) fn judge_completion(
        &mut self,
        flight: usize,
        completion: Completion,
        ended: Option<&Ended<Numbers>>,
    ) -> Judgement {
        let Some(ended) = ended else {
            holds!(!self.flights[flight].mapped, "G5: flight {flight} has ended and is not unmapped");
            return Ok(());
        };
        self.judge_ended(flight, ended)?;
        match completion {
            Completion::Value => {}
            Completion::Error => self.counts.errors += 1,
            Completion::Panicked => self.counts.panics += 1,
            Completion::Aborted | Completion::Uncalled => self.counts.aborts += 1,
            Completion::Shed => {
                self.counts.shed += 1;
                self.counts.rejections += 1;
            }
        }
        Ok(())
    }

    pub(super) fn judge_departure(&mut self, place: Place, left: &Left<Numbers>, why: Leaves) -> Judgement {
        let aborts = self.setting.on_abandon == OnAbandon::Abort;
        let last = self.flights[place.flight].waiters.len() == 1;
        let waiter = self.waiter(place).copied();
        match (waiter, left) {
            (None, Left::NotFound) => return Ok(()),
            (Some(waiter), Left::Departed { waker, abandoned }) => {
                holds!(waiter.waker == *waker, "G2: {place:?} is another's slot");
                let refused = why == Leaves::Rejected && !self.flights[place.flight].has_begun();
                // What has not been allowed to begin never is.
                let never_begins = self.setting.admits && self.flights[place.flight].waits_to_begin();
                let due = last && (aborts || refused || never_begins);
                holds!(abandoned.is_some() == due, "G2, G10: abandoned with callers, or not without");
            }
            (None, Left::Departed { .. }) => return Err(format!("G6: {place:?} is freed twice")),
            (Some(_), Left::NotFound) => return Err(format!("G2, G6: {place:?} can't be freed")),
        }
        // A leader was no follower, and its work was run.
        if why == Leaves::Rejected && place.number != 0 {
            self.counts.coalesced -= 1;
            self.counts.rejections += 1;
        } else {
            self.counts.departures += 1;
        }
        Ok(())
    }

    pub(super) fn judge_renewal<'a>(
        &mut self,
        place: Place,
        waker: u64,
        renewed: &'a Renewed<Numbers>,
    ) -> Judgement<&'a Renewed<Numbers>> {
        match (self.waiter(place), renewed) {
            (None, Renewed::Over(unused)) => holds!(*unused == waker, "{place:?} gets another waker back"),
            (Some(waiter), Renewed::Replaced(older)) => {
                holds!(waiter.waker == *older, "G5: {place:?} exchanges another's waker");
                waiter.waker = waker;
            }
            (waiter, _) => return Err(format!("G5: the renewal of {waiter:?} comes to something else")),
        }
        Ok(renewed)
    }
}

fn name(joined: &Joined<Numbers>) -> String {
    match joined {
        Joined::Leads { slot, .. } => format!("leads {:?}", slot.flight),
        Joined::Follows { slot, .. } => format!("follows with {slot:?}"),
        Joined::Refused { error, .. } => format!("is refused with {error}"),
    }
}

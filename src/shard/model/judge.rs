//! What the shard has to do in a step, according to the judge's books.

use super::{
    super::{Ended, Joined, Left, Renewed},
    Caller, Completion, Judgement, Leaves, Numbers, OnAbandon, OnExpiry, Outcome, Place, Stage, Trial, Work, at,
    events::{CutShort, Events},
};

/// What becomes of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Leads,
    Follows(usize),
    Refused(&'static str),
}

impl Trial<'_> {
    fn decide(&self, caller: usize) -> Decision {
        if self.draining || self.closed {
            return Decision::Refused("closed");
        }
        let Caller { key, inside, .. } = self.callers[caller];
        let found = self.mapped().find(|&flight| self.flights[flight].joinable && self.flights[flight].key == key);
        match found {
            Some(flight) if inside == Some(flight) => Decision::Refused("reentrant"),
            Some(flight) if self.flights[flight].waiters.len() >= self.setting.max_waiters => {
                Decision::Refused("too_many_waiters")
            }
            Some(flight) => Decision::Follows(flight),
            None if self.mapped().count() + self.lingering >= self.setting.max_flights => {
                Decision::Refused("too_many_flights")
            }
            None => Decision::Leads,
        }
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
        self.counts.joins += 1;
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
            (Decision::Leads, Joined::Leads { slot, record }) => {
                holds!(slot.number == 0, "a leader in slot {}", slot.number);
                holds!(self.flight_of(slot.flight.id).is_none(), "{:?} has been before", slot.flight);
                holds!(*record == self.flights.len() as u64, "a flight with another's record");
                self.counts.executions += 1;
            }
            (due, joined) => {
                return Err(format!("G1, G7, G9, G11: {due:?} was due, and caller {caller} {}", name(joined)));
            }
        }
        holds!(events.rejected.iter().copied().eq(reason), "refused: {reason:?}, reported: {:?}", events.rejected);
        Ok(decision)
    }

    pub(super) fn judge_expiry(&self, events: &Events) -> Judgement {
        holds!(events.overdue == events.due, "G11: {:?} are due, and {:?} expire", events.due, events.overdue);
        let cut_short = |&flight| CutShort { flight, outcome: Outcome::TimedOut, abort: true };
        let expected: Vec<_> = match self.setting.on_expiry {
            OnExpiry::Fail => events.overdue.iter().map(cut_short).collect(),
            OnExpiry::Detach => Vec::new(),
        };
        holds!(events.cut_short == expected, "G11: {events:?}");
        Ok(())
    }

    /// What comes out of the map is what the books have, so each caller is woken by its last waker.
    pub(super) fn judge_ended(&self, flight: usize, ended: &Ended<Numbers>) -> Judgement {
        let books = &self.flights[flight];
        holds!(books.mapped, "flight {flight} ends twice");
        holds!(
            ended.itself.id == books.itself.id && ended.started == at(books.started),
            "G9: another flight than {flight} ends"
        );
        let own = (u64::from(books.key), flight as u64);
        holds!((ended.key.0, ended.record) == own, "flight {flight} ends with another's key or record");
        let expected = books.waiters.iter().map(|waiter| (waiter.number, waiter.waker));
        holds!(
            ended.waiters.iter().map(|(n, w)| (n, *w)).eq(expected),
            "G5: not all callers of flight {flight} are woken"
        );
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
            Completion::Aborted => self.counts.aborts += 1,
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
                holds!(abandoned.is_some() == (aborts && last), "G2, G10: abandoned with callers, or not without");
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

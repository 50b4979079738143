//! What the shard must hold after every step, and what when it has come to rest.

use std::time::Instant;

use super::{
    Caller, Counts, Flight, Judgement, OnAbandon, Place, Sent, Stage, Trial, Waiter, Work, at, events::Events,
};

impl Trial<'_> {
    /// What must hold after every step.
    pub(super) fn judge_holdings(&self) -> Judgement {
        let mapped = self.mapped().count();
        holds!(self.shard.flights.len() == mapped, "{} flights are mapped, not {mapped}", self.shard.flights.len());
        let (left, expected) = (self.shard.limits.permits.left(), self.setting.max_flights - mapped - self.lingering);
        holds!(left == expected, "G7: {left} flights may start, not {expected}");
        holds!(self.shard.lingering == self.lingering, "{} executions linger", self.shard.lingering);
        let mut waiters = 0;
        for flight in self.mapped() {
            waiters += self.judge_flight(flight)?;
        }
        holds!(self.shard.waiters == waiters, "G7: the gauge has {} waiters of {waiters}", self.shard.waiters);
        for key in 0..self.setting.keys {
            self.judge_executions(key)?;
        }
        for (number, caller) in self.callers.iter().enumerate() {
            self.judge_caller(number, caller)?;
        }
        self.judge_alarm()?;
        self.judge_counters()?;
        if self.is_at_rest() { self.judge_rest() } else { Ok(()) }
    }

    /// G1, G10, G11: one execution of a key at a time, but for those that may overlap.
    fn judge_executions(&self, key: u8) -> Judgement {
        let of_key = || self.flights.iter().filter(|flight| flight.key == key);
        // Without a grace, the next doesn't wait for what was cut short.
        let alone = self.setting.grace > 0;
        let runs =
            |flight: &&Flight| flight.has_begun() && !flight.gone && !flight.overlaps && (alone || flight.mapped);
        let running = of_key().filter(runs).count();
        holds!(running <= 1, "G1: {running} executions of key {key} at once");
        let joinable = self.mapped().filter(|&flight| self.flights[flight].joinable && self.flights[flight].key == key);
        let (begun, pending): (Vec<_>, Vec<_>) = joinable.partition(|&flight| self.flights[flight].has_begun());
        holds!(begun.len() <= 1 && pending.len() <= 1, "G1: {begun:?} and {pending:?} of key {key} can be joined");
        Ok(())
    }

    /// A flight in the map against the one in the books. Returns how many wait for it.
    fn judge_flight(&self, number: usize) -> Judgement<usize> {
        let books = &self.flights[number];
        let Some(flight) = self.shard.flights.get(books.itself) else {
            return Err(format!("flight {number} is not in the map"));
        };
        let same = flight.key.0 == u64::from(books.key) && flight.started == at(books.started);
        holds!(same && flight.record == number as u64, "flight {number} has changed");
        if let Some(first) = books.after.map(|first| &self.flights[first]) {
            let is_waited_for = (first.mapped && !first.expired) || first.kept;
            holds!(is_waited_for && !first.gone, "G5: flight {number} waits for nothing");
        }
        let joinable = self.shard.flights.is_joinable(books.itself);
        holds!(joinable == books.joinable, "G9, G11: flight {number} can be joined: {joinable}");
        holds!(!books.published, "G3: flight {number} is published, and a join finds it");
        let expected = books.waiters.iter().map(|waiter| (waiter.number, waiter.waker));
        let slots: Vec<_> = flight.waiters.iter().map(|(number, waker)| (number, *waker)).collect();
        holds!(
            slots.iter().copied().eq(expected),
            "G6, G7: {slots:?} wait for flight {number}, not {:?}",
            books.waiters
        );
        holds!(flight.waiters.len() == slots.len(), "G7: {} instead of {slots:?}", flight.waiters.len());
        let gone = books.waiters.iter().find(|waiter| !self.holds_its_slot(number, waiter));
        holds!(gone.is_none(), "G6, G7: {gone:?} has left flight {number}, and its slot is not given up");
        let (waiters, limit) = (slots.len(), self.setting.max_waiters);
        holds!(waiters <= limit, "G7: {waiters} wait for flight {number}");
        let never_begins = self.setting.admits && books.waits_to_begin();
        let abandoned = waiters == 0 && (self.setting.on_abandon == OnAbandon::Abort || never_begins);
        holds!(!abandoned, "G10: no caller is left of flight {number}, and it goes on");
        let class = books.waiters.iter().map(|waiter| self.callers[waiter.caller].class).max();
        let is_right = !books.waits_to_begin() || class.is_none_or(|class| class == books.class);
        holds!(is_right, "flight {number} is {:?}, not {class:?}", books.class);
        let lonely = matches!(books.work, Work::Parked);
        holds!(!lonely || books.waiters.iter().all(|waiter| waiter.caller == books.leader), "G2: {books:?}");
        Ok(waiters)
    }

    /// Its caller is there, or the shard is about to hear that it has left.
    fn holds_its_slot(&self, flight: usize, waiter: &Waiter) -> bool {
        let place = Place { flight, number: waiter.number };
        let leaves = |sent: &Sent| matches!(*sent, Sent::Cancel(left, _) if left == place);
        self.callers[waiter.caller].place() == Some(place) || self.queue.iter().any(leaves)
    }

    /// G5: each caller has a slot, or an answer that it knows of.
    fn judge_caller(&self, number: usize, caller: &Caller) -> Judgement {
        let Some(place) = caller.place() else { return Ok(()) };
        let knows_its_slot = matches!(caller.stage, Stage::Waiting(_));
        holds!(!knows_its_slot || !self.waits_in_a_cycle(number), "G12: caller {number} waits for itself");
        let flight = &self.flights[place.flight];
        if flight.mapped {
            let has_slot = flight.waiters.iter().any(|waiter| (waiter.caller, waiter.number) == (number, place.number));
            holds!(has_slot, "G5: caller {number} has lost {place:?}");
            return Ok(());
        }
        holds!(flight.outcome.is_some(), "G5: caller {number}'s flight is gone, and it has no answer");
        let renews = self.queue.iter().any(|sent| matches!(*sent, Sent::Renew(renewed, _) if renewed == place));
        let knows = !flight.published || caller.woken || renews;
        holds!(knows, "G5: caller {number} is not woken for its answer");
        Ok(())
    }

    /// G5: a caller reads what was published for its own flight.
    pub(super) fn judge_answer(&self, caller: usize, place: Place) -> Judgement {
        let joined = self.callers[caller].joined;
        holds!(
            joined == Some(place.flight),
            "G5: caller {caller} reads the outcome of {place:?}, and joined {joined:?}"
        );
        let outcome = self.flights[place.flight].outcome;
        let answered = outcome.is_some_and(|outcome| outcome != super::Outcome::Abandoned);
        holds!(answered, "G2: caller {caller} gets {outcome:?}");
        Ok(())
    }

    /// Whatever has its deadline before it, the actor looks by then.
    fn judge_alarm(&self) -> Judgement {
        for number in self.mapped() {
            let grace = self.flights[number].after.and_then(|first| self.flights[first].grace);
            let over = grace.map(|began| at(began + self.setting.grace));
            let is_set = |over| self.called || self.alarm.is_some_and(|alarm| alarm <= over);
            holds!(over.is_none_or(is_set), "G10: no alarm is set for flight {number}, which is to begin at {over:?}");
        }
        let waits = |flight: &usize| self.flights[*flight].has_begun() && !self.flights[*flight].expired;
        for number in self.mapped().filter(waits) {
            let is_set = |due| self.called || self.alarm.is_some_and(|alarm| alarm <= at(due));
            let due = self.flights[number].due();
            holds!(self.closed || due.is_none_or(is_set), "G11: no alarm is set for flight {number}");
        }
        Ok(())
    }

    /// What was counted against what happened (G14).
    fn judge_counters(&self) -> Judgement {
        let (expected, counters) = (self.counts, &self.shard.counters);
        let counted = Counts {
            coalesced: counters.coalesced,
            errors: counters.errors,
            rejections: counters.rejections,
            panics: counters.panics,
            timeouts: counters.timeouts,
            departures: counters.departures,
            aborts: counters.aborts,
            forgets: counters.forgets,
            overlaps: counters.overlaps,
            shed: counters.shed,
            raised: counters.raised,
        };
        holds!(counted == expected, "G14: {counted:?} counted, {expected:?} happened");
        holds!(self.shard.led == self.flights.len() as u64, "G14: {} flights were started", self.shard.led);
        let uncalled = self.flights.iter().filter(|flight| flight.gone && !flight.called).count();
        holds!(self.shard.uncalled == uncalled as u64, "G14: {} works were dropped uncalled", self.shard.uncalled);
        Ok(())
    }

    /// Nothing is on its way, and no caller is about to be polled.
    fn is_at_rest(&self) -> bool {
        let published = |flight: &Flight| flight.outcome.is_none() || flight.published;
        let rests = |caller: &Caller| !caller.woken && !matches!(caller.stage, Stage::Queued | Stage::Withdrawn);
        self.queue.is_empty()
            && self.flights.iter().all(published)
            && self.callers.iter().all(|caller| caller.stage == Stage::Done || rests(caller))
    }

    /// G5, G6, G12: some work can go on, or there is nothing left to do and nothing left.
    fn judge_rest(&self) -> Judgement {
        let now = at(self.now);
        let stats = self.clone().shard.stats(now);
        let begun = self.mapped().filter(|&flight| self.flights[flight].has_begun());
        let oldest = begun.map(|flight| now.saturating_duration_since(at(self.flights[flight].started))).max();
        holds!(stats.oldest_flight == oldest, "the oldest flight is {oldest:?} old, not {:?}", stats.oldest_flight);
        let goes_on: Vec<_> =
            (0..self.flights.len()).filter(|&flight| self.flights[flight].work != Work::Over).collect();
        if goes_on.is_empty() {
            let left = self.shard.flights.len() + self.shard.waiters + self.lingering;
            holds!(left == 0, "G6, G7: something is left");
            let waiting = self.callers.iter().position(|caller| caller.stage != Stage::Done);
            holds!(waiting.is_none(), "G5: caller {waiting:?} waits for ever");
            return Ok(());
        }
        let stuck = |&flight: &usize| match self.flights[flight].work {
            Work::Aborted => false,
            Work::Pending => true,
            _ => self.nested_in(flight).next().is_some(),
        };
        holds!(!goes_on.iter().all(stuck), "G12: all work waits for other work");
        Ok(())
    }

    pub(super) fn judge_forget(&mut self, key: u8, was_live: bool) -> Judgement {
        let is_found = |flight: &usize| self.flights[*flight].joinable && self.flights[*flight].key == key;
        let found: Vec<_> = self.mapped().filter(is_found).collect();
        holds!(found.is_empty() != was_live, "G9: forget says {was_live} of {found:?}");
        self.forgotten(&found);
        Ok(())
    }

    fn forgotten(&mut self, flights: &[usize]) {
        self.counts.forgets += flights.len() as u64;
        for &flight in flights {
            self.flights[flight].joinable = false;
            self.flights[flight].overlaps = true;
            // What the next flight would have waited for.
            if let Some(first) = self.flights[flight].after {
                self.flights[first].overlaps = true;
            }
        }
    }

    pub(super) fn judge_forget_all(&mut self, forgotten: usize) -> Judgement {
        let joinable: Vec<_> = self.mapped().filter(|&flight| self.flights[flight].joinable).collect();
        holds!(joinable.len() == forgotten, "G9: {forgotten} forgotten of {joinable:?}");
        self.forgotten(&joinable);
        Ok(())
    }

    /// The actor looks again at the next deadline, not later; and before it only at a moment that was asked for earlier.
    pub(super) fn judge_look(&mut self, events: &Events, asked_for: Option<Instant>) -> Judgement {
        self.judge_expiry(events)?;
        let unexpired =
            self.mapped().map(|flight| &self.flights[flight]).filter(|flight| flight.has_begun() && !flight.expired);
        let deadline = unexpired.filter_map(Flight::due).min().map(at);
        let graces = self.flights.iter().filter(|flight| flight.kept).filter_map(|flight| flight.grace);
        let grace = graces.map(|began| at(began + self.setting.grace)).min();
        let asked_for = asked_for.filter(|&moment| moment > at(self.now));
        let next = [deadline, grace, asked_for].into_iter().flatten().min();
        holds!(self.alarm == next, "G11: the actor looks again at {:?}, not at {next:?}", self.alarm);
        Ok(())
    }

    pub(super) fn judge_close(&mut self, events: &Events, abort: bool) -> Judgement {
        let aborts = |flight: usize| abort || (!self.flights[flight].called && self.flights[flight].work != Work::Over);
        let closed =
            |cut: &super::events::CutShort| cut.outcome == super::Outcome::Closed && cut.abort == aborts(cut.flight);
        holds!(events.cut_short.iter().all(closed), "G10: work at the end neither finished nor aborted");
        holds!(self.mapped().next().is_none(), "G5: a flight outlives its shard");
        self.counts.aborts += events.cut_short.iter().filter(|cut| cut.abort).count() as u64;
        Ok(())
    }
}

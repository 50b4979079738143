//! What work does, in a task or in its leader's hands.

use super::{Completion, Judgement, Leaves, Outcome, Sent, Stage, Trial, Work, possible::Way};

impl Trial<'_> {
    /// A flight's work ends. What it still waits for, it drops.
    pub(super) fn end(&mut self, flight: usize, completion: Completion, way: Way) -> Judgement {
        let nested: Vec<_> = self.nested_in(flight).collect();
        for caller in nested {
            self.leave(caller, way)?;
        }
        let in_place = matches!(self.flights[flight].work, Work::Polled { .. });
        self.flights[flight].work = Work::Over;
        match way {
            Way::Queued => {
                self.queue.push_back(Sent::Complete(flight, completion));
                Ok(())
            }
            Way::Direct if in_place => self.complete_in_place(flight, completion),
            Way::Direct => self.complete(flight, completion),
        }
    }

    /// A completion reaches the shard.
    pub(super) fn complete(&mut self, flight: usize, completion: Completion) -> Judgement {
        let wakers = self.completed(flight, completion)?;
        if let Some(wakers) = wakers {
            self.unmapped(flight, Outcome::Ended(completion), wakers);
        }
        Ok(())
    }

    /// The leader that ran the work has its output at once; the others' is published.
    fn complete_in_place(&mut self, flight: usize, completion: Completion) -> Judgement {
        let leader = self.flights[flight].leader;
        let waits = self.flights[flight].waiters.iter().any(|waiter| waiter.caller == leader);
        let Some(mut wakers) = self.completed(flight, completion)? else { return Ok(()) };
        holds!(waits, "a leader polls the work of a flight that it has left");
        wakers.retain(|&waker| waker != self.callers[leader].waker(leader));
        self.callers[leader].stage = Stage::Done;
        self.unmapped(flight, Outcome::Ended(completion), wakers);
        Ok(())
    }

    /// The wakers of the flight's callers, if it was not over before.
    fn completed(&mut self, flight: usize, completion: Completion) -> Judgement<Option<Vec<u64>>> {
        let itself = self.flights[flight].itself;
        let called = self.flights[flight].called || completion == Completion::Shed;
        let completion = if called { completion } else { Completion::Uncalled };
        self.flights[flight].gone = true;
        let (ended, events) = self.turn(|shard, now, effects| shard.complete(itself, completion, || now, effects))?;
        events.are_none()?;
        self.judge_completion(flight, completion, ended.as_ref())?;
        self.lingering -= usize::from(ended.is_none());
        Ok(ended.map(|ended| ended.waiters.into_iter().collect()))
    }

    /// The step that decides that work may begin, which no shard hears of.
    pub(super) fn grant(&mut self, flight: usize) {
        self.flights[flight].work = Work::Running;
        self.flights[flight].called = true;
    }

    pub(super) fn resume(&mut self, flight: usize) {
        self.flights[flight].work = Work::Polled { shared: false, aborted: false };
    }

    pub(super) fn park(&mut self, flight: usize) {
        let Work::Polled { shared, aborted } = self.flights[flight].work else { return };
        match (aborted, shared) {
            (true, _) => self.drop_work(flight),
            (false, true) => self.flights[flight].work = Work::Running,
            (false, false) => self.flights[flight].work = Work::Parked,
        }
    }

    /// A second caller has come, or the leader has left: work that the leader polls becomes a task.
    pub(super) fn share(&mut self, flight: usize) {
        match &mut self.flights[flight].work {
            work @ Work::Parked => *work = Work::Running,
            Work::Polled { shared, .. } => *shared = true,
            Work::Pending | Work::Queued | Work::Running | Work::Aborted | Work::Over => {}
        }
    }

    /// The flight is over, and its work is to be dropped.
    pub(super) fn abort(&mut self, flight: usize) {
        match &mut self.flights[flight].work {
            Work::Polled { aborted, .. } => *aborted = true,
            work @ (Work::Parked | Work::Pending | Work::Queued | Work::Running) => *work = Work::Aborted,
            Work::Aborted | Work::Over => {}
        }
    }

    /// The shard says that a flight's work is to run as a task.
    pub(super) fn run(&mut self, flight: usize) -> Judgement {
        let books = &mut self.flights[flight];
        holds!(books.mapped, "G10: the work of flight {flight} is to begin, which is over");
        if books.after.take().is_some() {
            books.started = self.now;
            books.work = if self.setting.admits { Work::Queued } else { Work::Running };
            books.called = !self.setting.admits;
        }
        self.share(flight);
        Ok(())
    }

    /// Work that was its leader's to poll is dropped by its leader. The shard hears by the queue that it has ended, and of what it waited
    /// for.
    pub(super) fn drop_work(&mut self, flight: usize) {
        self.flights[flight].work = Work::Over;
        self.queue.push_back(Sent::Complete(flight, Completion::Aborted));
        let nested: Vec<_> = self.nested_in(flight).collect();
        for caller in nested {
            let place = self.callers[caller].place();
            self.callers[caller].stage = if place.is_some() { Stage::Done } else { Stage::Withdrawn };
            self.queue.extend(place.map(|place| Sent::Cancel(place, Leaves::ByItself)));
            if let Some(place) = place
                && self.flights[place.flight].leader == caller
            {
                self.share(place.flight);
            }
        }
    }
}

//! What callers do: join, be polled, leave.

use super::{
    super::{Join, Joined, Leaves, Left, Renewed},
    Flight, Judgement, Place, Sent, Stage, Trial, Waiter, Work,
    judge::Decision,
    possible::Way,
};
use crate::shard::fake::{Name, join_of};

impl Trial<'_> {
    /// A join reaches the shard. A queued one has its answer sent back.
    pub(super) fn join(&mut self, caller: usize, way: Way) -> Judgement {
        let (key, waker) = (self.callers[caller].key, self.callers[caller].waker(caller));
        let in_place = self.setting.in_place && way == Way::Direct;
        let origin = self.callers[caller].inside.map(|flight| self.flights[flight].itself.id);
        let fresh = self.callers[caller].fresh;
        let class = self.callers[caller].class;
        let join =
            Join { origin, in_place, fresh, class, ..join_of(self.setting.hash_of(key), Name(key.into()), waker) };
        let (joined, events) = self.turn(|shard, now, effects| shard.join(join, now, effects))?;
        let stage = |place| if way == Way::Direct { Stage::Waiting(place) } else { Stage::Replied(place) };
        let waiter = |number| Waiter { caller, number, waker };
        match (self.judge_join(caller, &joined, &events)?, joined) {
            (Decision::Leads { after }, Joined::Leads { slot, .. }) => {
                let place = Place { flight: self.flights.len(), number: 0 };
                self.callers[caller].stage = stage(place);
                self.callers[caller].joined = Some(place.flight);
                if let Some(first) = after.map(|first| &mut self.flights[first])
                    && first.kept
                {
                    first.grace.get_or_insert(self.now);
                }
                let work = match after {
                    Some(_) => Work::Pending,
                    None if in_place => Work::Polled { shared: false, aborted: false },
                    None if self.setting.admits => Work::Queued,
                    None => Work::Running,
                };
                self.flights.push(Flight {
                    itself: slot.flight,
                    key,
                    started: self.now,
                    limit: self.setting.deadline,
                    after,
                    predecessor: after.filter(|&first| self.flights[first].mapped),
                    mapped: true,
                    joinable: true,
                    expired: false,
                    kept: false,
                    grace: None,
                    overlaps: false,
                    gone: false,
                    leader: caller,
                    work,
                    called: matches!(work, Work::Polled { .. } | Work::Running),
                    class,
                    waiters: vec![waiter(0)],
                    next_number: 1,
                    outcome: None,
                    published: false,
                    to_wake: Vec::new(),
                });
            }
            (Decision::Follows(flight), Joined::Follows { slot, detaches, .. }) => {
                let place = Place { flight, number: slot.number };
                self.callers[caller].stage = stage(place);
                self.callers[caller].joined = Some(flight);
                self.flights[flight].waiters.push(waiter(slot.number));
                self.flights[flight].next_number += 1;
                if detaches {
                    self.share(flight);
                }
            }
            _ => self.callers[caller].stage = Stage::Done,
        }
        // It has to tell the wait graph, so it is woken for its slot.
        let nested = &mut self.callers[caller];
        nested.woken |= nested.inside.is_some() && matches!(nested.stage, Stage::Replied(_));
        self.tell_graph(caller)
    }

    /// What a nested caller does when it knows its slot: it leaves if its wait closes a cycle.
    fn tell_graph(&mut self, caller: usize) -> Judgement {
        let Stage::Waiting(place) = self.callers[caller].stage else { return Ok(()) };
        if !self.waits_in_a_cycle(caller) {
            return Ok(());
        }
        self.callers[caller].stage = Stage::Done;
        if self.is_free() {
            return self.free(place, Leaves::Rejected).map(drop);
        }
        self.queue.push_back(Sent::Cancel(place, Leaves::Rejected));
        Ok(())
    }

    pub(super) fn poll(&mut self, caller: usize, way: Way) -> Judgement {
        let Some(place) = self.callers[caller].place() else { return Ok(()) };
        if self.flights[place.flight].published {
            return self.read(caller, place);
        }
        if matches!(self.callers[caller].stage, Stage::Replied(_)) {
            // Its waker is with the flight since the join was handled.
            self.callers[caller].stage = Stage::Waiting(place);
            self.callers[caller].woken = false;
            return self.tell_graph(caller);
        }
        let woken = self.callers[caller].woken;
        if !woken || way == Way::Queued {
            self.renewals -= 1;
            self.callers[caller].generation += 1;
            self.callers[caller].woken = false;
        }
        let waker = self.callers[caller].waker(caller);
        match way {
            Way::Queued => {
                self.queue.push_back(Sent::Renew(place, waker));
                Ok(())
            }
            Way::Direct => self.renew(caller, place, waker, woken),
        }
    }

    /// A caller finds its flight's outcome published.
    fn read(&mut self, caller: usize, place: Place) -> Judgement {
        self.callers[caller].stage = Stage::Done;
        if self.flights[place.flight].work == Work::Parked {
            self.drop_work(place.flight);
        }
        self.judge_answer(caller, place)
    }

    fn renew(&mut self, caller: usize, place: Place, waker: u64, woken: bool) -> Judgement {
        let slot = self.slot(place);
        let (renewed, events) = self.turn(|shard, _, _| shard.renew(slot, waker))?;
        events.are_none()?;
        match self.judge_renewal(place, waker, &renewed)? {
            Renewed::Replaced(_) => {
                holds!(!woken, "caller {caller} was woken for nothing");
                Ok(())
            }
            // The outcome is about to be published: the caller is polled again.
            Renewed::Over(_) => {
                self.callers[caller].woken = true;
                Ok(())
            }
        }
    }

    pub(super) fn renew_queued(&mut self, place: Place, waker: u64) -> Judgement {
        let slot = self.slot(place);
        let (renewed, events) = self.turn(|shard, _, _| shard.renew(slot, waker))?;
        events.are_none()?;
        match self.judge_renewal(place, waker, &renewed)? {
            Renewed::Replaced(_) => {}
            Renewed::Over(waker) => self.wake(*waker),
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, caller: usize, way: Way) -> Judgement {
        let stage = std::mem::replace(&mut self.callers[caller].stage, Stage::Done);
        let place = match stage {
            Stage::Queued => {
                self.callers[caller].stage = Stage::Withdrawn;
                return Ok(());
            }
            Stage::Withdrawn | Stage::Done => return Ok(()),
            Stage::Replied(place) | Stage::Waiting(place) => place,
        };
        let leads = self.flights[place.flight].leader == caller;
        match way {
            Way::Queued => {
                self.queue.push_back(Sent::Cancel(place, Leaves::ByItself));
                if leads {
                    self.share(place.flight);
                }
            }
            Way::Direct => {
                let over = self.free(place, Leaves::ByItself)?;
                if leads && over && self.flights[place.flight].work == Work::Parked {
                    self.drop_work(place.flight);
                } else if leads {
                    self.share(place.flight);
                }
            }
        }
        Ok(())
    }

    /// A departure reaches the shard. True if the flight is over.
    pub(super) fn free(&mut self, place: Place, why: Leaves) -> Judgement<bool> {
        let slot = self.slot(place);
        let (left, events) = self.turn(|shard, now, effects| shard.leave(slot, why, || now, effects))?;
        events.are_none()?;
        self.judge_departure(place, &left, why)?;
        let Left::Departed { abandoned, .. } = left else { return Ok(true) };
        self.flights[place.flight].waiters.retain(|waiter| waiter.number != place.number);
        let Some(cut) = abandoned else { return Ok(false) };
        self.abort(place.flight);
        self.judge_cut(place.flight, &cut)?;
        self.counts.aborts += 1;
        self.unmapped(place.flight, super::Outcome::Abandoned, Vec::new());
        Ok(true)
    }
}

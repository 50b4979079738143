//! What happens then: the part of the engine and of the callers' futures, in as few words as a shard needs to be judged.

use std::time::Duration;

use super::{
    super::{
        Effect, Shard,
        fake::{CLASSES, NEXT_RECORD, WAITING},
    },
    Caller, Judgement, Numbers, Outcome, Place, Sent, Stage, Trial, at,
    events::Events,
    possible::{Move, Way},
};
use crate::{config::OnAbandon, shard::fake::Name};

/// How many ticks work asks for. With one, it would have no more than it has.
pub(super) const EXTENSION: u32 = 2;

impl Trial<'_> {
    /// Makes a move, and has it judged.
    pub(super) fn make(&mut self, chosen: Move) -> Judgement {
        match chosen {
            Move::Begin { key, fresh, class, inside, way } => {
                let caller = self.callers.len();
                let (stage, generation, woken, joined) = (Stage::Queued, 0, false, None);
                self.callers.push(Caller { key, fresh, class, inside, stage, generation, woken, joined });
                match way {
                    Way::Direct => self.join(caller, Way::Direct)?,
                    Way::Queued => self.queue.push_back(Sent::Join(caller)),
                }
            }
            Move::Poll(caller, way) => self.poll(caller, way)?,
            Move::Leave(caller, way) => self.leave(caller, way)?,
            Move::Deliver => self.deliver()?,
            Move::End(flight, completion, way) => self.end(flight, completion, way)?,
            Move::Grant(flight) => self.grant(flight),
            Move::Resume(flight) => self.resume(flight),
            Move::Park(flight) => self.park(flight),
            Move::Publish(flight) => self.publish(flight),
            Move::Tick => self.now += 1,
            Move::Extend(_) | Move::Forget(_) | Move::ForgetAll | Move::Look | Move::Drain | Move::Close => {
                self.control(chosen)?;
            }
        }
        self.judge_holdings()
    }

    fn deliver(&mut self) -> Judgement {
        match self.queue.pop_front() {
            // Its caller left before the shard saw it: it counts nowhere.
            Some(Sent::Join(caller)) if self.callers[caller].stage == Stage::Withdrawn => {
                self.callers[caller].stage = Stage::Done;
                Ok(())
            }
            Some(Sent::Join(caller)) => self.join(caller, Way::Queued),
            Some(Sent::Cancel(place, why)) => self.free(place, why).map(drop),
            Some(Sent::Complete(flight, completion)) => self.complete(flight, completion),
            Some(Sent::Renew(place, waker)) => self.renew_queued(place, waker),
            None => Ok(()),
        }
    }

    fn control(&mut self, chosen: Move) -> Judgement {
        match chosen {
            Move::Forget(key) => {
                self.forgets -= 1;
                let hash = self.setting.hash_of(key);
                let forgotten = self.shard.forget(hash, &Name(key.into()));
                self.judge_forget(key, forgotten.map_err(|panic| panic.message().to_string())?)
            }
            Move::ForgetAll => {
                self.forgets -= 1;
                let forgotten = self.shard.forget_all();
                self.judge_forget_all(forgotten)
            }
            Move::Extend(flight) => {
                self.extensions -= 1;
                let itself = self.flights[flight].itself;
                let (extended, events) = self.turn(|shard, now, effects| {
                    shard.expire(now, effects);
                    shard.extend(itself, Duration::from_secs(EXTENSION.into()), now)
                })?;
                self.judge_extension(flight, extended, &events)
            }
            Move::Look => {
                // Before the turn, as what the turn calls for comes after it.
                self.called = false;
                self.alarm = None;
                let asked_for = self.shard.alarm;
                let (next, events) = self.turn(Shard::tick)?;
                self.alarm = next;
                self.judge_look(&events, asked_for)
            }
            Move::Drain => {
                self.draining = true;
                self.shard.drain();
                Ok(())
            }
            _ => {
                let abort = self.draining || self.setting.on_abandon == OnAbandon::Abort;
                self.closed = true;
                let ((), events) = self.turn(|shard, _, effects| shard.close(abort, effects))?;
                self.judge_close(&events, abort)
            }
        }
    }

    /// Has the shard take a step, and carries out what it asks for. Only waking is left to the caller, as the judge sees
    /// first whether it was due.
    pub(super) fn turn<T>(
        &mut self,
        act: impl FnOnce(&mut Shard<Numbers>, std::time::Instant, &mut Vec<Effect<Numbers>>) -> T,
    ) -> Judgement<(T, Events)> {
        NEXT_RECORD.set(self.flights.len() as u64);
        let waits = |flight: &usize| self.flights[*flight].waits_to_begin();
        let waiting: Vec<_> = (0..self.flights.len()).filter(waits).map(|flight| flight as u64).collect();
        WAITING.set(waiting.clone());
        let (mut reclassed, mut raises) = (Vec::new(), 0);
        let mut effects = Vec::new();
        let result = act(&mut self.shard, at(self.now), &mut effects);
        for (record, class) in CLASSES.take() {
            let number = usize::try_from(record).expect("as many as flights");
            // A new flight is not in the books yet, and is entered with its class.
            if let Some(flight) = self.flights.get_mut(number) {
                let is_higher = class > flight.class;
                flight.class = class;
                reclassed.extend(waiting.contains(&record).then_some(number));
                raises += u64::from(is_higher && waiting.contains(&record));
            }
        }
        let raised_before = self.counts.raised;
        let events = self.carry_out(effects, &reclassed)?;
        holds!(self.counts.raised - raised_before == raises, "{raises} flights were raised, not as many reported");
        Ok((result, events))
    }

    /// Publishes the outcome of a flight that is over, and then wakes its callers.
    pub(super) fn publish(&mut self, flight: usize) {
        let flight = &mut self.flights[flight];
        flight.published = true;
        let wakers = std::mem::take(&mut flight.to_wake);
        self.wake_all(&wakers);
    }

    pub(super) fn wake_all(&mut self, wakers: &[u64]) {
        wakers.iter().for_each(|&waker| self.wake(waker));
    }

    pub(super) fn wake(&mut self, waker: u64) {
        if let Some(caller) = self.callers.iter_mut().enumerate().find(|(n, caller)| caller.waker(*n) == waker) {
            caller.1.woken = true;
        }
    }

    /// A flight is over.
    pub(super) fn unmapped(&mut self, flight: usize, outcome: Outcome, wakers: Vec<u64>) {
        let over = &mut self.flights[flight];
        over.mapped = false;
        over.joinable = false;
        over.outcome = Some(outcome);
        over.waiters.clear();
        over.to_wake = wakers;
        // Its work goes on, or has yet to be dropped.
        self.lingering += usize::from(!matches!(outcome, Outcome::Ended(_)));
        if !self.setting.delays {
            self.publish(flight);
        }
    }

    pub(super) fn waiter(&mut self, place: Place) -> Option<&mut super::Waiter> {
        self.flights[place.flight].waiters.iter_mut().find(|waiter| waiter.number == place.number)
    }
}

impl Caller {
    /// The waker that it was polled with last.
    pub(super) fn waker(&self, number: usize) -> u64 {
        number as u64 * 256 + u64::from(self.generation)
    }
}

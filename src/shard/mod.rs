//! One shard: its share of the keys, and the flights under way for them, as a synchronous state machine.
//!
//! It takes a message and the time, changes its state and says what has to be done outside. It knows no runtime, no
//! channel and no actor, it never blocks, and the only user code it runs is the key's `Eq`, under guard.
//!
//! | | no flight for the key | a flight that can be joined | a detached flight |
//! | --- | --- | --- | --- |
//! | [`join`](Shard::join) | leads, or refused at the cap | follows, or refused at the cap; a fresh one gets behind it | (not found: leads) |
//! | [`complete`](Shard::complete) | late: nothing | unmap; its successor begins | the same |
//! | [`leave`](Shard::leave) | late: nothing | free the slot; last one and `Abort`: cut short | the same |
//! | [`renew`](Shard::renew) | over | exchange the waker | the same |
//! | [`forget`](Shard::forget) | false | detach, with its successor; true | (not found: false) |
//! | [`tick`](Shard::tick) | – | past its deadline: `Fail` cuts short, `Detach` detaches, and its successor begins | the same |
//! | draining | refused | refused; otherwise as above | as above |
//! | [`extend`](Shard::extend) | over | move the deadline | past its deadline: over; otherwise the same |
//! | [`close`](Shard::close) | refused from now on | unmap | unmap |
//!
//! A flight that is cut short has no callers any more, but a join of its key gets behind it until its work is gone: see
//! `succession`.

mod by_id;
mod classes;
mod deadlines;
mod expiry;
// Not under Shuttle, whose atomics work in its own tasks alone.
#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
mod fake;
mod flight;
mod flights;
mod join;
mod limits;
mod message;
mod own_deadlines;
mod piles;
mod profile;
mod snapshot;
mod succession;
mod times;
mod waiters;

#[cfg(all(any(test, fuzzing), not(shardflight_shuttle)))]
pub(crate) mod model;
#[cfg(all(test, not(shardflight_shuttle)))]
mod tests;

use std::time::Instant;

#[cfg(feature = "dashboard")]
pub(crate) use self::profile::{Durations, HotKey, ProfileSnapshot, WINDOW, hottest_first, shortened};
use self::{
    classes::reclass, deadlines::Deadlines, flight::Stage, flights::Flights, own_deadlines::OwnDeadlines,
    profile::Profile,
};
pub(crate) use self::{
    flight::Flight,
    limits::{Limits, Permits},
    message::{
        Begins, Completion, Cut, Effect, Ended, FlightId, FlightRef, Join, Joined, Leaves, Left, Renewed, Report, Slot,
        Types,
    },
    snapshot::FlightSnapshot,
    times::Times,
    waiters::Present,
};
use crate::{
    config::OnAbandon,
    error::{CaughtPanic, JoinError},
    stats::Stats,
};

pub(crate) struct Shard<T: Types> {
    flights: Flights<T>,
    limits: Limits,
    next_id: FlightId,
    /// Live callers, leaders included.
    waiters: usize,
    /// Executions that have not ended, though their flights are over.
    lingering: usize,
    /// Flights that have their deadline before them, in its order.
    deadlines: Deadlines,
    /// Those of them that have a limit of their own, begun or not.
    own_deadlines: OwnDeadlines,
    /// Flights past their deadline that go on all the same, under [`OnExpiry::Detach`](crate::config::OnExpiry).
    overdue: Deadlines,
    /// Flights that were cut short and whose work another flight waits for, in the order in which that began.
    endings: Deadlines,
    /// No flight expires, and no grace ends, before this. `None` where none was started since the last look.
    next_expiry: Option<Instant>,
    /// The actor knows that it has to look by then, at the latest.
    alarm: Option<Instant>,
    phase: Phase,
    /// Flights that were ever started.
    led: u64,
    /// Those of them whose work was dropped before it was called.
    uncalled: u64,
    /// Counters only; the gauges are filled in by [`stats`](Self::stats).
    counters: Stats,
    /// What was counted before the last reset.
    before: Stats,
    profile: Profile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Joins are refused; what is under way goes on.
    Draining,
    /// Joins are refused, and nothing is under way.
    Closed,
}

impl<T: Types> Shard<T> {
    pub(crate) fn new(number: usize, limits: Limits) -> Self {
        Self {
            flights: Flights::new(),
            limits,
            next_id: FlightId::first_of(number),
            waiters: 0,
            lingering: 0,
            deadlines: Deadlines::default(),
            own_deadlines: OwnDeadlines::default(),
            overdue: Deadlines::default(),
            endings: Deadlines::default(),
            next_expiry: None,
            alarm: None,
            phase: Phase::Open,
            led: 0,
            uncalled: 0,
            counters: Stats::default(),
            before: Stats::default(),
            profile: Profile::default(),
        }
    }

    /// The flight's work has ended, and is gone: told exactly once of each flight. `None` if the flight was cut short before.
    /// A late result changes nothing, but only now is there room for another execution (G7), and may the next one of its key
    /// begin (G1).
    pub(crate) fn complete(
        &mut self,
        flight: FlightRef,
        completion: Completion,
        now: impl FnOnce() -> Instant + Copy,
        effects: &mut Vec<Effect<T>>,
    ) -> Option<Ended<T>> {
        self.limits.permits.give_back();
        self.uncalled += u64::from(matches!(completion, Completion::Uncalled | Completion::Shed));
        let Some((ended, table)) = self.flights.remove(flight) else {
            self.lingering -= 1;
            return None;
        };
        if let Some(successor) = ended.successor() {
            self.begin(successor, table, now(), effects);
        }
        if ended.stage == Stage::Ending {
            self.lingering -= 1;
            self.endings.ended(flight);
            effects.push(Effect::Discard(ended));
            return None;
        }
        self.end_deadline(flight, ended.own_deadline);
        self.waiters -= ended.waiters.len();
        self.profile.ended(&ended, now);
        match completion {
            Completion::Value => {}
            Completion::Error => self.counters.errors += 1,
            Completion::Panicked => self.counters.panics += 1,
            Completion::Aborted | Completion::Uncalled => self.counters.aborts += 1,
            Completion::Shed => {
                self.counters.shed += 1;
                // Its leader, as no work of its has been called.
                self.counters.rejections += 1;
            }
        }
        Some(ended)
    }

    #[inline]
    fn end_deadline(&mut self, flight: FlightRef, own: bool) {
        if own {
            self.own_deadlines.remove(flight);
        } else {
            self.deadlines.ended(flight);
        }
    }

    /// A caller gives up its slot, which is free from now on (G7). If it was the last one, the flight is unmapped in the
    /// same step where the policy is to abort, so that no join ever meets a dying flight (G10).
    pub(crate) fn leave(
        &mut self,
        slot: Slot,
        why: Leaves,
        now: impl FnOnce() -> Instant,
        effects: &mut Vec<Effect<T>>,
    ) -> Left<T> {
        let Some(flight) = self.flights.find(slot.flight) else { return Left::NotFound };
        let Some(waker) = flight.waiters.remove(slot.number) else { return Left::NotFound };
        if let Some(changed) = flight.leave_class(slot.number) {
            reclass(flight, changed, &mut self.counters, effects);
        }
        self.waiters -= 1;
        match why {
            Leaves::Rejected if !slot.is_leader() => {
                // It had been counted as coalesced, and turns out not to be; unless the counters were reset in between.
                let recounted = self.counters.coalesced.min(1);
                self.counters.coalesced -= recounted;
                self.counters.rejections += recounted;
                self.profile.refused(&JoinError::Reentrant);
            }
            // A leader is counted with its work, whatever becomes of the leader.
            Leaves::ByItself | Leaves::Rejected => self.counters.departures += 1,
        }
        Left::Departed { waker, abandoned: self.abandon_if_empty(slot.flight, why, now, effects) }
    }

    fn abandon_if_empty(
        &mut self,
        abandoned: FlightRef,
        why: Leaves,
        now: impl FnOnce() -> Instant,
        effects: &mut Vec<Effect<T>>,
    ) -> Option<Cut<T>> {
        if !self.aborts_abandoned() && why != Leaves::Rejected && !self.limits.admits {
            return None;
        }
        let flight = self.flights.get(abandoned)?;
        if flight.waiters.len() > 0 {
            return None;
        }
        // Work of a join that was refused after all is not to run, and no work that would have to wait for others.
        let aborts = self.aborts_abandoned() || flight.stage == Stage::Pending || self.has_yet_to_wait(abandoned);
        if !aborts {
            return None;
        }
        self.counters.aborts += 1;
        self.cut_short(abandoned, now(), effects)
    }

    /// A waiting caller is to be woken by `waker` from now on.
    pub(crate) fn renew(&mut self, slot: Slot, waker: T::Waker) -> Renewed<T> {
        let Some(flight) = self.flights.find(slot.flight) else { return Renewed::Over(waker) };
        match flight.waiters.replace(slot.number, waker) {
            Ok(older) => Renewed::Replaced(older),
            Err(waker) => Renewed::Over(waker),
        }
    }

    /// Detaches the key's flight, if it has one, and the one that waits for it: their callers still get their results, the next
    /// join starts anew (G9).
    pub(crate) fn forget(&mut self, hash: u64, key: &T::Key) -> Result<bool, CaughtPanic> {
        let Some(flight) = self.flights.first(hash, key)?.map(|flight| flight.itself) else { return Ok(false) };
        let forgotten = self.flights.forget(flight);
        self.counters.forgets += forgotten as u64;
        Ok(forgotten > 0)
    }

    /// Detaches every flight, and says how many there were to detach.
    pub(crate) fn forget_all(&mut self) -> usize {
        let forgotten = self.flights.forget_all();
        self.counters.forgets += forgotten as u64;
        forgotten
    }

    /// From now on joins are refused with `Closed`; what is under way goes on.
    pub(crate) fn drain(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
    }

    pub(crate) fn flights(&self) -> usize {
        self.flights.len()
    }

    /// Ends every flight: its callers get `Closed` (G5), and so does every later join. The work is aborted if `abort`
    /// says so, and otherwise goes on unobserved. Work that has not begun never begins.
    pub(crate) fn close(&mut self, abort: bool, effects: &mut Vec<Effect<T>>) {
        self.phase = Phase::Closed;
        for flight in self.flights.take_all() {
            if flight.stage == Stage::Ending {
                effects.push(Effect::Discard(flight));
                continue;
            }
            T::forget(&flight.record);
            let abort = abort || flight.stage == Stage::Pending || (self.limits.admits && T::cancel(&flight.record));
            self.lingering += 1;
            self.end_deadline(flight.itself, flight.own_deadline);
            self.counters.aborts += u64::from(abort);
            effects.push(Effect::End { cut: flight.into_cut(), error: JoinError::Closed, abort });
        }
        self.waiters = 0;
    }

    /// Whether the work of a flight waits for other executions. Then it never begins.
    fn has_yet_to_wait(&self, flight: FlightRef) -> bool {
        self.limits.admits && self.flights.get(flight).is_some_and(|flight| T::cancel(&flight.record))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether abandoned work is to be dropped.
    pub(crate) fn aborts_abandoned(&self) -> bool {
        self.limits.on_abandon == OnAbandon::Abort
    }
}

//! How many executions run at a time, and which flight begins next (`max_executions`).
//!
//! A flight asks for a permit where its work is launched. If one is left and no flight waits, it has it by one step on an
//! atomic. Otherwise it waits in its own task, and can be joined, left, forgotten and timed out meanwhile as any other. The
//! [`Scheduler`] says which flight is next. It is owned by moving it, as the wait graph is; no user code runs in it.
//!
//! Where a flight stands is one byte of its record, its [`Ticket`], which each step changes by a compare-and-exchange: a grant,
//! a departure of the last caller, a timeout and an overload may meet in any order, and one of them decides.

mod loans;
mod permits;
mod queue;
mod scheduler;
#[cfg(all(test, not(shardflight_shuttle)))]
mod tests;
mod ticket;

use std::{sync::Arc, time::Duration};

pub(crate) use self::ticket::{Queued, Stand, Ticket};
use self::{
    permits::Permits,
    scheduler::{Message, Outside, Scheduler, Wait},
};
use crate::{error::JoinError, serial::Serial, shard::FlightId, sync::Runtime, tally::Tally};

/// What the builder says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmissionLimits {
    pub(crate) max_executions: usize,
    pub(crate) max_queued: usize,
    pub(crate) queue_timeout: Option<Duration>,
}

/// Of one coalescer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    permits: Arc<Permits>,
    scheduler: Arc<Serial<Scheduler>>,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits, tallies: Arc<[Tally]>, runtime: Runtime) -> Self {
        let permits = Arc::new(Permits::new(limits.max_executions, tallies));
        let scheduler = Scheduler::new(Arc::clone(&permits), limits.max_queued);
        Self { limits, permits, scheduler: Serial::new(scheduler, Outside::new(runtime)) }
    }

    /// The work of a flight is to begin. True if it may at once; otherwise its task is woken when that is known. Asking again is
    /// without effect.
    pub(crate) fn request<Q: Queued + 'static>(&self, queued: &Arc<Q>) -> bool {
        let (ticket, flight) = (queued.ticket(), queued.flight());
        match ticket.stand() {
            Stand::Unasked => {}
            stand => return matches!(stand, Stand::Granted | Stand::Tracked),
        }
        if self.permits.take_or_wait(flight) {
            let begins = ticket.step(Stand::Unasked, Stand::Granted);
            if !begins {
                self.give_back(flight);
            }
            return begins;
        }
        ticket.step(Stand::Unasked, Stand::Queued);
        // Also where it has been cancelled meanwhile: the scheduler may keep a permit for what is counted as waiting.
        let on_its_way: Arc<Q> = Arc::clone(queued);
        self.scheduler.post(Message::Enqueue(on_its_way));
        // It may have been taken from the queue in the same step.
        matches!(ticket.stand(), Stand::Granted | Stand::Tracked)
    }

    /// The class of a flight's callers has changed.
    pub(crate) fn reclass(&self, flight: FlightId) {
        self.scheduler.post(Message::Reclass(flight));
    }

    /// A flight was cancelled: its place in the queue is free from now on.
    pub(crate) fn withdraw(&self, flight: FlightId) {
        self.scheduler.post(Message::Withdraw(flight));
    }

    /// A flight has waited for as long as it may. `None` if it has left the queue before.
    pub(crate) fn time_out(&self, queued: &impl Queued) -> Option<JoinError> {
        if !queued.ticket().leave(Stand::TimedOut) {
            return None;
        }
        self.withdraw(queued.flight());
        Some(self.timed_out())
    }

    pub(crate) fn overloaded(&self) -> JoinError {
        JoinError::Overloaded { limit: self.limits.max_queued }
    }

    pub(crate) fn timed_out(&self) -> JoinError {
        JoinError::QueueTimedOut { after: self.limits.queue_timeout.unwrap_or_default() }
    }

    #[cfg(feature = "dashboard")]
    pub(crate) fn max_executions(&self) -> usize {
        self.limits.max_executions
    }

    pub(crate) fn queue_timeout(&self) -> Option<Duration> {
        self.limits.queue_timeout
    }

    /// The work of a flight is gone, or was lost: told once of each flight.
    pub(crate) fn end(&self, queued: &impl Queued) {
        let flight = queued.flight();
        match queued.ticket().end() {
            Stand::Granted => self.give_back(flight),
            Stand::Tracked => self.scheduler.post(Message::Ended(flight)),
            // Its task was dropped with its runtime.
            Stand::Queued => self.withdraw(flight),
            Stand::Unasked | Stand::Cancelled | Stand::Shed | Stand::TimedOut | Stand::Over => {}
        }
    }

    fn give_back(&self, flight: FlightId) {
        if self.permits.give_back(flight) {
            self.scheduler.post(Message::GivenBack);
        }
    }

    /// The work of a flight that is [tracked](Ticket::track) waits for another flight.
    pub(crate) fn begin_wait(&self, waiting: FlightId, awaited: FlightId) -> Lending {
        let wait = Wait { waiting, awaited };
        self.scheduler.post(Message::BeginWait(wait));
        Lending { scheduler: Arc::clone(&self.scheduler), wait }
    }

    /// A permit for a further execution of a flight, if one is left and no flight waits for it.
    pub(crate) fn try_acquire(&self, flight: FlightId) -> Option<SparePermit> {
        self.permits.take_spare(flight).then(|| SparePermit(Some((self.clone(), flight))))
    }

    /// No flight waits, and all permits are back.
    #[cfg(all(test, shardflight_shuttle))]
    pub(crate) fn is_at_rest(&self) -> bool {
        let limit = i32::try_from(self.limits.max_executions).unwrap_or(i32::MAX);
        self.scheduler.at_rest(Scheduler::is_empty) == Some(true) && self.permits.counts() == (limit, 0)
    }
}

/// A wait by which a flight may lend its permit. Over when it is dropped.
pub(crate) struct Lending {
    scheduler: Arc<Serial<Scheduler>>,
    wait: Wait,
}

impl Drop for Lending {
    fn drop(&mut self) {
        self.scheduler.post(Message::EndWait(self.wait));
    }
}

/// Given back when it is dropped.
pub(crate) struct SparePermit(Option<(Admission, FlightId)>);

impl SparePermit {
    pub(crate) fn not_needed() -> Self {
        Self(None)
    }
}

impl Drop for SparePermit {
    fn drop(&mut self) {
        if let Some((admission, flight)) = &self.0 {
            admission.give_back(*flight);
        }
    }
}

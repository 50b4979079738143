//! Which flight begins next: a synchronous state machine around the queue, the loans and the permits.

use std::{sync::Arc, task::Waker};

use super::{
    loans::Loans,
    permits::Permits,
    queue::ClassQueue,
    ticket::{QueuedFlight, Stand},
};
use crate::{
    serial::Handler,
    shard::FlightId,
    sync::{Runtime, has_many_workers, is_inside, off_the_workers},
};

pub(crate) struct Scheduler {
    permits: Arc<Permits>,
    max_queued: usize,
    queue: ClassQueue,
    loans: Loans,
    /// Permits that were given back and that no flight has yet. Some only while a flight is on its way here.
    spare: i32,
}

pub(crate) enum Message {
    /// A flight has found no permit.
    Enqueue(QueuedFlight),
    /// The highest class among its callers has changed.
    Reclass(FlightId),
    /// It waits no longer.
    Withdraw(FlightId),
    /// A permit, given back while a flight waited.
    GivenBack,
    /// The execution of a tracked flight is over.
    Ended(FlightId),
    /// The work of one flight waits for another flight.
    BeginWait(Wait),
    EndWait(Wait),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(super) waiting: FlightId,
    pub(super) awaited: FlightId,
}

impl Scheduler {
    pub(super) fn new(permits: Arc<Permits>, max_queued: usize) -> Self {
        Self { permits, max_queued, queue: ClassQueue::default(), loans: Loans::default(), spare: 0 }
    }

    fn enqueue(&mut self, queued: QueuedFlight, told: &mut Vec<QueuedFlight>) {
        let flight = queued.flight();
        if queued.ticket().stand() != Stand::Queued {
            // It was cancelled on its way here, and what told of that has come before.
            self.permits.leave(flight);
            return;
        }
        self.queue.push(queued);
        self.settle(told);
        if self.queue.has(flight)
            && let Some(lender) = self.loans.lender_for(flight)
        {
            self.lend(lender, flight, told);
        }
        while self.queue.len() > self.max_queued
            && let Some(last) = self.queue.last().and_then(|last| self.queue.remove(last))
        {
            self.permits.leave(last.flight());
            if last.ticket().leave(Stand::Shed) {
                told.push(last);
            }
        }
    }

    /// Has flights begin for as long as there are permits.
    fn settle(&mut self, told: &mut Vec<QueuedFlight>) {
        while self.spare > 0 && self.permits.make_up() {
            self.spare -= 1;
        }
        while self.spare > 0
            && let Some(next) = self.queue.next().and_then(|next| self.queue.remove(next))
        {
            // Counted first: once it is granted, its execution may end at any moment.
            self.permits.grant(next.flight());
            // One that was cancelled takes no permit.
            if next.ticket().leave(Stand::Granted) {
                self.spare -= 1;
                self.queue.note_taken();
                told.push(next);
            } else {
                self.permits.tally(next.flight()).end_execution();
            }
        }
        if self.spare != 0 && self.permits.add(self.spare) {
            self.spare = 0;
        }
    }

    /// True if the flight begins.
    fn lend(&mut self, lender: FlightId, borrower: FlightId, told: &mut Vec<QueuedFlight>) -> bool {
        let Some(queued) = self.queue.remove(borrower) else { return false };
        let begins = queued.ticket().leave(Stand::Tracked);
        if begins {
            self.loans.lend(lender, borrower);
            self.permits.lend(lender, borrower);
            told.push(queued);
        } else {
            self.permits.leave(borrower);
        }
        begins
    }

    /// A lender has its permit again, or goes on without: it may wait for more flights that are in the queue.
    fn lend_again(&mut self, lender: FlightId, told: &mut Vec<QueuedFlight>) {
        while let Some(next) = self.queue.first_of(self.loans.awaited_by(lender)) {
            if self.lend(lender, next, told) {
                return;
            }
        }
    }

    fn ended(&mut self, flight: FlightId, told: &mut Vec<QueuedFlight>) {
        let lender = self.loans.repay(flight);
        let has_lent = self.loans.write_off(flight);
        self.loans.forget_waits_of(flight);
        if !has_lent {
            self.permits.tally(flight).end_execution();
        }
        // Its own permit, unless it goes back to the lender; and less one that it has lent, as the borrower runs on with it.
        self.spare += 1 - i32::from(lender.is_some()) - i32::from(has_lent);
        if let Some(lender) = lender {
            self.permits.tally(lender).begin_execution();
            self.lend_again(lender, told);
        }
    }

    fn begin_wait(&mut self, Wait { waiting, awaited }: Wait, told: &mut Vec<QueuedFlight>) {
        self.loans.begin_wait(waiting, awaited);
        if self.loans.may_lend(waiting) {
            self.lend(waiting, awaited, told);
        }
    }

    fn end_wait(&mut self, Wait { waiting, awaited }: Wait, told: &mut Vec<QueuedFlight>) {
        if self.loans.end_wait(waiting, awaited) && self.loans.has_lent_to(waiting, awaited) {
            // The borrower runs on, and so does the lender: one execution too many, until the next that ends.
            self.loans.write_off(waiting);
            self.permits.tally(waiting).begin_execution();
            self.spare -= 1;
            self.lend_again(waiting, told);
        }
    }

    /// No flight waits, none has lent, and no permit is in here.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.len() == 0 && self.loans.is_empty() && self.spare == 0
    }
}

impl Handler for Scheduler {
    type Message = Message;
    /// A flight whose task is to be woken.
    type Effect = QueuedFlight;
    type Outside = Outside;

    fn handle(&mut self, message: Message, told: &mut Vec<QueuedFlight>) {
        match message {
            Message::Enqueue(queued) => self.enqueue(queued, told),
            Message::Reclass(flight) => self.queue.reclass(flight),
            Message::Withdraw(flight) => {
                if self.queue.remove(flight).is_some() {
                    self.permits.leave(flight);
                }
            }
            Message::GivenBack => self.spare += 1,
            Message::Ended(flight) => self.ended(flight, told),
            Message::BeginWait(wait) => self.begin_wait(wait, told),
            Message::EndWait(wait) => self.end_wait(wait, told),
        }
        self.settle(told);
    }

    fn carry_out(outside: &Outside, told: Vec<QueuedFlight>) {
        outside.wake(told);
    }
}

/// Where the tasks are that wait.
pub(crate) struct Outside {
    runtime: Runtime,
    many_workers: bool,
}

impl Outside {
    pub(super) fn new(runtime: Runtime) -> Self {
        Self { many_workers: has_many_workers(&runtime), runtime }
    }

    /// The tasks are the crate's own, so no waker of a user's is among them. On a worker, the one that is woken last would come
    /// to lie where no other worker takes it, though this one may be blocked next (G4).
    fn wake(&self, flights: Vec<QueuedFlight>) {
        // Nothing of the flights goes along: where the thread is late, their values would be kept (G6), and dropped there. Here one is
        // dropped only if all of its flight came between the grant and this.
        let wakers: Vec<_> = flights.iter().filter_map(|flight| flight.take_waker()).collect();
        drop(flights);
        let wake = move || wakers.into_iter().for_each(Waker::wake);
        if self.many_workers && is_inside(&self.runtime) { off_the_workers(wake) } else { wake() }
    }
}

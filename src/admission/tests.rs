//! The scheduler against a naive one that looks at all flights at each step.

use std::{
    cmp::Reverse,
    sync::{Arc, mpsc},
    task::Waker,
    time::Duration,
};

use proptest::{collection::vec, prelude::*};

use super::{Admission, AdmissionLimits, Lending, Queued, Stand, Ticket, queue::AGING};
use crate::{config::Priority, shard::FlightId, sync::off_the_workers, tally::Tally};

const FLIGHTS: usize = 64;

struct Fake {
    flight: FlightId,
    ticket: Ticket,
}

impl Queued for Fake {
    fn flight(&self) -> FlightId {
        self.flight
    }

    fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    fn take_waker(&self) -> Option<Waker> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
    Shed,
    Gone,
}

impl State {
    fn of(stand: Stand) -> Self {
        match stand {
            Stand::Unasked | Stand::Queued => Self::Waits,
            Stand::Granted | Stand::Tracked => Self::Runs,
            Stand::Shed => Self::Shed,
            Stand::Cancelled | Stand::TimedOut | Stand::Over => Self::Gone,
        }
    }
}

/// The reference. A flight's number is its age.
#[derive(Debug, Default)]
struct Naive {
    limit: usize,
    max_queued: usize,
    flights: Vec<(State, Priority)>,
    waits: Vec<(usize, usize)>,
    /// From which to which.
    loans: Vec<(usize, usize)>,
    taken: u64,
}

impl Naive {
    fn are(&self, state: State) -> Vec<usize> {
        (0..self.flights.len()).filter(|&flight| self.flights[flight].0 == state).collect()
    }

    fn executing(&self) -> usize {
        self.are(State::Runs).len() - self.loans.len()
    }

    fn settle(&mut self) {
        while self.executing() < self.limit {
            let waiting = self.are(State::Waits);
            let by_class = |&flight: &usize| (Reverse(self.flights[flight].1), flight);
            let next = if (self.taken + 1).is_multiple_of(AGING) {
                waiting.into_iter().min()
            } else {
                waiting.into_iter().min_by_key(by_class)
            };
            let Some(next) = next else { return };
            self.flights[next].0 = State::Runs;
            self.taken += 1;
        }
    }

    fn arrive(&mut self, class: Priority) {
        let flight = self.flights.len();
        self.flights.push((State::Waits, class));
        if self.are(State::Waits).len() == 1 && self.executing() < self.limit {
            self.flights[flight].0 = State::Runs;
            return;
        }
        self.settle();
        let lenders = self.waits.iter().filter(|wait| wait.1 == flight).map(|wait| wait.0);
        let free = lenders.filter(|&waiting| self.loans.iter().all(|loan| loan.0 != waiting)).min();
        if let Some(lender) = free {
            self.lend(lender, flight);
        }
        let waiting = self.are(State::Waits);
        if waiting.len() > self.max_queued {
            let last = waiting.into_iter().min_by_key(|&flight| (self.flights[flight].1, Reverse(flight)));
            self.flights[last.expect("one at least")].0 = State::Shed;
        }
    }

    /// False of one that has not come yet.
    fn waits_in_queue(&self, flight: usize) -> bool {
        self.flights.get(flight).is_some_and(|(state, _)| *state == State::Waits)
    }

    fn lend(&mut self, lender: usize, borrower: usize) {
        if self.waits_in_queue(borrower) {
            self.flights[borrower].0 = State::Runs;
            self.loans.push((lender, borrower));
        }
    }

    fn lend_again(&mut self, lender: usize) {
        let awaited = self.waits.iter().filter(|wait| wait.0 == lender).map(|wait| wait.1);
        let waiting = awaited.filter(|&flight| self.waits_in_queue(flight));
        if let Some(next) = waiting.min_by_key(|&flight| (Reverse(self.flights[flight].1), flight)) {
            self.lend(lender, next);
        }
    }

    fn end(&mut self, flight: usize) {
        self.flights[flight].0 = State::Gone;
        self.waits.retain(|wait| wait.0 != flight);
        let lender = self.loans.iter().find(|loan| loan.1 == flight).map(|loan| loan.0);
        self.loans.retain(|loan| loan.0 != flight && loan.1 != flight);
        if let Some(lender) = lender {
            self.lend_again(lender);
        }
        self.settle();
    }

    fn begin_wait(&mut self, waiting: usize, awaited: usize) {
        self.waits.push((waiting, awaited));
        if self.loans.iter().all(|loan| loan.0 != waiting) {
            self.lend(waiting, awaited);
        }
    }

    fn end_wait(&mut self, waiting: usize, awaited: usize) {
        let Some(index) = self.waits.iter().position(|&wait| wait == (waiting, awaited)) else { return };
        self.waits.swap_remove(index);
        if self.waits.contains(&(waiting, awaited)) {
            return;
        }
        let before = self.loans.len();
        self.loans.retain(|&loan| loan != (waiting, awaited));
        if self.loans.len() < before {
            self.lend_again(waiting);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Arrive(usize),
    Reclass(usize, usize),
    Cancel(usize),
    TimeOut(usize),
    End(usize),
    BeginWait(usize, usize),
    EndWait(usize),
    Spare,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4_usize).prop_map(Step::Arrive),
        2 => (0..FLIGHTS, 0..4_usize).prop_map(|(flight, class)| Step::Reclass(flight, class)),
        1 => (0..FLIGHTS).prop_map(Step::Cancel),
        1 => (0..FLIGHTS).prop_map(Step::TimeOut),
        4 => (0..FLIGHTS).prop_map(Step::End),
        3 => (0..FLIGHTS, 0..FLIGHTS).prop_map(|(waiting, awaited)| Step::BeginWait(waiting, awaited)),
        1 => (0..FLIGHTS).prop_map(Step::EndWait),
        1 => Just(Step::Spare),
    ];
    vec(step, 0..160)
}

/// The real one, beside the reference.
struct Both {
    admission: Admission,
    tallies: Arc<[Tally]>,
    fakes: Vec<Arc<Fake>>,
    lendings: Vec<(usize, usize, Lending)>,
    naive: Naive,
}

impl Both {
    fn new(limit: usize, max_queued: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let queue_timeout = Some(Duration::from_secs(1));
        let limits = AdmissionLimits { max_executions: limit, max_queued, queue_timeout };
        let tallies: Arc<[Tally]> = (0..FLIGHTS).map(|_| Tally::default()).collect();
        Self {
            admission: Admission::new(limits, Arc::clone(&tallies), runtime.handle().clone()),
            tallies,
            fakes: Vec::new(),
            lendings: Vec::new(),
            naive: Naive { limit, max_queued, ..Naive::default() },
        }
    }

    fn arrive(&mut self, class: Priority) {
        let number = self.fakes.len();
        let fake = Arc::new(Fake { flight: FlightId::first_of(number), ticket: Ticket::new() });
        fake.ticket.set_class(class);
        self.naive.arrive(class);
        assert_eq!(self.admission.request(&fake), self.naive.flights[number].0 == State::Runs);
        self.fakes.push(fake);
    }

    fn end(&mut self, flight: usize) {
        self.naive.end(flight);
        self.admission.end(&*self.fakes[flight]);
    }

    /// One of the flights in a state.
    fn choose(&self, choice: usize, state: State) -> Option<usize> {
        let flights = self.naive.are(state);
        flights.get(choice.checked_rem(flights.len())?).copied()
    }

    fn make(&mut self, step: &Step) -> Option<()> {
        match *step {
            Step::Arrive(class) => {
                if self.fakes.len() < FLIGHTS {
                    self.arrive(Priority::ALL[class]);
                }
            }
            Step::Reclass(flight, class) => {
                let flight = self.choose(flight, State::Waits)?;
                self.naive.flights[flight].1 = Priority::ALL[class];
                self.fakes[flight].ticket.set_class(Priority::ALL[class]);
                self.admission.reclass(self.fakes[flight].flight);
            }
            Step::Cancel(flight) => {
                let flight = self.choose(flight, State::Waits)?;
                self.naive.flights[flight].0 = State::Gone;
                assert!(self.fakes[flight].ticket.cancel());
                self.admission.withdraw(self.fakes[flight].flight);
            }
            Step::TimeOut(flight) => {
                let flight = self.choose(flight, State::Waits)?;
                self.naive.flights[flight].0 = State::Gone;
                assert!(self.admission.time_out(&*self.fakes[flight]).is_some());
            }
            Step::End(flight) => self.end(self.choose(flight, State::Runs)?),
            Step::BeginWait(waiting, awaited) => {
                let waiting = self.choose(waiting, State::Runs)?;
                // Of those that came later, so that no wait closes a cycle; or the next to come, which is on its way.
                let awaited = waiting + 1 + awaited % (self.fakes.len() - waiting);
                self.naive.begin_wait(waiting, awaited);
                let [waits, other] = [waiting, awaited].map(FlightId::first_of);
                self.fakes[waiting].ticket.track();
                let lending = self.admission.begin_wait(waits, other);
                self.lendings.push((waiting, awaited, lending));
            }
            Step::EndWait(wait) => {
                let (waiting, awaited, lending) = self.lendings.swap_remove(wait.checked_rem(self.lendings.len())?);
                // Where the flight has ended, this is late, and changes nothing.
                self.naive.end_wait(waiting, awaited);
                drop(lending);
            }
            Step::Spare => {
                let first = self.fakes.first()?.flight;
                let has_spare = self.naive.executing() < self.naive.limit && self.naive.are(State::Waits).is_empty();
                assert_eq!(self.admission.try_acquire(first).is_some(), has_spare);
            }
        }
        Some(())
    }

    fn check(&self) {
        for (number, fake) in self.fakes.iter().enumerate() {
            let state = State::of(fake.ticket.stand());
            assert_eq!(state, self.naive.flights[number].0, "flight {number}: {:?}", self.naive);
        }
        let executing = i32::try_from(self.naive.executing()).expect("few");
        let waiting = u32::try_from(self.naive.are(State::Waits).len()).expect("few");
        let limit = i32::try_from(self.naive.limit).expect("few");
        assert_eq!(self.admission.permits.counts(), (limit - executing, waiting), "{:?}", self.naive);
        let gauges = self.tallies.iter().map(Tally::admitted);
        let sum = gauges.fold((0, 0), |sum, gauge| (sum.0 + gauge.0, sum.1 + gauge.1));
        assert_eq!(sum, (self.naive.executing(), self.naive.are(State::Waits).len()), "{:?}", self.naive);
    }

    /// All that runs ends, in whatever order, and so all that waits begins.
    fn finish(&mut self) {
        while let Some(flight) = self.choose(0, State::Runs) {
            self.end(flight);
            self.check();
        }
        assert!(self.naive.are(State::Waits).is_empty(), "{:?} wait for ever", self.naive);
        self.lendings.clear();
        assert_eq!(self.admission.scheduler.at_rest(super::Scheduler::is_empty), Some(true), "something is left");
    }
}

proptest! {
    #[test]
    fn flights_begin_as_a_scheduler_that_looks_at_all_of_them_says(
        limit in 1..4_usize,
        max_queued in 1..6_usize,
        steps in steps(),
    ) {
        let mut both = Both::new(limit, max_queued);
        for step in &steps {
            both.make(step);
            both.check();
        }
        both.finish();
    }
}

#[test]
fn the_oldest_is_next_after_fifteen_others() {
    let mut both = Both::new(1, FLIGHTS);
    both.arrive(Priority::Normal);
    both.arrive(Priority::Background);
    (0..40).for_each(|_| both.arrive(Priority::High));
    let mut order = Vec::new();
    while let Some(flight) = both.choose(0, State::Runs) {
        order.push(flight);
        both.end(flight);
        both.check();
    }
    assert_eq!(order.iter().position(|&flight| flight == 1), Some(16), "{order:?}");
}

#[test]
fn a_cancelled_flight_takes_no_permit_and_no_place_though_the_queue_has_not_heard() {
    let mut both = Both::new(1, 1);
    both.arrive(Priority::Normal);
    both.arrive(Priority::High);
    assert!(both.fakes[1].ticket.cancel());
    // Sheds none: the one that was cancelled is on its way out.
    both.admission.withdraw(both.fakes[1].flight);
    let late = Arc::new(Fake { flight: FlightId::first_of(2), ticket: Ticket::new() });
    assert!(!both.admission.request(&late));
    assert!(late.ticket.cancel());
    both.admission.end(&*both.fakes[0]);
    assert_eq!((late.ticket.stand(), both.admission.permits.counts()), (Stand::Cancelled, (1, 0)));
}

#[test]
fn a_flight_that_begins_is_not_kept_until_its_task_is_woken() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let _inside = runtime.enter();
    let limits = AdmissionLimits { max_executions: 1, max_queued: 1, queue_timeout: None };
    let tallies = [Tally::default(), Tally::default()].into_iter().collect();
    let admission = Admission::new(limits, tallies, runtime.handle().clone());
    let [first, second] =
        [0, 1].map(|number| Arc::new(Fake { flight: FlightId::first_of(number), ticket: Ticket::new() }));
    // The thread that wakes tasks is busy until then.
    let (done, busy) = mpsc::channel::<()>();
    off_the_workers(move || while busy.recv().is_ok() {});
    assert_eq!((admission.request(&first), admission.request(&second)), (true, false));
    admission.end(&*first);
    assert_eq!((second.ticket.stand(), Arc::strong_count(&second)), (Stand::Granted, 1), "G6");
    drop(done);
}

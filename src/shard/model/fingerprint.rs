//! When two states are the same.

use std::time::Instant;

use super::{
    super::{FlightId, flight},
    Caller, Flight, Numbers, Outcome, Sent, Stage, Trial, Work, at,
};

/// Between the parts, so that no two states are written alike.
const END: u8 = 250;
/// A flight that is over and forgotten, which none can be told from another.
const GONE: u8 = 251;

/// The names of flights: their ranks among those that still matter. How many there have been before makes no
/// difference to what can happen.
struct Names<'a> {
    trial: &'a Trial<'a>,
    flights: Vec<Option<u8>>,
}

impl Trial<'_> {
    /// All that tells this state from others.
    pub(super) fn fingerprint(&self) -> Box<[u8]> {
        let names = Names::new(self);
        let mut print = vec![byte(self.setting.ticks - self.now), self.forgets, self.renewals, self.extensions];
        print.push(byte(self.lingering));
        print.extend([self.called.into(), self.until(self.alarm), self.draining.into(), self.closed.into()]);
        for caller in &self.callers {
            names.print_caller(caller, &mut print);
        }
        print.push(END);
        for sent in &self.queue {
            names.print_sent(*sent, &mut print);
        }
        print.push(END);
        for (flight, name) in self.flights.iter().zip(&names.flights) {
            if name.is_some() {
                print_flight(flight, &mut print);
                print.push(flight.limit.map_or(END, byte));
                let rank = |flight: Option<usize>| flight.map_or(END, |flight| names.number(flight));
                print.extend([rank(flight.after), rank(flight.predecessor)]);
                print.push(flight.grace.map_or(END, |began| byte(self.setting.grace.min(self.now - began))));
            }
        }
        print.push(END);
        self.print_shard(&names, &mut print);
        print.into()
    }

    fn print_shard(&self, names: &Names<'_>, print: &mut Vec<u8>) {
        let shard = &self.shard;
        print.extend([byte(shard.waiters), shard.phase as u8, self.until(shard.next_expiry), self.until(shard.alarm)]);
        let mut mapped: Vec<_> = shard.flights.iter().collect();
        mapped.sort_by_key(|flight| flight.itself.id.number());
        for flight in mapped {
            names.print_mapped(flight, print);
        }
        print.push(END);
        // Those that are over have entries left behind; they are skipped, whatever they are.
        let listed = |id: &FlightId| self.flight_of(*id).is_some_and(|flight| self.flights[flight].mapped);
        let kept = |id: &FlightId| self.flight_of(*id).is_some_and(|flight| self.flights[flight].kept);
        print.extend(shard.endings.iter().map(|flight| flight.id).filter(kept).map(|id| names.flight(id)));
        print.push(END);
        for deadlines in [&shard.deadlines, &shard.overdue] {
            print.extend(deadlines.iter().map(|flight| flight.id).filter(listed).map(|id| names.flight(id)));
            print.push(END);
        }
    }

    fn until(&self, moment: Option<Instant>) -> u8 {
        moment.map_or(END, |moment| byte(moment.saturating_duration_since(at(self.now)).as_secs()))
    }
}

fn print_flight(flight: &Flight, print: &mut Vec<u8>) {
    let outcome = match flight.outcome {
        None => 0,
        Some(Outcome::Ended(completion)) => 10 + completion as u8,
        Some(Outcome::Abandoned) => 5,
        Some(Outcome::TimedOut) => 6,
        Some(Outcome::Closed) => 7,
    };
    let work = match flight.work {
        Work::Parked => 0,
        Work::Polled { shared, aborted } => 1 + u8::from(shared) + 2 * u8::from(aborted),
        Work::Running => 5,
        Work::Aborted => 6,
        Work::Over => 7,
        Work::Pending => 8,
        Work::Queued => 9,
    };
    print.extend([outcome, work, flight.published.into(), flight.expired.into(), byte(flight.leader)]);
    print.extend([flight.overlaps, flight.gone, flight.joinable, flight.kept, flight.called].map(u8::from));
    print.push(flight.class as u8);
    print.extend(flight.to_wake.iter().flat_map(|waker| waker.to_le_bytes().into_iter().take(2)));
    print.push(END);
}

impl<'a> Names<'a> {
    fn new(trial: &'a Trial<'a>) -> Self {
        let mut next = 0;
        let rank = |(number, flight): (usize, &Flight)| {
            trial.matters(number, flight).then(|| {
                next += 1;
                next - 1
            })
        };
        let flights = trial.flights.iter().enumerate().map(rank).collect();
        Self { trial, flights }
    }

    fn flight(&self, id: FlightId) -> u8 {
        self.trial.flight_of(id).map_or(GONE, |number| self.number(number))
    }

    fn number(&self, number: usize) -> u8 {
        self.flights[number].unwrap_or(GONE)
    }

    fn print_caller(&self, caller: &Caller, print: &mut Vec<u8>) {
        let (stage, place) = match caller.stage {
            // Nothing is asked any more of one that is done.
            Stage::Done => return print.push(0),
            Stage::Queued => (1, None),
            Stage::Withdrawn => return print.push(2),
            Stage::Replied(place) => (3, Some(place)),
            Stage::Waiting(place) => (4, Some(place)),
        };
        let inside = caller.inside.map_or(END, |flight| self.number(flight));
        print.extend([
            stage,
            caller.key,
            caller.fresh.into(),
            caller.class as u8,
            inside,
            caller.generation,
            caller.woken.into(),
        ]);
        print.extend(place.into_iter().flat_map(|place| [self.number(place.flight), byte(place.number)]));
    }

    fn print_sent(&self, sent: Sent, print: &mut Vec<u8>) {
        match sent {
            Sent::Join(caller) => print.extend([0, byte(caller)]),
            Sent::Cancel(place, why) => {
                print.extend([1, self.number(place.flight), byte(place.number), why as u8]);
            }
            Sent::Complete(flight, completion) => print.extend([2, self.number(flight), completion as u8]),
            Sent::Renew(place, waker) => {
                print.extend([3, self.number(place.flight), byte(place.number), byte(waker % 256)]);
            }
        }
    }

    fn print_mapped(&self, flight: &flight::Flight<Numbers>, print: &mut Vec<u8>) {
        let trial = self.trial;
        let age = at(trial.now).saturating_duration_since(flight.started).as_secs();
        let age = trial.setting.deadline.map_or(0, |deadline| age.min(deadline.max(trial.setting.longest).into()));
        let joinable = trial.shard.flights.is_joinable(flight.itself);
        print.extend([self.flight(flight.itself.id), byte(flight.key.0), byte(age)]);
        print.extend([
            u8::from(joinable),
            flight.stage as u8,
            flight.successor().map_or(END, |next| self.flight(next.id)),
        ]);
        for (number, waker) in flight.waiters.iter() {
            print.push(byte(number));
            print.extend(waker.to_le_bytes().into_iter().take(2));
        }
        print.push(END);
    }
}

impl Trial<'_> {
    /// Whether it makes a difference to what can happen that there is, or was, this flight.
    fn matters(&self, number: usize, flight: &Flight) -> bool {
        let in_queue = |sent: &Sent| match *sent {
            Sent::Complete(flight, _) => flight == number,
            Sent::Cancel(place, _) | Sent::Renew(place, _) => place.flight == number,
            Sent::Join(_) => false,
        };
        let of_caller = |caller: &Caller| {
            !caller.has_left()
                && (caller.inside == Some(number) || caller.place().is_some_and(|place| place.flight == number))
        };
        flight.mapped
            || flight.work != Work::Over
            || flight.kept
            || (flight.outcome.is_some() && !flight.published)
            || self.queue.iter().any(in_queue)
            || self.callers.iter().any(of_caller)
    }
}

fn byte(number: impl TryInto<u8>) -> u8 {
    number.try_into().unwrap_or_else(|_| panic!("the worlds are small"))
}

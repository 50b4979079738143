//! States: where they begin, how they are copied, and when two are the same.

use std::collections::VecDeque;

use super::{
    super::{Budget, FlightId, FlightRef, Shard, crew::Crew, flight, roster::Roster},
    Books, Ended, Sent, Setting, Stage, Task, Tiny, Trial, at,
};

impl<'a> Trial<'a> {
    pub(super) fn new(setting: &'a Setting) -> Self {
        Self {
            setting,
            shard: Shard::new(0, setting.rules()),
            lane: VecDeque::new(),
            callers: Vec::new(),
            flights: Vec::new(),
            now: 0,
            forgets: setting.forgets,
            draining: false,
            closed: false,
            books: Books::default(),
        }
    }

    pub(super) fn flight_of(&self, id: FlightId) -> Option<usize> {
        self.flights.iter().position(|flight| flight.id == id)
    }

    pub(super) fn mapped(&self) -> impl Iterator<Item = usize> {
        (0..self.flights.len()).filter(|&flight| self.flights[flight].mapped)
    }

    /// The callers aboard a flight that are still there.
    pub(super) fn live_aboard(&self, flight: usize) -> impl Iterator<Item = usize> {
        self.flights[flight].aboard.iter().copied().filter(|&caller| !self.callers[caller].left)
    }

    /// All that tells this state from others, with flights named by their rank among those that still matter: how many
    /// there have been before makes no difference to what can happen.
    pub(super) fn fingerprint(&self) -> Box<[u8]> {
        let rank = self.ranks();
        let name = |id: FlightId| self.flight_of(id).and_then(|flight| rank[flight]).unwrap_or(u8::MAX);
        let mut print = vec![self.now_for_print(), self.forgets, self.draining.into(), self.closed.into()];
        for caller in &self.callers {
            let stage = match caller.stage {
                Stage::Sent => 100,
                Stage::Aboard(flight) => rank[flight].unwrap_or(u8::MAX),
                Stage::Done => 101,
            };
            let inside = caller.inside.map_or(102, |flight| rank[flight].unwrap_or(u8::MAX));
            // Nobody looks again at one who is done.
            let key = if caller.stage == Stage::Done { 0 } else { caller.key };
            print.extend([key, stage, inside, u8::from(caller.left), u8::from(caller.announced)]);
            print.push(u8::from(caller.boarded.is_some()));
        }
        // Departures are judged only at rest: a miscount on the way there must not pass for a state that was seen.
        print.extend(self.departed().wrapping_sub(self.shard.counters.departures).to_le_bytes());
        print.push(110);
        for sent in &self.lane {
            self.print_sent(sent, &name, &mut print);
        }
        print.push(111);
        let mut mapped: Vec<_> = self.shard.flights.iter().collect();
        mapped.sort_by_key(|flight| flight.itself.id.number());
        for flight in mapped {
            print.extend([name(flight.itself.id), flight.key, u8::from(flight.joinable), u8::from(flight.to_ask)]);
            print.extend([byte(flight.hints), self.age_of(flight), byte(flight.crew.len())]);
            print.extend(flight.crew.iter().map(|seat| seat.number));
            // Which probe looked last matters while that probe may come again.
            if self.setting.nested {
                print.extend(flight.probed.map_or(0, FlightId::number).to_le_bytes());
            }
        }
        print.push(112);
        let over = |(flight, task): (&Option<u8>, Task)| flight.map(|flight| [flight, task as u8]);
        print.extend(rank.iter().zip(self.flights.iter().map(|flight| flight.task)).filter_map(over).flatten());
        print.push(113);
        // What is over has entries left behind; they are skipped, whatever they are.
        let listed = |id: &FlightId| self.mapped().any(|flight| self.flights[flight].id == *id);
        print.extend(self.shard.to_ask.iter().map(|flight| flight.id).filter(listed).map(name));
        print.push(114);
        print.extend(roster(&self.shard.roster).filter(listed).map(name));
        print.push(115);
        print.extend(roster(&self.shard.overdue).filter(listed).map(name));
        print.into()
    }

    /// Only where the clock can still matter.
    fn now_for_print(&self) -> u8 {
        number((self.setting.ticks - self.now).into())
    }

    fn age_of(&self, flight: &flight::Flight<Tiny>) -> u8 {
        let age = at(self.now).saturating_duration_since(flight.started).as_secs();
        self.setting.deadline.map_or(0, |deadline| number(age.min(deadline.into())))
    }

    /// Each flight's number among those that are mapped, run, or are spoken of in the lane.
    fn ranks(&self) -> Vec<Option<u8>> {
        let mut next = 0;
        let spoken_of = |number: usize| {
            self.lane.iter().any(|sent| matches!(*sent, Sent::Complete(flight, _) if flight == number))
                || self.callers.iter().any(|caller| caller.stage != Stage::Done && caller.inside == Some(number))
        };
        let rank = |(number, flight): (usize, &super::Flight)| {
            let matters = flight.mapped || flight.task != Task::Over || spoken_of(number);
            matters.then(|| {
                next += 1;
                next - 1
            })
        };
        self.flights.iter().enumerate().map(rank).collect()
    }

    fn print_sent(&self, sent: &Sent, name: &impl Fn(FlightId) -> u8, print: &mut Vec<u8>) {
        match *sent {
            Sent::Join(caller) => print.extend([0, byte(caller)]),
            Sent::Cancel(caller) => print.extend([1, byte(caller)]),
            Sent::Complete(flight, ended) => print.extend([2, name(self.flights[flight].id), ended as u8]),
            Sent::Probe(probe) => {
                print.extend([3, name(probe.suspect.waiting.id), name(probe.suspect.awaited.id), name(probe.at.id)]);
                print.push(probe.hops);
                print.extend(probe.id.number().to_le_bytes());
            }
            Sent::Circle(wait) => print.extend([4, name(wait.waiting.id), name(wait.awaited.id)]),
        }
    }
}

fn roster(roster: &Roster) -> impl Iterator<Item = FlightId> {
    roster.iter().map(|flight| flight.id)
}

fn number(number: u64) -> u8 {
    u8::try_from(number).expect("the worlds are small")
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("the worlds are small")
}

impl Clone for Trial<'_> {
    fn clone(&self) -> Self {
        Self {
            setting: self.setting,
            shard: twin(&self.shard, self.setting),
            lane: self.lane.clone(),
            callers: self.callers.clone(),
            flights: self.flights.clone(),
            now: self.now,
            forgets: self.forgets,
            draining: self.draining,
            closed: self.closed,
            books: self.books,
        }
    }
}

/// A shard in the same state, with a budget of its own.
fn twin(shard: &Shard<Tiny>, setting: &Setting) -> Shard<Tiny> {
    let mut twin = Shard::new(0, setting.rules());
    twin.rules.budget = Budget::new(setting.max_flights);
    for flight in &shard.flights {
        assert!(twin.rules.budget.take(), "the flights there are fit into the budget there is");
        twin.flights.insert_unique(flight.itself.hash, twin_flight(flight), |flight| flight.itself.hash);
    }
    twin.next_id = shard.next_id;
    twin.waiters = shard.waiters;
    twin.roster = shard.roster.clone();
    twin.overdue = shard.overdue.clone();
    twin.to_ask.clone_from(&shard.to_ask);
    twin.probes = shard.probes;
    twin.draining = shard.draining;
    twin.counters = shard.counters.clone();
    twin
}

fn twin_flight(flight: &flight::Flight<Tiny>) -> flight::Flight<Tiny> {
    flight::Flight {
        itself: flight.itself,
        key: flight.key,
        started: flight.started,
        joinable: flight.joinable,
        task: flight.task,
        crew: twin_crew(&flight.crew),
        hints: flight.hints,
        nested: flight.nested,
        crowded: flight.crowded,
        probed: flight.probed,
        to_ask: flight.to_ask,
    }
}

fn twin_crew(crew: &Crew<Tiny>) -> Crew<Tiny> {
    let leader = crew.has_leader().then(|| crew.iter().next().copied()).flatten();
    Crew::new(leader, crew.iter().skip(leader.is_some().into()).copied().collect())
}

impl Ended {
    pub(super) const ALL: [Self; 3] = [Self::Returned, Self::Panicked, Self::Dropped];
}

/// Where the shard looks for a flight of these books.
pub(super) fn reference(setting: &Setting, flight: &super::Flight) -> FlightRef {
    FlightRef { hash: setting.hash_of(flight.key), id: flight.id }
}

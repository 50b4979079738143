//! Time, and what comes of each step.

mod flights;
mod traffic;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    ops::AddAssign,
    time::Duration,
};

use super::super::lease::{Event, Message, Rules, Time};
use super::{
    judge::Judge,
    net::Step,
    node::Node,
    schedule::{Incident, LEASE, Schedule, millis},
    server::{Planted, Server},
};

/// After the last incident everything has to have ended: leases, waits, and steps of the clock.
const REST: Duration = Duration::from_secs(30);

/// What happened, to see that it does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) calm: u64,
    pub(super) led: u64,
    pub(super) followed: u64,
    pub(super) takeovers: u64,
    pub(super) fenced_out: u64,
    pub(super) alone: u64,
    pub(super) refused: u64,
    pub(super) renewals: u64,
    pub(super) late: u64,
    pub(super) detached: u64,
    pub(super) stored: u64,
    pub(super) strict: u64,
}

pub(super) struct World {
    schedule: Schedule,
    rules: Rules,
    planted: Planted,
    now: Time,
    /// What the server's clock is ahead by, in milliseconds. It begins ahead, so that it can be set back.
    ahead: i64,
    silent_until: Time,
    steps: BinaryHeap<Reverse<(Time, u64)>>,
    /// By their numbers, in which they were planned.
    planned: BTreeMap<u64, Step>,
    next: u64,
    server: Server,
    nodes: Vec<Node>,
    judge: Judge,
    seen: Seen,
}

impl World {
    pub(super) fn new(schedule: Schedule, planted: Planted) -> Self {
        let rules = Rules { lease: LEASE, wait_at_most: schedule.wait_at_most, may_go_alone: schedule.may_go_alone };
        let mut world = Self {
            rules,
            planted,
            now: Time::ZERO,
            ahead: 20_000,
            silent_until: Time::ZERO,
            steps: BinaryHeap::new(),
            planned: BTreeMap::new(),
            next: 0,
            server: Server::new(planted),
            nodes: (0..schedule.nodes).map(Node::new).collect(),
            judge: Judge::default(),
            seen: Seen { calm: u64::from(schedule.is_calm), ..Seen::default() },
            schedule,
        };
        for incident in 0..world.schedule.incidents.len() {
            world.plan(world.schedule.incidents[incident].0, Step::Incident(incident));
        }
        world
    }

    /// What happened, or which rule was broken.
    pub(super) fn run(mut self) -> Result<Seen, String> {
        while let Some(Reverse((at, number))) = self.steps.pop() {
            let step = self.planned.remove(&number).expect("each step is planned once");
            self.now = self.now.max(at);
            if let Some(later) = self.deferred(&step) {
                self.plan(later, step);
                continue;
            }
            self.step(step);
            if let Some(broken) = self.judge.broken.take() {
                return Err(format!("at {:?}: {broken}", self.now));
            }
            if self.now > REST {
                break;
            }
        }
        self.at_rest()
    }

    fn at_rest(mut self) -> Result<Seen, String> {
        for (number, node) in self.nodes.iter().enumerate() {
            let open = node.flights.iter().position(|flight| !flight.is_over);
            self.judge.expect(open.is_none(), || format!("a flight of node {number} never ended: {open:?}"));
            self.judge.expect(node.held.is_empty(), || format!("node {number} still holds a lease"));
        }
        // A clock that was set back takes that long to expire them.
        self.now += REST;
        let wall = self.wall();
        let keys = self.server.keys(wall);
        self.judge.expect(keys == 0, || format!("{keys} keys are left"));
        if self.schedule.is_calm {
            let Seen { takeovers, fenced_out, alone, refused, late, .. } = self.seen;
            let disturbed = takeovers + fenced_out + alone + refused + late;
            // A value that can't be handed over makes others go alone.
            self.judge.expect(disturbed == 0, || format!("calm, and yet {:?}", self.seen));
        }
        match self.judge.broken.take() {
            Some(broken) => Err(broken),
            None => Ok(self.seen),
        }
    }

    fn plan(&mut self, at: Time, step: Step) {
        let number = self.next;
        self.next += 1;
        self.planned.insert(number, step);
        self.steps.push(Reverse((at, number)));
    }

    /// When it can happen, if whoever it happens to stands still.
    fn deferred(&self, step: &Step) -> Option<Time> {
        let until = match step {
            Step::Arrives { .. } => self.silent_until,
            other => self.nodes[other.node()?].paused_until,
        };
        (until > self.now).then_some(until)
    }

    fn wall(&self) -> Time {
        let offset = millis(self.ahead.unsigned_abs());
        if self.ahead < 0 { self.now.saturating_sub(offset) } else { self.now + offset }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Incident(incident) => self.incident(self.schedule.incidents[incident].1),
            Step::Arrives { node, connection, command, request } => self.arrives(node, connection, command, request),
            Step::Answered { node, connection, command, answer } => {
                if self.nodes[node].connection == connection {
                    self.answered(node, command, answer);
                }
            }
            Step::Pushed { node, connection, to, lease, message } => {
                if self.nodes[node].connection == connection
                    && let Some(flight) = self.nodes[node].find(to)
                {
                    self.seen.stored += u64::from(message == Message::Stored);
                    self.tell(node, flight, Event::Pushed(lease, message));
                }
            }
            Step::Reconnected { node, connection } => self.reconnected(node, connection),
            Step::TimedOut { node, command } => self.timed_out(node, command),
            Step::Due { node, flight } => {
                if self.nodes[node].flights[flight].waits.is_some_and(|until| until <= self.now) {
                    self.tell(node, flight, Event::Due);
                }
            }
            Step::WorkEnds { node, flight } => self.work_ends(node, flight),
            Step::Beat { node } => self.beat(node),
        }
    }

    fn incident(&mut self, incident: Incident) {
        let is_paused = |node: &Node| node.paused_until > self.now;
        match incident {
            Incident::Call { node, is_strict } => {
                if !is_paused(&self.nodes[node]) && self.nodes[node].current().is_none() {
                    self.begin(node, is_strict);
                }
            }
            Incident::Pause { node, time } => self.nodes[node].paused_until = self.now + time,
            Incident::Partition { node, time } => self.nodes[node].parted_until = self.now + time,
            Incident::Cut { node } => self.cut(node),
            Incident::Silence { time } => self.silent_until = self.now + time,
            Incident::Step { by } => {
                self.ahead += by;
                if by < 0 {
                    self.judge.set_back();
                }
            }
            Incident::Flush => self.flush(),
            Incident::Restart => {
                self.flush();
                (0..self.nodes.len()).for_each(|node| self.cut(node));
            }
            Incident::Forget { node } => {
                if let Some(flight) = self.nodes[node].current().filter(|_| !is_paused(&self.nodes[node])) {
                    self.nodes[node].flights[flight].live.0.set(false);
                    self.begin(node, false);
                }
            }
            Incident::Drop { node } => {
                if let Some(flight) = self.nodes[node].current().filter(|_| !is_paused(&self.nodes[node])) {
                    self.drop_flight(node, flight);
                }
            }
        }
    }
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.calm += other.calm;
        self.led += other.led;
        self.followed += other.followed;
        self.takeovers += other.takeovers;
        self.fenced_out += other.fenced_out;
        self.alone += other.alone;
        self.refused += other.refused;
        self.renewals += other.renewals;
        self.late += other.late;
        self.detached += other.detached;
        self.stored += other.stored;
        self.strict += other.strict;
    }
}

//! Time, the network, and what comes of each step.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    mem,
    ops::AddAssign,
    time::Duration,
};

use super::super::{
    fail_open::FailOpen,
    lease::{Action, Event, Flight, Held, LeaseId, Message, Reply, Rules, Time},
};
use super::{
    judge::Judge,
    net::{Answer, Request, Step},
    node::{Live, Node, Pending, Running, Work},
    schedule::{Incident, LEASE, OP_TIMEOUT, Schedule, millis},
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

    fn flush(&mut self) {
        self.server.flush();
        self.judge.flushed();
    }

    fn cut(&mut self, node: usize) {
        let downtime = millis(self.schedule.random.u64(1..60));
        let later = self.now.max(self.nodes[node].parted_until) + downtime;
        let node_state = &mut self.nodes[node];
        node_state.connection += 1;
        node_state.is_connected = false;
        let connection = node_state.connection;
        self.plan(later, Step::Reconnected { node, connection });
    }

    /// What had no answer is sent again, once.
    fn reconnected(&mut self, node: usize, connection: u64) {
        let state = &mut self.nodes[node];
        if state.connection != connection {
            return;
        }
        state.is_connected = true;
        let again: Vec<_> =
            state.pending.iter().filter(|(_, pending)| !pending.was_repeated).map(|(command, _)| *command).collect();
        for command in again {
            let pending = self.nodes[node].pending.get_mut(&command).expect("it was just there");
            pending.was_repeated = true;
            let request = pending.request.clone();
            self.deliver(node, command, request);
        }
        for flight in 0..self.nodes[node].flights.len() {
            self.nodes[node].flights[flight].seen = connection;
            self.tell(node, flight, Event::Gap);
        }
    }

    fn begin(&mut self, node: usize, is_strict: bool) {
        let me = match self.planted {
            Planted::TokenOfNode => super::super::lease::Asker { node: node as u64, coalescer: 1, number: 0 },
            _ => self.nodes[node].identity.asker(1),
        };
        let seed = self.schedule.random.u64(..);
        let (logic, action) = Flight::begin(me, self.rules, is_strict, seed, self.now);
        let live = Live::default();
        live.0.set(true);
        self.seen.strict += u64::from(is_strict);
        let running = Running {
            logic,
            me,
            began: self.now,
            is_strict,
            live,
            is_over: false,
            waits: None,
            work: Work::Rests,
            seen: 0,
        };
        self.nodes[node].flights.push(running);
        let flight = self.nodes[node].flights.len() - 1;
        self.act(node, flight, action);
    }

    fn tell(&mut self, node: usize, flight: usize, event: Event) {
        if !self.nodes[node].hears(flight, &event) {
            return;
        }
        let action = self.nodes[node].flights[flight].logic.on(event, self.now);
        self.act(node, flight, action);
    }

    fn act(&mut self, node: usize, flight: usize, action: Action) {
        self.nodes[node].flights[flight].waits = None;
        match action {
            Action::Ask(followed) => {
                let (me, least) = (self.nodes[node].flights[flight].me, self.nodes[node].identity.least_token());
                self.send(node, Some(flight), Request::Ask { me, followed, least });
            }
            Action::Detach(lease) => self.send(node, Some(flight), Request::Detach { lease }),
            Action::Wait(until) => {
                self.nodes[node].flights[flight].waits = Some(until);
                self.plan(until, Step::Due { node, flight });
            }
            Action::Lead(lease) => self.lead(node, flight, lease),
            Action::RunAlone(why) => {
                self.seen.alone += u64::from(why != FailOpen::Unshareable && why != FailOpen::Undecodable);
                self.nodes[node].flights[flight].work = Work::Alone;
                self.work(node, flight);
            }
            Action::Refuse(_) => {
                self.seen.refused += 1;
                self.over(node, flight);
            }
            Action::Answer(lease, outcome) => {
                if self.schedule.random.u8(0..16) == 0 {
                    return self.tell(node, flight, Event::Undecodable);
                }
                let Running { began, is_strict, .. } = self.nodes[node].flights[flight];
                self.judge.followed(lease, &outcome, began, is_strict);
                self.seen.followed += 1;
                self.over(node, flight);
            }
            Action::Publish(lease, message) => {
                if let Message::Outcome(outcome) = &message {
                    self.judge.handed_over(lease, outcome.clone());
                }
                let waits = message != Message::Released;
                self.publish(node, waits.then_some(flight), lease, message);
            }
            Action::End { fenced_out } => {
                self.seen.fenced_out += u64::from(fenced_out);
                self.over(node, flight);
            }
        }
    }

    fn over(&mut self, node: usize, flight: usize) {
        self.nodes[node].flights[flight].is_over = true;
        self.nodes[node].flights[flight].live.0.set(false);
    }

    fn lead(&mut self, node: usize, flight: usize, lease: LeaseId) {
        self.judge.led(lease, (node, flight));
        self.seen.led += 1;
        self.seen.takeovers += u64::from(self.nodes[node].flights[flight].logic.took_over());
        let live = self.nodes[node].flights[flight].live.clone();
        let state = &mut self.nodes[node];
        state.held.hold(lease, live, self.now);
        state.flights[flight].work = Work::Led(lease);
        if !state.beats {
            state.beats = true;
            self.plan(self.now + Held::<Live>::every(LEASE), Step::Beat { node });
        }
        self.work(node, flight);
    }

    fn work(&mut self, node: usize, flight: usize) {
        let random = &mut self.schedule.random;
        let time = millis(if random.u8(0..4) > 0 { random.u64(0..300) } else { random.u64(300..3000) });
        self.plan(self.now + time, Step::WorkEnds { node, flight });
    }

    fn work_ends(&mut self, node: usize, flight: usize) {
        let lease = match mem::replace(&mut self.nodes[node].flights[flight].work, Work::Rests) {
            Work::Rests => return,
            Work::Alone => return self.over(node, flight),
            Work::Led(lease) => lease,
        };
        self.let_go(node, lease);
        let message = match self.schedule.random.u8(0..16) {
            0 => Message::Unshareable,
            _ => Message::Outcome(format!("{node}/{flight}").into_bytes()),
        };
        self.tell(node, flight, Event::Worked(message));
    }

    fn drop_flight(&mut self, node: usize, flight: usize) {
        let work = mem::replace(&mut self.nodes[node].flights[flight].work, Work::Rests);
        if let Work::Led(lease) = work {
            self.let_go(node, lease);
            self.tell(node, flight, Event::Dropped);
        }
        self.over(node, flight);
        // What it waits for comes late.
        let of_it = |pending: &&mut Pending| pending.flight == Some(flight);
        self.nodes[node].pending.values_mut().filter(of_it).for_each(|pending| pending.is_late = true);
    }

    /// First of all, as in the service.
    fn let_go(&mut self, node: usize, lease: LeaseId) {
        if self.planted != Planted::EndlessHeartbeat {
            self.nodes[node].held.release(lease);
        }
    }

    fn beat(&mut self, node: usize) {
        if self.nodes[node].held.is_empty() {
            self.nodes[node].beats = false;
            return;
        }
        let endless = self.planted == Planted::EndlessHeartbeat;
        if endless {
            // So that its own check of the flight doesn't cover for it.
            self.nodes[node].flights.iter().for_each(|flight| flight.live.0.set(true));
        }
        for (lease, _) in self.nodes[node].held.due(self.now) {
            let is_led = self.nodes[node].flights.iter().any(|flight| flight.work == Work::Led(lease));
            self.judge.expect(is_led, || format!("{lease} is renewed after its flight"));
            self.seen.renewals += 1;
            self.send(node, None, Request::Renew { lease });
        }
        self.plan(self.now + Held::<Live>::every(LEASE), Step::Beat { node });
    }

    fn publish(&mut self, node: usize, flight: Option<usize>, lease: LeaseId, message: Message) {
        let is_inline = self.schedule.random.bool();
        self.send(node, flight, Request::Publish { lease, message, is_inline });
    }

    fn send(&mut self, node: usize, flight: Option<usize>, request: Request) {
        let command = self.next;
        let pending = Pending { flight, request: request.clone(), was_repeated: false, is_late: false };
        self.nodes[node].pending.insert(command, pending);
        self.plan(self.now + OP_TIMEOUT, Step::TimedOut { node, command });
        if self.nodes[node].is_connected {
            self.deliver(node, command, request);
        }
    }

    fn deliver(&mut self, node: usize, command: u64, request: Request) {
        let delay = self.delay();
        let state = &mut self.nodes[node];
        let at = (self.now.max(state.parted_until) + delay).max(state.last_sent);
        state.last_sent = at;
        let connection = state.connection;
        self.plan(at, Step::Arrives { node, connection, command, request });
    }

    /// Mostly short, and in calm schedules always.
    fn delay(&mut self) -> Duration {
        let most = if self.schedule.is_calm || self.schedule.random.u8(0..8) > 0 { 5_000 } else { 120_000 };
        Duration::from_micros(self.schedule.random.u64(50..most))
    }

    /// A command of a connection that was cut meanwhile may have arrived before that, or not.
    fn arrives(&mut self, node: usize, connection: u64, command: u64, request: Request) {
        if self.nodes[node].connection != connection && self.schedule.random.bool() {
            return;
        }
        // No two commands run within one microsecond.
        self.now += Duration::from_micros(1);
        let wall = self.wall();
        self.judge.looked(wall);
        let answer = match request {
            Request::Ask { me, followed, least } => {
                let reply = self.server.ask(me, followed, LEASE, least, wall);
                if let Reply::Leads(lease) = reply {
                    self.judge.granted(lease, self.now, wall);
                }
                Answer::Asked(reply)
            }
            Request::Publish { lease, message, is_inline } => {
                let (was_there, pushes) = self.server.publish(lease, &message, is_inline, LEASE, wall);
                if was_there {
                    self.judge.published(lease, self.now);
                }
                for (to, lease, message) in pushes {
                    let to_node = usize::try_from(to.node).expect("nodes are few");
                    let (at, connection) = self.arrival(to_node);
                    if self.nodes[to_node].is_connected {
                        self.plan(at, Step::Pushed { node: to_node, connection, to, lease, message });
                    }
                }
                Answer::Published(was_there)
            }
            Request::Renew { lease } => {
                let was_there = self.server.renew(lease, LEASE, wall);
                if was_there {
                    self.judge.renewed(lease, wall);
                }
                Answer::Flag
            }
            Request::Detach { lease } => {
                let was_there = self.server.detach(lease, wall);
                if was_there {
                    self.judge.detached(lease);
                    self.seen.detached += 1;
                }
                Answer::Flag
            }
        };
        let (at, _) = self.arrival(node);
        self.plan(at, Step::Answered { node, connection, command, answer });
    }

    /// When what the server sends to the node now arrives, and on which connection.
    fn arrival(&mut self, node: usize) -> (Time, u64) {
        let delay = self.delay();
        let state = &mut self.nodes[node];
        let at = (self.now.max(state.parted_until) + delay).max(state.last_received);
        state.last_received = at;
        (at, state.connection)
    }

    fn answered(&mut self, node: usize, command: u64, answer: Answer) {
        let Some(Pending { flight, request, is_late, .. }) = self.nodes[node].pending.remove(&command) else { return };
        if let Answer::Asked(Reply::Leads(lease) | Reply::Follows(lease, _)) = &answer {
            self.nodes[node].identity.saw(*lease);
        }
        if is_late {
            self.seen.late += 1;
            if let (Answer::Asked(reply), Request::Ask { me, .. }) = (&answer, &request)
                && let Some(Action::Publish(lease, message)) = Flight::late(*me, reply)
            {
                self.publish(node, None, lease, message);
            }
            return;
        }
        let Some(flight) = flight else { return };
        let event = match answer {
            // With the look at whose end it is left out.
            Answer::Asked(Reply::Ended(lease, Message::Outcome(outcome))) if self.planted == Planted::ResultForAll => {
                return self.act(node, flight, Action::Answer(lease, outcome));
            }
            Answer::Asked(reply) => Event::Asked(Ok(reply)),
            Answer::Published(was_there) => Event::Published(Ok(was_there)),
            Answer::Flag => Event::Detached(Ok(())),
        };
        self.tell(node, flight, event);
    }

    fn timed_out(&mut self, node: usize, command: u64) {
        let Some(pending) = self.nodes[node].pending.get_mut(&command) else { return };
        if pending.is_late {
            return;
        }
        pending.is_late = true;
        let event = match pending.request {
            Request::Ask { .. } => Event::Asked(Err(FailOpen::Timeout)),
            Request::Publish { .. } => Event::Published(Err(FailOpen::Timeout)),
            Request::Detach { .. } => Event::Detached(Err(FailOpen::Timeout)),
            Request::Renew { .. } => return,
        };
        if let Some(flight) = pending.flight {
            self.tell(node, flight, event);
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

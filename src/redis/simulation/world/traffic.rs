//! What the simulated nodes and the server send each other, and how connections break.

use std::time::Duration;

use super::World;
use crate::redis::{
    fail_open::FailOpen,
    lease::{Action, Event, Flight, Message, Reply, Time},
    simulation::{
        net::{Answer, Request, Step},
        node::Pending,
        schedule::{LEASE, OP_TIMEOUT, millis},
        server::Planted,
    },
};

impl World {
    pub(super) fn flush(&mut self) {
        self.server.flush();
        self.judge.flushed();
    }

    pub(super) fn cut(&mut self, node: usize) {
        let downtime = millis(self.schedule.random.u64(1..60));
        let later = self.now.max(self.nodes[node].parted_until) + downtime;
        let node_state = &mut self.nodes[node];
        node_state.connection += 1;
        node_state.is_connected = false;
        let connection = node_state.connection;
        self.plan(later, Step::Reconnected { node, connection });
    }

    /// What had no answer is sent again, once.
    pub(super) fn reconnected(&mut self, node: usize, connection: u64) {
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

    pub(super) fn send(&mut self, node: usize, flight: Option<usize>, request: Request) {
        let command = self.next;
        let pending = Pending { flight, request: request.clone(), was_repeated: false, is_late: false };
        self.nodes[node].pending.insert(command, pending);
        self.plan(self.now + OP_TIMEOUT, Step::TimedOut { node, command });
        if self.nodes[node].is_connected {
            self.deliver(node, command, request);
        }
    }

    pub(super) fn deliver(&mut self, node: usize, command: u64, request: Request) {
        let delay = self.delay();
        let state = &mut self.nodes[node];
        let at = (self.now.max(state.parted_until) + delay).max(state.last_sent);
        state.last_sent = at;
        let connection = state.connection;
        self.plan(at, Step::Arrives { node, connection, command, request });
    }

    /// Mostly short, and in quick schedules always.
    pub(super) fn delay(&mut self) -> Duration {
        let most = if self.schedule.is_quick || self.schedule.random.u8(0..8) > 0 { 5_000 } else { 120_000 };
        Duration::from_micros(self.schedule.random.u64(50..most))
    }

    /// A command of a connection that was cut meanwhile may have arrived before that, or not.
    pub(super) fn arrives(&mut self, node: usize, connection: u64, command: u64, request: Request) {
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
            Request::Renew { lease, .. } => {
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
    pub(super) fn arrival(&mut self, node: usize) -> (Time, u64) {
        let delay = self.delay();
        let state = &mut self.nodes[node];
        let at = (self.now.max(state.parted_until) + delay).max(state.last_received);
        state.last_received = at;
        (at, state.connection)
    }

    pub(super) fn answered(&mut self, node: usize, command: u64, answer: Answer) {
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
        if let Request::Renew { lease, due } = request {
            self.nodes[node].held.renewed(lease, due);
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

    pub(super) fn timed_out(&mut self, node: usize, command: u64) {
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

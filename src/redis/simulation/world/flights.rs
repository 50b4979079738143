//! The flights of the simulated nodes: what becomes of each.

use std::mem;

use super::World;
use crate::redis::{
    fail_open::FailOpen,
    lease::{Action, Asker, Event, Flight, Held, LeaseId, Message},
    simulation::{
        net::{Request, Step},
        node::{Live, Pending, Running, Work},
        schedule::{LEASE, millis},
        server::Planted,
    },
};

impl World {
    pub(super) fn begin(&mut self, node: usize, is_strict: bool) {
        let me = match self.planted {
            Planted::TokenOfNode => Asker { node: node as u64, coalescer: 1, number: 0 },
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
            asked: self.now,
        };
        self.nodes[node].flights.push(running);
        let flight = self.nodes[node].flights.len() - 1;
        self.act(node, flight, action);
    }

    pub(super) fn tell(&mut self, node: usize, flight: usize, event: Event) {
        if !self.nodes[node].hears(flight, &event) {
            return;
        }
        let action = self.nodes[node].flights[flight].logic.on(event, self.now);
        self.act(node, flight, action);
    }

    pub(super) fn act(&mut self, node: usize, flight: usize, action: Action) {
        self.nodes[node].flights[flight].waits = None;
        match action {
            Action::Ask(followed) => {
                self.nodes[node].flights[flight].asked = self.now;
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

    pub(super) fn over(&mut self, node: usize, flight: usize) {
        self.nodes[node].flights[flight].is_over = true;
        self.nodes[node].flights[flight].live.0.set(false);
    }

    pub(super) fn lead(&mut self, node: usize, flight: usize, lease: LeaseId) {
        self.judge.led(lease, (node, flight));
        self.seen.led += 1;
        self.seen.takeovers += u64::from(self.nodes[node].flights[flight].logic.took_over());
        let live = self.nodes[node].flights[flight].live.clone();
        let state = &mut self.nodes[node];
        state.held.hold(lease, live, state.flights[flight].asked);
        state.flights[flight].work = Work::Led(lease);
        if !state.beats {
            state.beats = true;
            self.plan(self.now + Held::<Live>::every(LEASE), Step::Beat { node });
        }
        self.work(node, flight);
    }

    pub(super) fn work(&mut self, node: usize, flight: usize) {
        let random = &mut self.schedule.random;
        let time = millis(if random.u8(0..4) > 0 { random.u64(0..300) } else { random.u64(300..3000) });
        self.plan(self.now + time, Step::WorkEnds { node, flight });
    }

    pub(super) fn work_ends(&mut self, node: usize, flight: usize) {
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

    pub(super) fn drop_flight(&mut self, node: usize, flight: usize) {
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
    pub(super) fn let_go(&mut self, node: usize, lease: LeaseId) {
        if self.planted != Planted::EndlessHeartbeat {
            self.nodes[node].held.release(lease);
        }
    }

    pub(super) fn beat(&mut self, node: usize) {
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
            self.nodes[node].held.begins(lease);
            self.send(node, None, Request::Renew { lease, due: self.now });
        }
        self.plan(self.now + Held::<Live>::every(LEASE), Step::Beat { node });
    }

    pub(super) fn publish(&mut self, node: usize, flight: Option<usize>, lease: LeaseId, message: Message) {
        let is_inline = self.schedule.random.bool();
        self.send(node, flight, Request::Publish { lease, message, is_inline });
    }
}

//! What a flight does about its key's lease, step by step.

use std::time::Duration;

use super::{Asker, LeaseId, Time};
use crate::redis::fail_open::FailOpen;

/// What all flights of a node go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) lease: Duration,
    /// For how long a flight follows others before it goes alone.
    pub(crate) wait_at_most: Option<Duration>,
    /// Whether work may run without a lease when Redis can't be asked.
    pub(crate) may_go_alone: bool,
}

/// What the server says to an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The asker has the lease now.
    Leads(LeaseId),
    /// Another has it, for so long unless it is renewed. The asker will be told how it ended. `None`: for ever, which is none
    /// of ours.
    Follows(LeaseId, Option<Duration>),
    /// The lease that the asker follows has ended, so.
    Ended(LeaseId, Message),
}

/// How a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// With an outcome, which may or may not make sense here.
    Outcome(Vec<u8>),
    /// With an outcome that is with the server, to be asked for.
    Stored,
    /// With a value that can't be handed over.
    Unshareable,
    /// Without one: its work was dropped.
    Released,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Asked(Result<Reply, FailOpen>),
    Detached(Result<(), FailOpen>),
    /// The server has pushed the end of a lease.
    Pushed(LeaseId, Message),
    /// A push may have been missed: the connection was another one.
    Gap,
    /// The time of [`Action::Wait`] has come.
    Due,
    /// The breaker has opened.
    Opened,
    /// The outcome that was handed over says nothing to this process.
    Undecodable,
    /// The work has ended, with a value or a panic that can be handed over, or with one that can't.
    Worked(Message),
    /// The flight was dropped before that.
    Dropped,
    /// Whether the lease was still there to be given back.
    Published(Result<bool, FailOpen>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask for the lease, or for the end of the one that is followed.
    Ask(Option<LeaseId>),
    /// Move this lease aside and let it end in its own time.
    Detach(LeaseId),
    /// Wait for [`Event::Pushed`], [`Event::Gap`] and [`Event::Opened`] until then.
    Wait(Time),
    /// Run the work under this lease.
    Lead(LeaseId),
    /// Run the work without one.
    RunAlone(FailOpen),
    /// Don't run the work.
    Refuse(FailOpen),
    /// Give the callers this outcome of another's work, under that lease.
    Answer(LeaseId, Vec<u8>),
    /// Give the lease back, with this for those who follow.
    Publish(LeaseId, Message),
    /// The flight is over; `true`: its lease was another's by then.
    End { fenced_out: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Detaching,
    Waiting,
    Answering,
    Leading(LeaseId),
    Publishing,
    Over,
}

/// A flight on its way to an outcome.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    me: Asker,
    rules: Rules,
    state: State,
    began: Time,
    /// The lease that it follows.
    followed: Option<LeaseId>,
    /// Work that began before this flight isn't to be shared: so not the first lease that is found, but one after it.
    is_strict: bool,
    outdated: Option<LeaseId>,
    /// When the lease that it follows is over, unless it is renewed, or when it asks in any case.
    until: Time,
    random: u64,
    took_over: bool,
}

impl Flight {
    /// `seed` spreads what flights of several nodes would do at the same moment.
    pub(crate) fn begin(me: Asker, rules: Rules, is_strict: bool, seed: u64, now: Time) -> (Self, Action) {
        let flight = Self {
            me,
            rules,
            state: State::Asking,
            began: now,
            followed: None,
            is_strict,
            outdated: None,
            until: now,
            random: seed,
            took_over: false,
        };
        (flight, Action::Ask(None))
    }

    /// Whether it leads because the lease that it followed ended without a word.
    pub(crate) fn took_over(&self) -> bool {
        self.took_over
    }

    /// What to do with an answer to an ask of a flight that no longer waits for it: give back what nobody will use.
    pub(crate) fn late(me: Asker, reply: &Reply) -> Option<Action> {
        match reply {
            // One that it follows: the ask was sent twice, as its connection was lost, and the first has got it.
            Reply::Leads(lease) | Reply::Follows(lease, _) if lease.holder == me => {
                Some(Action::Publish(*lease, Message::Released))
            }
            _ => None,
        }
    }

    pub(crate) fn on(&mut self, event: Event, now: Time) -> Action {
        match (self.state, event) {
            (State::Asking, Event::Asked(Ok(reply))) => self.on_reply(reply, now),
            (State::Asking | State::Detaching, Event::Asked(Err(failure)) | Event::Detached(Err(failure))) => {
                self.go_alone(failure)
            }
            (State::Detaching, Event::Detached(Ok(()))) => self.ask(None),
            (State::Waiting, Event::Pushed(lease, message)) if self.followed == Some(lease) => {
                self.on_end(lease, message)
            }
            (State::Waiting, Event::Gap) => {
                // All flights of all nodes hear of a restart at once.
                self.until = self.until.min(now + self.jitter(self.rules.lease / 8));
                Action::Wait(self.until)
            }
            (State::Waiting, Event::Due) if now < self.until => Action::Wait(self.until),
            (State::Waiting, Event::Due) if self.has_waited_enough(now) => self.go_alone(FailOpen::WaitLimit),
            (State::Waiting, Event::Due) => self.ask(self.followed.filter(|lease| self.outdated != Some(*lease))),
            (State::Waiting, Event::Opened) => self.go_alone(FailOpen::Open),
            (State::Waiting, _) => Action::Wait(self.until),
            (State::Answering, Event::Undecodable) => self.run_it_here(FailOpen::Undecodable),
            (State::Leading(lease), Event::Worked(message)) => {
                self.state = State::Publishing;
                Action::Publish(lease, message)
            }
            (State::Leading(lease), Event::Dropped) => {
                self.state = State::Over;
                Action::Publish(lease, Message::Released)
            }
            (State::Publishing, Event::Published(result)) => {
                self.state = State::Over;
                Action::End { fenced_out: result == Ok(false) }
            }
            (_, _) => Action::End { fenced_out: false },
        }
    }

    fn on_reply(&mut self, reply: Reply, now: Time) -> Action {
        match reply {
            // One that it follows: it had to connect anew, and has asked twice.
            Reply::Leads(lease) | Reply::Follows(lease, _) if lease.holder == self.me => self.lead(lease),
            // A flight of this coalescer that its joins no longer find, or that is over and whose end got lost. To follow it would
            // be to share what this coalescer has decided not to share any more.
            Reply::Follows(lease, _) if lease.holder.is_beside(self.me) => {
                self.state = State::Detaching;
                Action::Detach(lease)
            }
            Reply::Follows(lease, left) => self.follow(lease, left, now),
            Reply::Ended(lease, message) if self.followed == Some(lease) => self.on_end(lease, message),
            Reply::Leads(_) | Reply::Ended(..) => self.go_alone(FailOpen::Error),
        }
    }

    fn lead(&mut self, lease: LeaseId) -> Action {
        self.took_over = self.followed.is_some() && self.followed != self.outdated;
        self.state = State::Leading(lease);
        Action::Lead(lease)
    }

    fn follow(&mut self, lease: LeaseId, left: Option<Duration>, now: Time) -> Action {
        if self.is_strict && self.outdated.is_none() {
            self.outdated = Some(lease);
        }
        if self.has_waited_enough(now) {
            return self.go_alone(FailOpen::WaitLimit);
        }
        self.followed = Some(lease);
        self.state = State::Waiting;
        // Every half of a lease in any case: a push may get lost though its connection lives.
        let half = self.rules.lease / 2;
        let wait = left.map_or(half, |left| left.min(half));
        self.until = now + wait + self.jitter(self.rules.lease / 16);
        if let Some(limit) = self.rules.wait_at_most {
            self.until = self.until.min(self.began + limit);
        }
        Action::Wait(self.until)
    }

    fn on_end(&mut self, lease: LeaseId, message: Message) -> Action {
        // It is over, so who leads next takes nothing over.
        self.followed = None;
        if self.outdated == Some(lease) {
            return self.ask(None);
        }
        match message {
            Message::Outcome(outcome) => {
                self.state = State::Answering;
                Action::Answer(lease, outcome)
            }
            Message::Stored => {
                self.followed = Some(lease);
                self.ask(Some(lease))
            }
            Message::Unshareable => self.run_it_here(FailOpen::Unshareable),
            Message::Released => self.ask(None),
        }
    }

    fn ask(&mut self, followed: Option<LeaseId>) -> Action {
        self.state = State::Asking;
        Action::Ask(followed)
    }

    /// The outcome of another's work is of no use. One by one the nodes would be slow, so they run theirs at once, unless
    /// none may without a lease.
    fn run_it_here(&mut self, why: FailOpen) -> Action {
        if self.rules.may_go_alone { self.go_alone(why) } else { self.ask(None) }
    }

    fn go_alone(&mut self, why: FailOpen) -> Action {
        self.state = State::Over;
        if self.rules.may_go_alone { Action::RunAlone(why) } else { Action::Refuse(why) }
    }

    fn has_waited_enough(&self, now: Time) -> bool {
        self.rules.wait_at_most.is_some_and(|limit| now.saturating_sub(self.began) >= limit)
    }

    /// Up to `most`, by `SplitMix64`.
    fn jitter(&mut self, most: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        most.mul_f64((mixed >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

impl Asker {
    /// Another flight of the same coalescer.
    fn is_beside(self, other: Self) -> bool {
        self.node == other.node && self.coalescer == other.coalescer && self.number != other.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(16);
    const RULES: Rules = Rules { lease: LEASE, wait_at_most: None, may_go_alone: true };
    const ME: Asker = Asker { node: 1, coalescer: 1, number: 1 };
    const THEIRS: LeaseId = LeaseId { token: 7, holder: Asker { node: 2, coalescer: 1, number: 1 } };

    #[test]
    fn a_follower_asks_soon_when_a_push_may_be_lost() {
        let (mut flight, action) = Flight::begin(ME, RULES, false, 1, Time::ZERO);
        assert_eq!(action, Action::Ask(None));
        let follows = Event::Asked(Ok(Reply::Follows(THEIRS, Some(LEASE))));
        let Action::Wait(until) = flight.on(follows, Time::ZERO) else { panic!("it follows") };
        assert!(until >= LEASE / 2, "{until:?}");
        let now = Duration::from_secs(1);
        let Action::Wait(until) = flight.on(Event::Gap, now) else { panic!("it waits on") };
        assert!(until <= now + LEASE / 8, "{until:?}");
        assert_eq!(flight.on(Event::Due, until), Action::Ask(Some(THEIRS)));
    }
    #[test]
    fn a_lease_that_was_got_by_an_ask_that_was_sent_twice_is_given_back() {
        let mine = LeaseId { token: 7, holder: ME };
        let given_back = Some(Action::Publish(mine, Message::Released));
        assert_eq!(Flight::late(ME, &Reply::Leads(mine)), given_back);
        assert_eq!(Flight::late(ME, &Reply::Follows(mine, Some(LEASE))), given_back);
        assert_eq!(Flight::late(ME, &Reply::Follows(THEIRS, Some(LEASE))), None);
    }
}

//! A flight on its way through the cluster: carries out what [`lease::Flight`](super::lease::Flight) says.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    pin::pin,
    sync::{Arc, Weak},
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use tokio::sync::watch;

use super::{
    codec::Codec,
    envelope::{self, Outcome, Unshareable},
    fail_open::FailOpen,
    fence::Fence,
    heartbeat::{Holder, Holding},
    lease::{Action, Asker, Event, Flight, LeaseId, Message, Time},
    link::Standing,
    mailboxes::Mailbox,
    node::Node,
    scripts::Keys,
    trace,
    within::within,
};
use crate::{
    task::current::AnyRecord,
    unwind::{Contained, from_payload},
};

/// All that a flight needs but its work.
pub(super) struct Drive<C> {
    pub(super) node: Arc<Node>,
    pub(super) codec: Arc<C>,
    pub(super) keys: Arc<Keys>,
    pub(super) me: Asker,
    pub(super) is_strict: bool,
    /// The flight's own, for its renewals.
    pub(super) record: Weak<dyn AnyRecord>,
}

impl<C> Drive<C> {
    pub(super) async fn run<V, F, Fut>(self, work: F) -> V
    where
        C: Codec<V>,
        F: FnOnce(Fence) -> Fut,
        Fut: Future<Output = V>,
    {
        let work = Contained::new(work);
        let node = &self.node;
        let mut mailbox = Mailbox::open(&node.mailboxes, self.me.number);
        let mut watch = Watch { standing: node.link.watch(), seen: 0 };
        let rules = node.config.rules;
        let (mut flight, mut action) = Flight::begin(self.me, rules, self.is_strict, node.seed(), node.now());
        loop {
            let event = match action {
                Action::Ask(followed) => {
                    let asked = node.ask_for(&self.keys, self.me, followed).await;
                    Event::Asked(asked.map(|(reply, generation)| {
                        watch.seen = generation;
                        reply
                    }))
                }
                Action::Detach(lease) => Event::Detached(node.detach(&self.keys, lease).await),
                Action::Wait(until) => self.wait(until, &mut mailbox, &mut watch).await,
                Action::Lead(lease) => {
                    drop((mailbox, watch));
                    return self.lead(flight, lease, work.into_inner()).await;
                }
                Action::RunAlone(why) => {
                    drop((mailbox, watch));
                    node.counters.fail_opens[why as usize].up();
                    trace::failed_open(&node.config.namespace, why);
                    return work.into_inner()(Fence::none()).await;
                }
                Action::Refuse(why) => refuse(node, why),
                Action::Answer(lease, outcome) => match envelope::decode(&*self.codec, node.config.version, &outcome) {
                    None => Event::Undecodable,
                    Some(outcome) => {
                        node.counters.followed.up();
                        trace::followed(&node.config.namespace, lease.token);
                        match outcome {
                            Outcome::Value(value) => return value,
                            Outcome::Panicked(text) => resume_unwind(Box::new(format!("{text} (in another process)"))),
                        }
                    }
                },
                Action::Publish(..) | Action::End { .. } => {
                    unreachable!("only a flight that leads has a lease to give back")
                }
            };
            action = flight.on(event, node.now());
        }
    }

    async fn wait(&self, until: Time, mailbox: &mut Mailbox, watch: &mut Watch) -> Event {
        loop {
            let left = until.saturating_sub(self.node.now());
            if let Some(event) = next(left, mailbox, &mut watch.standing).await {
                return event;
            }
            if let Some(event) = watch.event() {
                return event;
            }
        }
    }

    async fn lead<V, F, Fut>(self, flight: Flight, lease: LeaseId, work: F) -> V
    where
        C: Codec<V>,
        F: FnOnce(Fence) -> Fut,
        Fut: Future<Output = V>,
    {
        let Self { node, codec, keys, record, .. } = self;
        node.counters.led.up();
        let took_over = flight.took_over();
        if took_over {
            node.counters.takeovers.up();
        }
        trace::led(&node.config.namespace, lease.token, took_over);
        let is_lost = Arc::default();
        let holder = Holder { keys: Arc::clone(&keys), record, is_lost: Arc::clone(&is_lost) };
        let holding = Holding::new(&node, lease, holder);
        let leading =
            Leading { node: Arc::clone(&node), keys: Arc::clone(&keys), flight: Some(flight), holding: Some(holding) };

        let fence = Fence::of(lease.token, is_lost);
        // The work's future is gone before its outcome is published.
        let worked = AssertUnwindSafe(async move { work(fence).await }).catch_unwind().await;
        let (message, worked) = match worked {
            Ok(value) => (share(&node, &*codec, &value), Ok(value)),
            Err(payload) => {
                let panic = from_payload(payload);
                (Message::Outcome(envelope::encode_panic(&panic)), Err(panic))
            }
        };
        // A value whose publication is cut short is dropped where that is harmless.
        let worked = Contained::new(worked);
        leading.publish(message).await;
        match worked.into_inner() {
            Ok(value) => value,
            Err(panic) => resume_unwind(Box::new(panic.message().to_owned())),
        }
    }
}

/// The next push, or the end of the wait. `None` if the connection stands otherwise now.
async fn next(left: Time, mailbox: &mut Mailbox, standing: &mut watch::Receiver<Standing>) -> Option<Event> {
    let (pushed, changed) = (pin!(mailbox.messages.recv()), pin!(standing.changed()));
    match within(left, select(pushed, changed)).await {
        None | Some(Either::Left((None, _)) | Either::Right((Err(_), _))) => Some(Event::Due),
        Some(Either::Left((Some((lease, message)), _))) => Some(Event::Pushed(lease, message)),
        Some(Either::Right((Ok(()), _))) => None,
    }
}

/// How the connection stands, as far as a flight has seen it.
struct Watch {
    standing: watch::Receiver<Standing>,
    /// The generation in which the flight asked last.
    seen: u64,
}

impl Watch {
    fn event(&mut self) -> Option<Event> {
        let standing = self.standing.borrow_and_update();
        if standing.is_open {
            return Some(Event::Opened);
        }
        let is_gap = standing.connection.is_some() && standing.generation != self.seen;
        is_gap.then(|| {
            self.seen = standing.generation;
            Event::Gap
        })
    }
}

/// A flight with a lease. Dropped before its work has ended, it gives the lease back.
struct Leading {
    node: Arc<Node>,
    keys: Arc<Keys>,
    flight: Option<Flight>,
    holding: Option<Holding>,
}

impl Leading {
    async fn publish(mut self, message: Message) {
        let Some(mut flight) = self.flight.take() else { return };
        // First of all, so that no renewal begins once the lease is given back.
        self.holding = None;
        let (node, keys) = (&self.node, &self.keys);
        let Action::Publish(lease, message) = flight.on(Event::Worked(message), node.now()) else { return };
        let published = node.publish(keys, lease, &message).await;
        if published.is_err() {
            node.counters.publish_failures.up();
        }
        if let Action::End { fenced_out: true } = flight.on(Event::Published(published), node.now()) {
            node.counters.fenced_out.up();
            trace::fenced_out(&node.config.namespace, lease.token);
        }
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        let Some(mut flight) = self.flight.take() else { return };
        self.holding = None;
        if let Action::Publish(lease, message) = flight.on(Event::Dropped, self.node.now()) {
            self.node.publish_unheard(&self.keys, lease, &message);
        }
    }
}

fn share<V, C: Codec<V>>(node: &Node, codec: &C, value: &V) -> Message {
    match envelope::encode(codec, node.config.version, node.config.max_value, value) {
        Ok(outcome) => Message::Outcome(outcome),
        Err(why) => {
            match why {
                Unshareable::TooLarge => node.counters.too_large.up(),
                Unshareable::Unencodable => node.counters.encode_errors.up(),
            }
            Message::Unshareable
        }
    }
}

/// Ends the flight of work that must not run without a lease.
pub(super) fn refuse(node: &Node, why: FailOpen) -> ! {
    node.counters.refusals.up();
    trace::failed_open(&node.config.namespace, why);
    resume_unwind(Box::new(why.refusal()))
}

//! A flight on its way to a lease or to another's outcome: carries out what [`lease::Flight`](super::lease::Flight) says, on the
//! node's own thread.

use std::{
    pin::pin,
    sync::{Arc, Weak, atomic::AtomicBool},
};

use futures_util::future::{Either, select};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    fail_open::FailOpen,
    heartbeat::{Holder, Holding},
    lease::{Action, Asker, Event, Flight, LeaseId, Message, Time},
    link::Standing,
    mailboxes::Mailbox,
    node::Node,
    scripts::Keys,
};
use crate::task::current::AnyRecord;

/// A flight, as far as Redis is concerned.
pub(super) struct Seeker {
    pub(super) node: Arc<Node>,
    pub(super) keys: Arc<Keys>,
    pub(super) me: Asker,
    pub(super) is_strict: bool,
    /// The flight's own, for its renewals.
    pub(super) record: Weak<dyn AnyRecord>,
}

/// What it comes to.
pub(super) enum Found {
    Lead(Leading),
    RunAlone(FailOpen),
    Refuse(FailOpen),
    /// If the outcome can't be decoded, seek on.
    Answer(LeaseId, Vec<u8>, Flight),
}

impl Seeker {
    pub(super) fn begin(&self) -> (Flight, Action) {
        let node = &self.node;
        Flight::begin(self.me, node.config.rules, self.is_strict, node.seed(), node.now())
    }

    /// On the node's thread. Ends early if nobody waits for it any more.
    pub(super) async fn seek(&self, flight: Flight, action: Action) -> Found {
        let (reply, found) = oneshot::channel();
        let Some(runtime) = self.node.connected() else { return self.without_a_thread() };
        let seeker = self.clone();
        runtime.spawn(async move { seeker.seek_here(flight, action, reply).await });
        found.await.unwrap_or_else(|_| self.without_a_thread())
    }

    fn without_a_thread(&self) -> Found {
        let may_go_alone = self.node.config.rules.may_go_alone;
        if may_go_alone { Found::RunAlone(FailOpen::Error) } else { Found::Refuse(FailOpen::Error) }
    }

    async fn seek_here(self, mut flight: Flight, mut action: Action, mut reply: oneshot::Sender<Found>) {
        let Self { node, keys, me, record, .. } = &self;
        let mut mailbox = Mailbox::open(&node.mailboxes, me.number);
        let mut watch = Watch { standing: node.link.watch(), seen: 0 };
        let mut asked_at = Time::ZERO;
        let found = loop {
            let event = match action {
                Action::Ask(followed) => {
                    asked_at = node.now();
                    let asked = node.ask_for(keys, *me, followed).await;
                    Event::Asked(asked.map(|(reply, generation)| {
                        watch.seen = generation;
                        reply
                    }))
                }
                Action::Detach(lease) => Event::Detached(node.detach(keys, lease).await),
                Action::Wait(until) => match self.wait(until, &mut mailbox, &mut watch, &mut reply).await {
                    Some(event) => event,
                    None => return,
                },
                Action::Lead(lease) => break Found::Lead(Leading::new(node, keys, record, (lease, asked_at), flight)),
                Action::RunAlone(why) => break Found::RunAlone(why),
                Action::Refuse(why) => break Found::Refuse(why),
                Action::Answer(lease, outcome) => break Found::Answer(lease, outcome, flight),
                Action::Publish(..) | Action::End { .. } => {
                    unreachable!("only a flight that leads has a lease to give back")
                }
            };
            action = flight.on(event, node.now());
        };
        // Before the flight goes on, which may be the end of all it can be seen by.
        drop(mailbox);
        // A lease that nobody takes is given back in the drop.
        drop(reply.send(found));
    }

    /// `None` if the flight is gone.
    async fn wait(
        &self,
        until: Time,
        mailbox: &mut Mailbox,
        watch: &mut Watch,
        reply: &mut oneshot::Sender<Found>,
    ) -> Option<Event> {
        loop {
            let left = until.saturating_sub(self.node.now());
            match timeout(left, next(mailbox, &mut watch.standing, reply)).await {
                Err(_) => return Some(Event::Due),
                Ok(Next::Pushed(lease, message)) => return Some(Event::Pushed(lease, message)),
                Ok(Next::Gone) => return None,
                Ok(Next::Changed) => {}
            }
            if let Some(event) = watch.event() {
                return Some(event);
            }
        }
    }
}

impl Clone for Seeker {
    fn clone(&self) -> Self {
        Self {
            node: Arc::clone(&self.node),
            keys: Arc::clone(&self.keys),
            me: self.me,
            is_strict: self.is_strict,
            record: Weak::clone(&self.record),
        }
    }
}

/// What ends a wait before its time.
enum Next {
    Pushed(LeaseId, Message),
    /// The connection stands otherwise now.
    Changed,
    /// Nobody waits for the flight's outcome.
    Gone,
}

async fn next(
    mailbox: &mut Mailbox,
    standing: &mut watch::Receiver<Standing>,
    reply: &mut oneshot::Sender<Found>,
) -> Next {
    let (pushed, changed, gone) = (pin!(mailbox.messages.recv()), pin!(standing.changed()), pin!(reply.closed()));
    match select(pushed, select(changed, gone)).await {
        Either::Left((Some((lease, message)), _)) => Next::Pushed(lease, message),
        Either::Right((Either::Left(_), _)) => Next::Changed,
        // (The node has the other end of the mailbox, and the seeker has the node.)
        Either::Left((None, _)) | Either::Right((Either::Right(_), _)) => Next::Gone,
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
pub(super) struct Leading {
    node: Arc<Node>,
    keys: Arc<Keys>,
    pub(super) lease: LeaseId,
    /// The server has said that the lease is another's.
    pub(super) is_lost: Arc<AtomicBool>,
    flight: Option<Flight>,
    holding: Option<Holding>,
}

impl Leading {
    /// With a lease, and when it was asked for.
    fn new(
        node: &Arc<Node>,
        keys: &Arc<Keys>,
        record: &Weak<dyn AnyRecord>,
        (lease, asked): (LeaseId, Time),
        flight: Flight,
    ) -> Self {
        let is_lost = Arc::default();
        let holder = Holder { keys: Arc::clone(keys), record: Weak::clone(record), is_lost: Arc::clone(&is_lost) };
        let holding = Some(Holding::new(node, lease, holder, asked));
        Self { node: Arc::clone(node), keys: Arc::clone(keys), lease, is_lost, flight: Some(flight), holding }
    }

    /// Whether the flight that it followed ended without a word.
    pub(super) fn took_over(&self) -> bool {
        self.flight.as_ref().is_some_and(Flight::took_over)
    }

    /// Gives the lease back, with the outcome for those who follow. Goes on if nobody waits for it. Whether the lease was another's.
    pub(super) async fn publish(mut self, message: Message) -> bool {
        let Some((mut flight, action)) = self.end(Event::Worked(message)) else { return false };
        let Action::Publish(lease, message) = action else { return false };
        let (node, keys) = (Arc::clone(&self.node), Arc::clone(&self.keys));
        let (reply, published) = oneshot::channel();
        let Some(runtime) = self.node.connected() else { return false };
        runtime.spawn(async move {
            let published = node.publish(&keys, lease, &message).await;
            if published.is_err() {
                node.counters.publish_failures.up();
            }
            let ended = flight.on(Event::Published(published), node.now());
            let _ = reply.send(ended == Action::End { fenced_out: true });
        });
        published.await.unwrap_or(false)
    }

    /// First of all, the lease is no longer renewed: so no renewal begins once it is given back.
    fn end(&mut self, event: Event) -> Option<(Flight, Action)> {
        let mut flight = self.flight.take()?;
        self.holding = None;
        let action = flight.on(event, self.node.now());
        Some((flight, action))
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        let Some((_, Action::Publish(lease, message))) = self.end(Event::Dropped) else { return };
        let (node, keys) = (Arc::clone(&self.node), Arc::clone(&self.keys));
        if let Some(runtime) = self.node.connected() {
            runtime.spawn(async move { node.publish(&keys, lease, &message).await });
        }
    }
}

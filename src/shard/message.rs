//! What goes into a shard, and what comes out.

use std::{
    fmt,
    num::NonZeroU64,
    time::{Duration, Instant},
};

use super::{
    crew::{Crew, Leaving},
    world::World,
};
use crate::error::JoinError;

/// Tells one flight from all others of its coalescer, for good.
///
/// A completion names its flight by this, never by key alone: the key may belong to a newer flight by then (G9). The
/// lowest 12 bits are the shard's number, the rest counts its flights, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightId(NonZeroU64);

impl FlightId {
    const SHARDS: NonZeroU64 = NonZeroU64::new(crate::choices::MAX_SHARDS as u64).expect("shards there are");

    pub(crate) const fn first_of(shard: usize) -> Self {
        Self(Self::SHARDS.saturating_add(shard as u64))
    }

    pub(super) const fn next(self) -> Self {
        // Nobody lives to see the end of them.
        Self(self.0.saturating_add(Self::SHARDS.get()))
    }

    pub(crate) fn shard(self) -> usize {
        usize::try_from(self.0.get() % Self::SHARDS).expect("no more than MAX_SHARDS")
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for FlightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A flight's identity, and where to look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightRef {
    pub(crate) hash: u64,
    pub(crate) id: FlightId,
}

/// How a flight ended.
pub(crate) type Outcome<W> = Result<<W as World>::Value, JoinError>;

/// The data plane. All of one key's messages travel one FIFO lane, and the guarantees lean on its order.
pub(crate) enum Message<W: World> {
    /// A caller wants the key's value, by its own work if nobody's is running.
    Join(Join<W>),
    /// A flight's work has ended.
    Complete(Complete<W>),
    /// A caller of this hash has left. Which one, the shard finds out by asking them: see `Flight::reap`.
    Cancel {
        /// The hash of the key that the caller had joined.
        hash: u64,
    },
    /// Another flight's work has come to wait for a flight, and it is to be seen whether that makes a circle.
    /// Boxed, as it is rare and the lane's messages are as large as the largest of them.
    Probe(Box<Probe>),
    /// It does (G12).
    Circle(Wait),
}

pub(crate) struct Join<W: World> {
    pub(crate) hash: u64,
    pub(crate) key: W::Key,
    pub(crate) caller: W::Caller,
    /// Whether the caller is a flight's work. Hardly any is, and asking a caller costs more than this.
    pub(crate) nested: bool,
}

pub(crate) struct Complete<W: World> {
    pub(crate) flight: FlightRef,
    pub(crate) outcome: Outcome<W>,
    /// Whether the value is the work's own error, where the join could tell (`try_join`).
    pub(crate) is_error: bool,
}

/// The work of one flight waits for another flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) waiting: FlightRef,
    pub(crate) awaited: FlightRef,
}

/// Goes from a flight to those that wait for it, against the direction of their waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// What may have closed a circle.
    pub(crate) suspect: Wait,
    /// The flight whose waiters are to be looked at.
    pub(crate) at: FlightRef,
    /// How many flights it may still be passed on to.
    pub(crate) hops: u8,
    /// Tells it from all other probes, and its copies on other ways from none, so that a flight that is reached by several
    /// ways can tell that it was looked at.
    pub(crate) id: ProbeId,
}

/// Numbered as flights are, by the awaited flight's shard.
pub(crate) type ProbeId = FlightId;

/// What the world outside has to do, in this order, before the shard takes its next message.
pub(crate) enum Effect<W: World> {
    /// Start the work as a task of its own, and hand the task back by [`Shard::launched`](super::Shard::launched).
    Launch { flight: FlightRef, work: W::Work },
    /// Answer everyone in it.
    Land(Landing<W>),
    /// Drop the running work. Its flight is already unmapped.
    Abort(W::Task),
    /// Drop this where its `Drop` can hurt nobody.
    Discard(Remains<W>),
    /// Put a message into another shard's lane.
    Send { shard: usize, message: Message<W> },
    /// Tell whoever listens.
    Report(Report),
}

/// What an operator may want to hear of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A flight has come to have many callers. Said once per flight.
    Crowded { flight: FlightId, waiters: usize },
    /// A flight has outlived its deadline.
    Overdue { flight: FlightId, age: Duration, waiters: usize },
    /// A caller was turned away.
    Rejected { error: &'static str },
}

/// A flight that is over, and everyone who is to hear of it, in the order in which they came.
pub(crate) struct Landing<W: World> {
    /// `None` where there never was a flight: callers that were turned away.
    pub(crate) flight: Option<Flown>,
    crew: Leaving<W::Caller>,
    waiters: usize,
    /// Whether callers that turn out to have left are still to be counted.
    pub(crate) counts: bool,
    /// The key that was in the map. The leader's, who comes first and gets it back.
    key: Option<W::Key>,
    /// The same where the leader has left.
    orphan: Option<W::Key>,
    /// `None` once the last waiter has it.
    outcome: Option<Outcome<W>>,
}

/// What there is to say of a flight that is over.
#[derive(Clone, Copy)]
pub(crate) struct Flown {
    pub(crate) id: FlightId,
    pub(crate) started: Instant,
}

impl<W: World> Landing<W> {
    pub(super) fn new(flown: Flown, crew: Crew<W>, key: W::Key, outcome: Outcome<W>) -> Self {
        let (key, orphan) = if crew.has_leader() { (Some(key), None) } else { (None, Some(key)) };
        let waiters = crew.len();
        Self { flight: Some(flown), crew: crew.into_iter(), waiters, counts: true, key, orphan, outcome: Some(outcome) }
    }

    /// The answer to callers who never got a flight, or were put off it. They have their keys.
    pub(super) fn refusal(crew: Crew<W>, error: JoinError) -> Self {
        let waiters = crew.len();
        Self {
            flight: None,
            crew: crew.into_iter(),
            waiters,
            counts: true,
            key: None,
            orphan: None,
            outcome: Some(Err(error)),
        }
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiters
    }

    pub(crate) fn is_over(&self) -> bool {
        self.waiters() == 0
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome<W>> {
        self.outcome.as_ref()
    }

    /// What is left when nobody is left to answer.
    pub(crate) fn remains(self) -> impl Iterator<Item = Remains<W>> {
        let key = self.key.or(self.orphan).map(Remains::Key);
        let value = self.outcome.and_then(Result::ok).map(Remains::Value);
        key.into_iter().chain(value)
    }
}

impl<W: World> Iterator for Landing<W> {
    type Item = (W::Caller, Outcome<W>, Option<W::Key>);

    fn next(&mut self) -> Option<Self::Item> {
        let caller = self.crew.next()?;
        self.waiters -= 1;
        // The last one gets the value itself, not a clone: a lonely caller then owns it alone and need not clone it,
        // and no clone is left here whose drop could be the value's last.
        let outcome = if self.is_over() { self.outcome.take() } else { self.outcome.clone() }?;
        Some((caller, outcome, self.key.take()))
    }
}

/// Things of the user's that nobody wants any more.
pub(crate) enum Remains<W: World> {
    Key(W::Key),
    Value(W::Value),
}

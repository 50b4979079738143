//! What goes into a shard, and what comes out.

use std::vec;

use super::world::World;
use crate::error::JoinError;

/// Tells one flight from all others of its shard, for as long as the shard lives.
///
/// A completion names its flight by this, never by key alone: the key may belong to a newer flight by then (G9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlightId(pub(super) u64);

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
}

pub(crate) struct Join<W: World> {
    pub(crate) hash: u64,
    pub(crate) key: W::Key,
    pub(crate) work: W::Work,
    pub(crate) caller: W::Caller,
}

pub(crate) struct Complete<W: World> {
    pub(crate) hash: u64,
    pub(crate) flight: FlightId,
    pub(crate) outcome: Outcome<W>,
    /// Whether the value is the work's own error, where the join could tell (`try_join`).
    pub(crate) is_error: bool,
}

/// What the world outside has to do, in this order, before the shard takes its next message.
pub(crate) enum Effect<W: World> {
    /// Start the work as a task of its own, and hand the task back by [`Shard::launched`](super::Shard::launched).
    Launch { hash: u64, flight: FlightId, work: W::Work },
    /// Answer everyone in it.
    Land(Landing<W>),
    /// Drop the running work. Its flight is already unmapped.
    Abort(W::Task),
    /// Drop this where its `Drop` can hurt nobody.
    Discard(Remains<W>),
}

/// A caller on a flight.
pub(crate) struct Waiter<W: World> {
    pub(crate) caller: W::Caller,
    /// What the caller sent and the flight had no use for. `None` for the leader: its key is in the map and its work
    /// is running.
    pub(crate) leftovers: Option<Leftovers<W>>,
}

/// A caller's own property, on its way back to it so that its `Drop` runs there.
pub(crate) struct Leftovers<W: World> {
    pub(crate) key: W::Key,
    /// `None` where the work was used: the caller was the leader.
    pub(crate) work: Option<W::Work>,
}

/// A flight that is over, and everyone who is to hear of it, in the order in which they came.
pub(crate) struct Landing<W: World> {
    waiters: vec::IntoIter<Waiter<W>>,
    /// The key that was in the map: the leader's, for as long as it is to be had.
    key: Option<W::Key>,
    /// `None` once the last waiter has it.
    outcome: Option<Outcome<W>>,
}

impl<W: World> Landing<W> {
    pub(super) fn new(waiters: Vec<Waiter<W>>, key: Option<W::Key>, outcome: Outcome<W>) -> Self {
        Self { waiters: waiters.into_iter(), key, outcome: Some(outcome) }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.waiters.len() == 0
    }

    /// What is left when nobody is left to answer.
    pub(crate) fn remains(self) -> impl Iterator<Item = Remains<W>> {
        let key = self.key.map(|key| Remains::Leftovers(Leftovers { key, work: None }));
        let value = self.outcome.and_then(Result::ok).map(Remains::Value);
        key.into_iter().chain(value)
    }
}

impl<W: World> Iterator for Landing<W> {
    type Item = (W::Caller, Outcome<W>, Option<Leftovers<W>>);

    fn next(&mut self) -> Option<Self::Item> {
        let Waiter { caller, leftovers } = self.waiters.next()?;
        // The last one gets the value itself, not a clone: a lonely caller then owns it alone and need not clone it,
        // and no clone is left here whose drop could be the value's last.
        let outcome = if self.is_over() { self.outcome.take() } else { self.outcome.clone() }?;
        let leftovers = leftovers.or_else(|| self.key.take().map(|key| Leftovers { key, work: None }));
        Some((caller, outcome, leftovers))
    }
}

/// Things of the user's that nobody wants any more.
pub(crate) enum Remains<W: World> {
    Leftovers(Leftovers<W>),
    Value(W::Value),
}

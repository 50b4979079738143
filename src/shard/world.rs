//! What the state machine is made over. The crate's own world has real callers and tasks; a test's has numbers.

use super::message::FlightRef;

/// The types a shard moves about without ever looking inside, apart from comparing keys.
pub(crate) trait World {
    /// What identifies identical requests. Its `Eq` is the only user code a shard runs, and runs guarded.
    type Key: Eq;
    /// A caller's work, claimed for a flight.
    type Work;
    /// What a flight's callers share. Cloning it must not run user code.
    type Value: Clone;
    /// Where one caller's answer goes.
    type Caller: Caller<Key = Self::Key, Work = Self::Work>;
    /// The way to drop running work.
    type Task;
}

/// Somebody waiting for an answer.
pub(crate) trait Caller {
    type Key;
    /// What it would have done if nobody else had.
    type Work;

    fn standing(&self) -> Standing;

    fn has_left(&self) -> bool {
        self.standing().left
    }

    /// Its work, which from now on is a flight's and no longer its own. `None` if it has left.
    fn claim(&self) -> Option<Self::Work>;

    /// Gives it its key back, which no map needs, so that its `Drop` runs where it belongs. `Some` if it has left.
    fn keep(&self, key: Self::Key) -> Option<Self::Key>;
}

/// How it is with a caller.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    /// It has gone away, so that an answer would reach nobody. Once true it stays true, and a caller that leaves makes it
    /// true *before* it sends its `Cancel`.
    pub(crate) left: bool,
    /// The flight whose work it is, if it is one's. Never changes.
    pub(crate) origin: Option<FlightRef>,
}

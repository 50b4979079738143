//! Turns: how a message gets to its shard, and what is done about it afterwards.
//!
//! A shard is a value in a [`Cell`], owned by moving it. The thread that has a message takes the shard out, has it handle the
//! message, puts it back, and only then does what the shard asked for. No thread waits for a shard: if it is out, the message
//! goes into the shard's queue, and the one that has the shard looks at the queue after putting it back.
//!
//! While a shard is out, nothing of a user's runs but a guarded `K: Eq`. Wakers, drops, work, subscribers and recorders
//! run when it is back, so a caller that blocks its thread never holds a shard (G4).

mod ask;
mod complete;
mod drain;
mod latest_waker;
mod message;
mod published;
mod record;
mod respond;
mod spares;
mod turn;
mod watch;

#[cfg(all(test, not(shardflight_shuttle)))]
pub(crate) mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) use self::{
    ask::{AnyEngine, Asked, Look},
    complete::{After, Completer, InPlaceEnd},
    drain::Drained,
    latest_waker::LatestWaker,
    message::{Answer, Key, Launch, Live, Message, QueuedJoin, Reply, Value},
    published::{Takes, publish_by_error, publish_clonable},
    record::{BoxedFuture, Ending, Needed, Output, ParkedWork, Record, Unbegun},
    respond::Responding,
    spares::Spares,
    turn::State,
    watch::Watch,
};
use crate::{
    admission::{Admission, AdmissionLimits},
    flight_limit::FlightLimit,
    hedge::HedgeBudget,
    observer::Observer,
    queue::Queue,
    shard::{FlightRef, Shard},
    sync::{AtomicU8, AtomicWaker, Cell, Runtime, has_many_workers},
    tally::Tally,
    wait_graph::{Node, WaitGraph},
};

/// Not an address: one that is in use again would make two coalescers the same.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(0);

/// Of a coalescer, or of something else that is in the wait graph as its flights are.
pub(crate) fn new_identity() -> u64 {
    NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed)
}

/// All shards of a coalescer.
pub(crate) struct Engine<K: Key, V: Value> {
    ports: Box<[Port<K, V>]>,
    /// One for each shard.
    pub(crate) tallies: Arc<[Tally]>,
    pub(crate) runtime: Runtime,
    /// The runtime's workers keep the task that they woke last in a slot which no other worker takes from.
    many_workers: bool,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// How long an execution may take before the next of its flight begins, where flights are taken over.
    pub(crate) takeover_after: Option<Duration>,
    pub(crate) hedge_budget: Arc<HedgeBudget>,
    /// `None` where the limit of flights is fixed.
    pub(crate) flight_limit: Option<Arc<dyn FlightLimit>>,
    pub(crate) waits: Arc<WaitGraph>,
    /// Where executions have a limit.
    pub(crate) admission: Option<Admission>,
    identity: u64,
}

/// What an engine is built with, beside its shards.
pub(crate) struct EngineOptions {
    pub(crate) runtime: Runtime,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) takeover_after: Option<Duration>,
    pub(crate) flight_limit: Option<Arc<dyn FlightLimit>>,
    pub(crate) admission: Option<AdmissionLimits>,
}

/// One shard, and the ways to it. Each has its cache lines to itself.
#[repr(align(128))]
struct Port<K: Key, V: Value> {
    shard: Cell<State<K, V>>,
    queue: Queue<Message<K, V>>,
    actor: Call,
}

impl<K: Key, V: Value> Engine<K, V> {
    pub(crate) fn new(shards: impl ExactSizeIterator<Item = Shard<Live<K, V>>>, options: EngineOptions) -> Self {
        let EngineOptions { runtime, observer, takeover_after, flight_limit, admission } = options;
        let tallies: Arc<[_]> = (0..shards.len()).map(|_| Tally::default()).collect();
        let port = |(number, shard)| Port {
            shard: Cell::full(Box::new(State::new(number, shard, Arc::clone(&tallies), observer.clone()))),
            queue: Queue::new(),
            actor: Call::new(),
        };
        Self {
            ports: shards.enumerate().map(port).collect(),
            admission: admission.map(|limits| Admission::new(limits, Arc::clone(&tallies), runtime.clone())),
            tallies,
            many_workers: has_many_workers(&runtime),
            runtime,
            observer,
            takeover_after,
            hedge_budget: Arc::new(HedgeBudget::new()),
            flight_limit,
            waits: WaitGraph::of_the_process(),
            identity: new_identity(),
        }
    }

    /// Its flights may be taken over.
    #[cfg(any(feature = "cache", feature = "redis", feature = "tower"))]
    pub(crate) fn has_takeovers(&self) -> bool {
        self.takeover_after.is_some()
    }

    pub(crate) fn shards(&self) -> usize {
        self.ports.len()
    }

    /// Tells this coalescer from all others that there are or have been.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// A flight of this coalescer, in the wait graph.
    pub(crate) fn node(&self, flight: FlightRef) -> Node {
        Node { coalescer: self.identity, flight: flight.id, is_pending: false }
    }

    /// The same flight, as long as its work waits for that of its predecessor.
    pub(crate) fn pending_node(&self, flight: FlightRef) -> Node {
        Node { is_pending: true, ..self.node(flight) }
    }

    /// How long a flight may take that starts now, if that is learned.
    #[inline]
    pub(crate) fn learned_limit(&self, now: Instant) -> Option<Duration> {
        self.flight_limit.as_ref().map(|limit| limit.current(now))
    }

    /// Every shard is in its cell, no message waits for one, and no work for other work.
    #[cfg(all(test, shardflight_shuttle))]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.waits.is_empty()
            && self.admission.as_ref().is_none_or(Admission::is_at_rest)
            && self.ports.iter().all(|port| port.shard.is_full() && port.queue.is_empty())
    }

    /// An actor is gone, as its runtime is shutting down, or as its shard is closed.
    pub(crate) fn has_lost_an_actor(&self) -> bool {
        self.ports.iter().any(|port| port.actor.is_gone())
    }

    #[cfg(all(feature = "macros", feature = "cache"))]
    pub(crate) fn has_lost_the_first_actor(&self) -> bool {
        self.ports.first().is_some_and(|port| port.actor.is_gone())
    }

    /// How the actor of a shard is called to it.
    pub(crate) fn call(&self, shard: usize) -> &Call {
        &self.ports[shard].actor
    }
}

/// How an actor's task is called to its shard.
pub(crate) struct Call {
    state: AtomicU8,
    waker: AtomicWaker,
}

/// The actor was called since it asked last.
const CALLED: u8 = 1;
/// There is no actor any more: it will not ask again.
const GONE: u8 = 2;

/// What a call has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    Woke,
    /// It was called before, and has not asked since.
    Again,
    /// There is no task to hear of it.
    Gone,
}

impl Call {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU8::new(0), waker: AtomicWaker::new() }
    }

    /// False if there is no actor to hear of it.
    fn call(&self) -> bool {
        self.wake() != Called::Gone
    }

    pub(crate) fn wake(&self) -> Called {
        // One step, not a load and a store: of all that call, one pays for waking the task.
        match self.state.fetch_or(CALLED, Ordering::AcqRel) {
            0 => {
                self.waker.wake();
                Called::Woke
            }
            before if before & GONE != 0 => Called::Gone,
            _ => Called::Again,
        }
    }

    /// Whether the task was called since it asked last; if not, it will be woken when it is.
    pub(crate) fn poll(&self, waker: &std::task::Waker) -> bool {
        if self.state.swap(0, Ordering::AcqRel) != 0 {
            return true;
        }
        self.waker.register(waker);
        // Again: a call between the two found an older waker, or none.
        self.state.swap(0, Ordering::AcqRel) != 0
    }

    fn is_gone(&self) -> bool {
        // Acquire: a caller that was answered `Closed` by the shard finds the actor gone, which went first.
        self.state.load(Ordering::Acquire) & GONE != 0
    }

    /// It will not be polled again.
    pub(crate) fn end(&self) {
        self.state.fetch_or(GONE, Ordering::AcqRel);
    }
}

//! The world that the shards of a real coalescer are made over.

use std::{marker::PhantomData, ops::Deref, sync::Arc};

use crate::{
    error::JoinError,
    host::{self, Runtime},
    lane::{Lane, Stranded},
    panics::drop_contained,
    shard::{Caller, FlightId, Join, Message, World},
    ticket::{Claim, Stub},
};

/// What a coalescer asks of its keys. `Hash` is the caller's side's business alone.
pub(crate) trait Key: Eq + Send + 'static {}
impl<K: Eq + Send + 'static> Key for K {}

/// What a coalescer asks of its values.
pub(crate) trait Value: Send + Sync + 'static {}
impl<V: Send + Sync + 'static> Value for V {}

/// Real keys and values, callers and their work behind tickets, tasks on Tokio.
pub(crate) struct Live<K, V>(PhantomData<fn() -> (K, V)>);

// No more is asked of `K` and `V` than the trait needs: a caller's future holds these types, and with `Send + 'static`
// among the bounds the compiler could not show, for keys or values with references in them, that it may be spawned.
impl<K: Eq, V> World for Live<K, V> {
    type Key = K;
    type Work = Claim<K, V>;
    type Value = Arc<V>;
    type Caller = Stub<K, V>;
    type Task = host::Task;
}

/// The one thing that a caller ever receives.
pub(crate) struct Answer<K, V> {
    pub(crate) outcome: Result<Arc<V>, JoinError>,
    /// The flight that the outcome is of, if it is one's.
    pub(crate) flight: Option<FlightId>,
    /// The leader's own, back from the map: dropped by the caller, where a slow or panicking `Drop` hurts nobody else.
    pub(crate) key: Option<K>,
}

impl<K, V> Answer<K, V> {
    /// To a caller whom no shard will serve.
    pub(crate) fn closed() -> Self {
        Self { outcome: Err(JoinError::Closed), flight: None, key: None }
    }
}

/// The way into one real shard.
pub(crate) type LiveLane<K, V> = Lane<Message<Live<K, V>>>;

/// The ways into all shards of a coalescer, in their order.
pub(crate) struct Lanes<K: Eq, V>(Arc<[LiveLane<K, V>]>);

impl<K: Eq, V> Lanes<K, V> {
    /// `runtime` is where the shards run, unless that is a single thread.
    pub(crate) fn new(shards: usize, runtime: Option<&Runtime>) -> Self {
        Self((0..shards).map(|_| Lane::new(runtime.cloned())).collect())
    }

    /// Tells this coalescer from all others that there are.
    pub(crate) fn identity(&self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl<K: Eq, V> Clone for Lanes<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq, V> Deref for Lanes<K, V> {
    type Target = [LiveLane<K, V>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Sends a message. If the shard has stopped, everything found in its lane is refused instead (G5).
pub(crate) fn post<K: Key, V: Value>(lane: &LiveLane<K, V>, message: Message<Live<K, V>>) {
    if let Err(Stranded(messages)) = lane.send(message) {
        messages.into_iter().for_each(refuse);
    }
}

/// Deals with a message that no shard will ever take.
pub(crate) fn refuse<K: Key, V: Value>(message: Message<Live<K, V>>) {
    match message {
        Message::Join(Join { key, caller, .. }) => {
            // Whoever has left doesn't miss it.
            drop_contained(caller.keep(key));
            let _ = caller.answer(Answer::closed());
        }
        Message::Complete(complete) => drop_contained(complete.outcome),
        Message::Cancel { .. } | Message::Probe(_) | Message::Circle(_) => {}
    }
}

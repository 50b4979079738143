//! The world that the shards of a real coalescer are made over.

use std::{marker::PhantomData, pin::Pin, sync::Arc};

use tokio::task::AbortHandle;

use crate::{
    error::JoinError,
    lane::{Lane, Stranded},
    panics::drop_contained,
    shard::{Caller, Join, Leftovers, Message, World},
};

/// What a coalescer asks of its keys. `Hash` is the caller's side's business alone.
pub(crate) trait Key: Eq + Send + 'static {}
impl<K: Eq + Send + 'static> Key for K {}

/// What a coalescer asks of its values.
pub(crate) trait Value: Send + Sync + 'static {}
impl<V: Send + Sync + 'static> Value for V {}

/// Real keys and values, work as boxed futures, callers behind oneshots, tasks on Tokio.
pub(crate) struct Live<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: Key, V: Value> World for Live<K, V> {
    type Key = K;
    type Work = Work<V>;
    type Value = Arc<V>;
    type Caller = oneshot::Sender<Answer<K, V>>;
    type Task = AbortHandle;
}

/// Work on its way from a caller to its task. Boxed together with its closure, so that a follower's closure is
/// carried but never called.
pub(crate) type Work<V> = Pin<Box<dyn Future<Output = Product<V>> + Send>>;

/// What work ends in.
pub(crate) struct Product<V> {
    pub(crate) value: Arc<V>,
    pub(crate) is_error: bool,
}

/// The one thing that a caller ever receives.
pub(crate) struct Answer<K: Key, V: Value> {
    pub(crate) outcome: Result<Arc<V>, JoinError>,
    /// What is the caller's own and wasn't needed: dropped by the caller, where a slow or panicking `Drop` hurts
    /// nobody else.
    pub(crate) leftovers: Option<Leftovers<Live<K, V>>>,
}

impl<K: Key, V: Value> Answer<K, V> {
    /// Drops an answer that reaches nobody.
    pub(crate) fn let_go(self) {
        drop_contained(self.outcome);
        self.leftovers.into_iter().for_each(let_go);
    }
}

/// Drops the key and the work one by one: of two panics in one drop, the second would end the process.
pub(crate) fn let_go<K: Key, V: Value>(leftovers: Leftovers<Live<K, V>>) {
    drop_contained(leftovers.key);
    drop_contained(leftovers.work);
}

impl<K: Key, V: Value> Caller for oneshot::Sender<Answer<K, V>> {
    fn has_left(&self) -> bool {
        self.is_closed()
    }
}

/// The way into one real shard.
pub(crate) type LiveLane<K, V> = Lane<Message<Live<K, V>>>;

/// Sends a message. If the shard has stopped, everything found in its lane is refused instead (G5).
pub(crate) fn post<K: Key, V: Value>(lane: &LiveLane<K, V>, message: Message<Live<K, V>>) {
    if let Err(Stranded(messages)) = lane.send(message) {
        messages.into_iter().for_each(refuse);
    }
}

/// Deals with a message that no shard will ever take.
pub(crate) fn refuse<K: Key, V: Value>(message: Message<Live<K, V>>) {
    match message {
        Message::Join(Join { key, work, caller, .. }) => {
            let leftovers = Some(Leftovers { key, work: Some(work) });
            if let Err(unheard) = caller.send(Answer { outcome: Err(JoinError::Closed), leftovers }) {
                unheard.into_inner().let_go();
            }
        }
        Message::Complete(complete) => drop_contained(complete.outcome),
        Message::Cancel { .. } => {}
    }
}

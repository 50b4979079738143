//! The owner's side: build it, hand out handles, shut it down.

use std::{fmt, hash::RandomState, time::Duration};

use crate::{builder::Builder, engine::Drained, error::Closed, handle::Handle, stats::Inspection};

/// Runs concurrent identical requests once.
///
/// It owns a set of shards, whose actors are tasks of the Tokio runtime it is built on; callers use its [`Handle`]s.
/// See the [crate's documentation](crate) for what it guarantees.
pub struct Coalescer<K, V, S = RandomState>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    handle: Handle<K, V, S>,
}

impl<K, V> Coalescer<K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A coalescer with every default; see [`Builder`] for what they are.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime, or where the runtime has no timers and no thread could be started in their place.
    /// [`Builder::build`] returns an error instead.
    #[track_caller]
    pub fn new() -> Self {
        match Self::builder().build() {
            Ok(coalescer) => coalescer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts from every default.
    pub fn builder() -> Builder<K, V> {
        Builder::new()
    }
}

impl<K, V, S> Coalescer<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn with_handle(handle: Handle<K, V, S>) -> Self {
        Self { handle }
    }

    /// A handle for callers. It keeps the shards alive as well as the coalescer does.
    pub fn handle(&self) -> Handle<K, V, S> {
        self.handle.clone()
    }

    /// [`Handle::inspect`].
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard is.
    pub async fn inspect(&self, most: usize) -> Result<Inspection, Closed> {
        self.handle.inspect(most).await
    }

    /// Drains: refuses joins from now on with [`Closed`](crate::JoinError::Closed), gives the flights under way this
    /// long to end, then answers the callers that still wait with `Closed` and drops the work. Returns when all shards
    /// are closed, and says how many flights finished and how many were cut.
    ///
    /// `Duration::ZERO` cuts at once; a time beyond what the clock can express waits for every flight. Flights' own
    /// deadlines go on counting. Flights without callers are given time too. A shard closes as soon as it has no
    /// flights left, and questions to all shards, such as [`stats`](Handle::stats) and [`inspect`](Self::inspect), are
    /// `Closed` from then on: read the last numbers before.
    ///
    /// Repeated calls keep the earliest deadline, and each is told of the shards that were not closed when it asked.
    /// Once the shutdown is over, a further call returns zeros at once.
    ///
    /// The work of one of the coalescer's own flights can begin a shutdown but can't await it, as it would wait for itself:
    /// polled by such work, this returns at once and counts no flights. The shutdown goes on, and the flight is one of those
    /// that have until the deadline to end. A shutdown that the work has a task of its own await can't be told from any
    /// other: if the work waits for that task, both wait until the deadline of the shutdown or of the flight.
    ///
    /// # Cancellation
    ///
    /// Once polled it goes on even if its future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{Coalescer, JoinError};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let coalescer = Coalescer::<u64, u64>::new();
    /// let handle = coalescer.handle();
    /// let shutdown = coalescer.shutdown(Duration::from_secs(5)).await;
    /// assert_eq!((shutdown.finished, shutdown.cut), (0, 0));
    /// assert!(matches!(handle.join(7_u64, || async { 7 }).await, Err(JoinError::Closed)));
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        let Drained { finished, cut } = self.handle.drain(deadline).await;
        Shutdown { finished, cut }
    }
}

/// What became of the flights that were under way when [`Coalescer::shutdown`] was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Flights that ended in time: by a value, a panic or their own deadline.
    pub finished: usize,
    /// Flights whose callers were answered `Closed` and whose work was dropped.
    pub cut: usize,
}

impl<K, V> Default for Coalescer<K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The same as [`Coalescer::new`], and panics as it does.
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V, S> fmt::Debug for Coalescer<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer").field("handle", &self.handle).finish()
    }
}

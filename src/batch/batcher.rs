//! The callers' operations.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    ask::Ask, batch::Batch, builder::BatcherBuilder, cycle::current_batch, inner::Inner, port::Port, slot::Loaded,
    stats::BatchStats,
};
use crate::{
    coalescer::{Coalescer, Shutdown},
    error::{Closed, JoinError, TryJoinError},
    handle::Handle,
    unwind::{Contained, catch},
};

/// Asks a backend for many keys at once. See the [module](crate::batch).
///
/// Cheap to clone and to share: all clones are one batcher. When the last clone and the last load are gone, so is the batcher.
pub struct Batcher<K, T, E>
where
    K: Eq + Send + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    coalescer: Arc<Coalescer<K, Loaded<T, E>>>,
    flights: Handle<K, Loaded<T, E>>,
    port: Arc<Port<K, T, E>>,
}

impl<K, T, E> Batcher<K, T, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Starts from every default, with what loads a batch of keys.
    ///
    /// The loader is called once per batch. Its future runs as a task on the batcher's runtime. It answers keys by
    /// [`Batch::fulfil`]; if it returns an error, that is the answer of all keys that have none yet.
    pub fn builder<F, Fut>(loader: F) -> BatcherBuilder<K, T, E>
    where
        F: Fn(Batch<K, T, E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        BatcherBuilder::new(loader)
    }

    pub(super) fn new(coalescer: Coalescer<K, Loaded<T, E>>, port: Port<K, T, E>) -> Self {
        Self { flights: coalescer.handle(), coalescer: Arc::new(coalescer), port: Arc::new(port) }
    }

    /// Loads a key together with others that are asked for at about the same time. `None` if the backend doesn't have it.
    ///
    /// Lazy: before the first poll nothing happens but the key's conversion and its clone. If the key is being loaded already, in
    /// whichever batch, this load shares that.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any moment: no other caller notices. If it was the key's last caller, a key whose batch has not
    /// begun is not asked for, and a batch none of whose keys is waited for is aborted.
    ///
    /// # Errors
    ///
    /// [`TryJoinError::Work`] with the error of the key or of its batch. [`TryJoinError::Join`] where
    /// [`join`](crate::Handle::join) fails: if the loader panicked, if the key's deadline passed before its answer came, at a limit,
    /// if the batcher is closed, or if the loader of a batch would wait for itself.
    ///
    /// # Panics
    ///
    /// If the key's conversion does. Other panics of user code are [`JoinError::Panicked`]. Polling again after the answer panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use shardflight::batch::{Batch, Batcher};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let names = Batcher::builder(|ids: Batch<u64, String, std::fmt::Error>| async move {
    ///     ids.fulfil(7, Ok("ada".to_owned()));
    ///     Ok(())
    /// })
    /// .build()?;
    /// assert_eq!(names.load(7_u64).await?, Some("ada".to_owned()));
    /// assert_eq!(names.load(8_u64).await?, None);
    /// # Ok(()) }
    /// ```
    pub fn load(&self, key: impl Into<K>) -> impl Future<Output = Result<Option<T>, TryJoinError<E>>> + Send + 'static {
        self.load_key(key.into())
    }

    /// [`load`](Self::load) for many keys: the answers in the order of asking, each by itself.
    ///
    /// More keys than fit into a batch are split. Equal ones are asked for once. To fail with the first error, collect the answers
    /// into a `Result`.
    ///
    /// # Cancellation
    ///
    /// As [`load`](Self::load), for each key.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), for each key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use shardflight::batch::{Batch, Batcher};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let squares = Batcher::builder(|keys: Batch<u64, u64, std::fmt::Error>| async move {
    /// #     keys.keys().iter().for_each(|key| drop(keys.fulfil(key, Ok(key * key))));
    /// #     Ok(())
    /// # })
    /// # .build()?;
    /// let answers = squares.load_many([3_u64, 1, 2]).await;
    /// let answers: Vec<Option<u64>> = answers.into_iter().collect::<Result<_, _>>()?;
    /// assert_eq!(answers, [Some(9), Some(1), Some(4)]);
    /// # Ok(()) }
    /// ```
    pub fn load_many<I>(
        &self,
        keys: I,
    ) -> impl Future<Output = Vec<Result<Option<T>, TryJoinError<E>>>> + Send + 'static
    where
        I: IntoIterator<Item: Into<K>>,
    {
        join_all(keys.into_iter().map(|key| self.load_key(key.into())).collect::<Vec<_>>())
    }

    fn load_key(&self, key: K) -> impl Future<Output = Result<Option<T>, TryJoinError<E>>> + Send + use<K, T, E> {
        let key = Contained::new(key);
        let join = catch(|| Contained::new(key.get().clone())).map(|asked| {
            let port = Arc::clone(&self.port);
            let coalescer = self.flights.router().engine.identity();
            self.flights.join(key.into_inner(), move || Ask::new(port, coalescer, asked))
        });
        // By reference: awaiting it whole would take its room twice.
        let mut join = join;
        let port = Arc::clone(&self.port);
        async move {
            let join = join.as_mut().map_err(|panic| JoinError::Panicked(panic.clone()))?;
            // Asked by the first poll: a loader may hand the load to a task, which is a caller like any other.
            let loaded = match current_batch() {
                None => join.await?,
                Some(batch) => Box::pin(Inner::begin(port, batch).or_refused(join)).await?,
            };
            loaded.take()
        }
    }

    /// What it has done and does.
    ///
    /// # Errors
    ///
    /// [`Closed`] if a shard of its coalescer is: read the last numbers before the shutdown.
    pub async fn stats(&self) -> Result<BatchStats, Closed> {
        let flights = self.flights.stats().await?;
        let mut stats = self.port.channel().counters.snapshot();
        (stats.loads, stats.coalesced) = (flights.joins, flights.coalesced);
        Ok(stats)
    }

    /// The coalescer of the keys' flights, to [`inspect`](Coalescer::inspect) it, and for the numbers of its handles.
    pub fn coalescer(&self) -> &Coalescer<K, Loaded<T, E>> {
        &self.coalescer
    }

    /// [`Coalescer::shutdown`]: refuses loads, gives those under way this long, then answers the rest with [`JoinError::Closed`]. Then
    /// no key is waited for, so loaders that still run are aborted.
    ///
    /// # Cancellation
    ///
    /// Once polled it goes on even if its future is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        self.coalescer.shutdown(deadline).await
    }
}

impl<K, T, E> Clone for Batcher<K, T, E>
where
    K: Eq + Send + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { coalescer: Arc::clone(&self.coalescer), flights: self.flights.clone(), port: Arc::clone(&self.port) }
    }
}

impl<K, T, E> fmt::Debug for Batcher<K, T, E>
where
    K: Eq + Send + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("flights", &self.flights).finish_non_exhaustive()
    }
}

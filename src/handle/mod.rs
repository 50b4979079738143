//! The callers' operations.

// The documentation lists methods in the order of these lines: what is used first comes first. The blank lines keep it.
mod joins;

mod results;

mod forget;

mod options;

mod control;

mod hedged;

#[cfg(feature = "tower")]
mod layer;

use std::{fmt, hash::RandomState, sync::Arc};

use crate::{config::SharedOptions, flight::Flight, router::Router, task::current};

/// A way into a [`Coalescer`](crate::Coalescer), cheap to clone and to share.
///
/// It is as strong as the coalescer itself: the shards live for as long as either does. A clone costs one atomic
/// increment. To shut down, keep the coalescer: a handle can't.
pub struct Handle<K, V, S = RandomState>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    router: Arc<Router<K, V, S>>,
    options: SharedOptions,
}

impl<K, V, S> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(router: Router<K, V, S>) -> Self {
        Self { router: Arc::new(router), options: SharedOptions::default() }
    }

    pub(crate) fn router(&self) -> &Arc<Router<K, V, S>> {
        &self.router
    }

    pub(crate) fn options(&self) -> &SharedOptions {
        &self.options
    }

    /// The flight that this thread runs work of, if it is one of this coalescer's: for work that asks whether it is
    /// [forgotten](Flight::is_forgotten) or [how many callers wait for it](Flight::info).
    ///
    /// Ask in the work itself: in its closure, in its future, or in blocking work. A task or a thread that the work starts
    /// is none of the flight's, but the `Flight` may be moved into it. `None` also where the work runs without a flight, as
    /// its key is [not coalesced](Self::set_rollout), and where it is being dropped unfinished.
    ///
    /// Costs a reference count, which all callers share, and takes no turn. Work that doesn't ask pays nothing for it but
    /// two moves of a pointer at each poll.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::JoinError> {
    /// let handle = shardflight::Coalescer::<String, bool>::new().handle();
    /// let inside = handle.clone();
    /// let forgotten = handle.join("user:7", move || async move {
    ///     let flight = inside.current_flight().expect("this is work of a flight");
    ///     inside.forget("user:7").await.expect("the coalescer is open");
    ///     flight.is_forgotten()
    /// });
    /// assert!(forgotten.await?);
    /// assert!(handle.current_flight().is_none(), "this is no work");
    /// # Ok(()) }
    /// ```
    pub fn current_flight(&self) -> Option<Flight> {
        let engine = &self.router.engine;
        let current = current::get().filter(|current| current.coalescer == engine.identity())?;
        let weak = Arc::downgrade(engine);
        Some(Flight::new(current.flight, current::record()?, weak))
    }
}

impl<K, V, S> Clone for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router), options: self.options.clone() }
    }
}

impl<K, V, S> fmt::Debug for Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("shards", &self.router.engine.shards())
            .field("max_wait", &self.options.max_wait)
            .field("max_flight_duration", &self.options.max_flight_duration)
            .field("freshness", &self.options.freshness)
            .finish_non_exhaustive()
    }
}

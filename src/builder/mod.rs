//! Every option, with its default.

mod build;
mod keys;
mod limits;
mod policies;

use std::{fmt, hash::RandomState, marker::PhantomData};

use crate::config::{self, Config, Describe};

/// Builds a [`Coalescer`](crate::Coalescer).
///
/// [`build`](Self::build) refuses values that make no sense, with the value and the limit in the error.
///
/// # Examples
///
/// ```
/// use shardflight::{Coalescer, OnAbandon};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
/// let coalescer = Coalescer::<String, u64>::builder()
///     .shards(4)
///     .max_waiters_per_flight(10_000)
///     .max_flight_duration(Duration::from_secs(5))
///     .on_abandon(OnAbandon::Abort)
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing runs before `build`"]
pub struct Builder<K, V, S = RandomState> {
    pub(crate) config: Config,
    describe: Option<Describe<K>>,
    hasher: S,
    value: PhantomData<fn() -> V>,
}

impl<K, V> Builder<K, V> {
    /// The most shards there can be, in all domains of a scope together. Each is an actor with a map and a queue of its
    /// own; thousands cost memory and gain nothing.
    pub const MAX_SHARDS: usize = config::MAX_SHARDS;

    pub(crate) fn new() -> Self {
        Self { config: Config::default(), describe: None, hasher: RandomState::new(), value: PhantomData }
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

//! Every choice there is, with its default.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    thread,
};

use tokio::runtime::Handle as Runtime;

use crate::{actor::Port, coalescer::Coalescer, error::BuildError, handle::Handle, policy::OnAbandon};

/// Builds a [`Coalescer`].
///
/// # Examples
///
/// ```
/// use shardflight::{Coalescer, OnAbandon};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
/// let coalescer = Coalescer::<String, u64>::builder().shards(4).on_abandon(OnAbandon::Abort).build()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing runs before `build`"]
pub struct Builder<K, V, S = RandomState> {
    shards: Option<usize>,
    on_abandon: OnAbandon,
    hasher: S,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Builder<K, V> {
    /// The most shards there can be. Each is an actor with a map of its own; thousands cost memory and wake-ups and
    /// win nothing on any machine there is.
    pub const MAX_SHARDS: usize = 4096;

    pub(crate) fn new() -> Self {
        Self { shards: None, on_abandon: OnAbandon::default(), hasher: RandomState::new(), types: PhantomData }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// How many shards the keys are spread over.
    ///
    /// Shards serve their keys in parallel, but each one that is idle has to be woken: more of them help when many
    /// cores join many keys at once, and cost when traffic is sparse.
    ///
    /// # Default
    ///
    /// [`std::thread::available_parallelism`], at most 16.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// What happens to work whose last caller has left (G10).
    ///
    /// # Default
    ///
    /// [`OnAbandon::Finish`].
    pub fn on_abandon(mut self, on_abandon: OnAbandon) -> Self {
        self.on_abandon = on_abandon;
        self
    }

    /// How keys are hashed. The hash chooses the shard and the bucket, so a hasher whose values an attacker can
    /// predict lets keys from the network be piled onto one of each.
    ///
    /// # Default
    ///
    /// [`RandomState`]: `SipHash` 1-3 under random keys, one set per coalescer.
    pub fn hasher<S2>(self, hasher: S2) -> Builder<K, V, S2> {
        Builder { shards: self.shards, on_abandon: self.on_abandon, hasher, types: PhantomData }
    }

    /// Spawns the shards on the current Tokio runtime.
    ///
    /// Work that callers bring runs there too, whichever runtime they themselves are on.
    pub fn build(self) -> Result<Coalescer<K, V, S>, BuildError>
    where
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        let shards = self.shards.unwrap_or_else(default_shards);
        let limit = Builder::<K, V>::MAX_SHARDS;
        if shards == 0 {
            return Err(BuildError::ZeroShards);
        }
        if shards > limit {
            return Err(BuildError::TooManyShards { shards, limit });
        }
        let runtime = Runtime::try_current().map_err(|_| BuildError::NoRuntime)?;
        let ports = (0..shards).map(|_| Port::open(&runtime, self.on_abandon)).collect();
        Ok(Coalescer::with_handle(Handle::new(ports, self.hasher)))
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("shards", &self.shards)
            .field("on_abandon", &self.on_abandon)
            .finish_non_exhaustive()
    }
}

/// A shard serves several cores' joins, and every further one costs sparse traffic a wake-up.
fn default_shards() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(16)
}

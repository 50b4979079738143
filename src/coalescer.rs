//! The owner's side: build it, hand out handles.

use std::{fmt, hash::RandomState};

use crate::{builder::Builder, handle::Handle};

/// Runs concurrent identical requests once.
///
/// It owns a set of shard actors on the Tokio runtime it is built on; callers go through its [`Handle`]s. See the
/// [crate's documentation](crate) for what it guarantees.
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
    /// Outside a Tokio runtime. [`Builder::build`] returns an error instead.
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

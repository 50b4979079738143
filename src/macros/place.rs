//! The coalescer that a function's calls join: its private one, or one that the user names.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    marker::PhantomData,
};

use super::{runtime, slot::Slot};
use crate::{Builder, Handle};

/// Provides a call's coalescer, whose key is made from a `Q`.
pub trait Place<Q>: Send + Sync + 'static {
    type Key: Hash + Eq + Send + 'static;
    type Value: Send + Sync + 'static;
    type Hasher: BuildHasher + Send + Sync + 'static;

    /// The coalescer's handle, after building the coalescer if there is none.
    fn handle(&self) -> Handle<Self::Key, Self::Value, Self::Hasher>;

    /// The handle of the coalescer, if there is one.
    fn existing(&self) -> Option<Handle<Self::Key, Self::Value, Self::Hasher>>;

    fn key(&self, given: Q) -> Self::Key;

    /// Discards a handle whose runtime has shut down. Returns whether [`handle`](Self::handle) can now provide another one.
    fn replace(&self, lost: &Handle<Self::Key, Self::Value, Self::Hasher>) -> bool;
}

/// A coalescer that the user names, and owns.
impl<Q: Into<K>, K, V, S> Place<Q> for Handle<K, V, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    type Key = K;
    type Value = V;
    type Hasher = S;

    fn handle(&self) -> Self {
        self.clone()
    }

    fn existing(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn key(&self, given: Q) -> K {
        given.into()
    }

    fn replace(&self, _: &Self) -> bool {
        false
    }
}

/// The handle that a reference leads to: deref coercion makes it from smart pointers and statics, too.
pub fn named<K, V, S>(handle: &Handle<K, V, S>) -> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    handle.clone()
}

/// A function's private coalescer. `O` is the type whose method it is: a method of a generic type has one coalescer per type.
pub struct PrivateCoalescer<O: ?Sized, K, V> {
    slot: &'static Slot,
    configure: fn(Builder<K, V>) -> Builder<K, V>,
    runtime: OnRuntime,
    owner: PhantomData<fn(&O)>,
}

#[derive(Clone, Copy, Debug)]
enum OnRuntime {
    /// The runtime of the call that builds it.
    Callers,
    /// The dedicated runtime, for callers that may have none.
    Dedicated,
}

impl Slot {
    /// The private coalescer of an async function, built on the caller's runtime.
    pub fn private<O: ?Sized, K, V>(
        &'static self,
        configure: fn(Builder<K, V>) -> Builder<K, V>,
    ) -> PrivateCoalescer<O, K, V> {
        PrivateCoalescer { slot: self, configure, runtime: OnRuntime::Callers, owner: PhantomData }
    }

    /// The private coalescer of a blocking function, built on the dedicated runtime.
    pub fn private_blocking<O: ?Sized, K, V>(
        &'static self,
        configure: fn(Builder<K, V>) -> Builder<K, V>,
    ) -> PrivateCoalescer<O, K, V> {
        PrivateCoalescer { slot: self, configure, runtime: OnRuntime::Dedicated, owner: PhantomData }
    }
}

impl<O: ?Sized, K, V> PrivateCoalescer<O, K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn build(&self) -> Handle<K, V> {
        let _inside = match self.runtime {
            OnRuntime::Callers => None,
            OnRuntime::Dedicated => Some(runtime::dedicated().enter()),
        };
        match (self.configure)(Builder::new()).build() {
            Ok(coalescer) => coalescer.handle(),
            Err(error) => panic!("the coalescer of a function can't be built: {error}"),
        }
    }
}

impl<O, K, V> Place<K> for PrivateCoalescer<O, K, V>
where
    O: ?Sized + 'static,
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    type Key = K;
    type Value = V;
    type Hasher = RandomState;

    fn handle(&self) -> Handle<K, V> {
        // Built outside of the slot's lock, as the options are expressions of the user. Of two concurrent first calls, the
        // coalescer of one is dropped again.
        self.existing().unwrap_or_else(|| self.slot.get_or_insert::<O, _>(self.build()))
    }

    fn existing(&self) -> Option<Handle<K, V>> {
        self.slot.get::<O, _>()
    }

    fn key(&self, given: K) -> K {
        given
    }

    fn replace(&self, lost: &Handle<K, V>) -> bool {
        self.slot.remove::<O, _>(lost);
        true
    }
}

impl<O: ?Sized, K, V> fmt::Debug for PrivateCoalescer<O, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateCoalescer")
            .field("slot", self.slot)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

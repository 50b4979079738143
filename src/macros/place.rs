//! Where a function's calls are joined: at its private coalescer, or at one that the user names.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    marker::PhantomData,
};

use super::{slot::Slot, thread};
use crate::{Builder, Handle};

/// A coalescer, found anew by each call.
pub trait Place<Q>: Send + Sync + 'static {
    type Key: Hash + Eq + Send + 'static;
    type Value: Send + Sync + 'static;
    type Hasher: BuildHasher + Send + Sync + 'static;

    /// Built, if it isn't there yet.
    fn handle(&self) -> Handle<Self::Key, Self::Value, Self::Hasher>;

    /// Not built, if it isn't there yet.
    fn present(&self) -> Option<Handle<Self::Key, Self::Value, Self::Hasher>>;

    fn key(&self, given: Q) -> Self::Key;

    /// Says whether another [`handle`](Self::handle) may do better than the one whose runtime is gone.
    fn renew(&self, lost: &Handle<Self::Key, Self::Value, Self::Hasher>) -> bool;
}

/// Named by the user, who also shuts it down.
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

    fn present(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn key(&self, given: Q) -> K {
        given.into()
    }

    fn renew(&self, _: &Self) -> bool {
        false
    }
}

/// Takes whatever dereferences to a handle.
pub fn named<K, V, S>(handle: &Handle<K, V, S>) -> Handle<K, V, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    handle.clone()
}

/// The function's own. `O` is the type whose method it is, as one function of a generic type is many.
pub struct Private<O, K, V> {
    slot: &'static Slot,
    choose: fn(Builder<K, V>) -> Builder<K, V>,
    home: Home,
    owner: PhantomData<fn() -> O>,
}

#[derive(Clone, Copy, Debug)]
enum Home {
    /// The runtime of whoever calls first.
    Here,
    /// A thread of the crate's own, for callers that have no runtime.
    OwnThread,
}

impl Slot {
    /// Found, or built on the caller's runtime.
    pub fn private<O, K, V>(&'static self, choose: fn(Builder<K, V>) -> Builder<K, V>) -> Private<O, K, V> {
        Private { slot: self, choose, home: Home::Here, owner: PhantomData }
    }

    /// Found, or built on a runtime of the crate's own.
    pub fn private_blocking<O, K, V>(&'static self, choose: fn(Builder<K, V>) -> Builder<K, V>) -> Private<O, K, V> {
        Private { slot: self, choose, home: Home::OwnThread, owner: PhantomData }
    }
}

impl<O, K, V> Private<O, K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn build(&self) -> Handle<K, V> {
        let _inside = match self.home {
            Home::Here => None,
            Home::OwnThread => Some(thread::runtime().enter()),
        };
        match (self.choose)(Builder::new()).build() {
            Ok(coalescer) => coalescer.handle(),
            Err(error) => panic!("the coalescer of a function can't be built: {error}"),
        }
    }
}

impl<O, K, V> Place<K> for Private<O, K, V>
where
    O: 'static,
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    type Key = K;
    type Value = V;
    type Hasher = RandomState;

    fn handle(&self) -> Handle<K, V> {
        // Built outside the slot's lock, as the choices are the user's code. Of two first calls, one builds in vain.
        self.present().unwrap_or_else(|| self.slot.keep::<O, K, V>(self.build()))
    }

    fn present(&self) -> Option<Handle<K, V>> {
        self.slot.find::<O, K, V>()
    }

    fn key(&self, given: K) -> K {
        given
    }

    fn renew(&self, lost: &Handle<K, V>) -> bool {
        self.slot.clear::<O, K, V>(lost);
        true
    }
}

impl<O, K, V> fmt::Debug for Private<O, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Private").field("slot", self.slot).field("home", &self.home).finish_non_exhaustive()
    }
}

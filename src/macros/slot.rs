//! The static that holds a function's private coalescer, or its cache.
//!
//! The static may outlive its runtime: each test has a runtime of its own, for instance. A call that finds the runtime shut
//! down removes what is there, and the next call builds another.

use std::{
    any::{Any, TypeId},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{error::Closed, flight::Flight, handle::Handle, stats::Stats};

/// Not generic, so that the macro need not name the types of key and value in a static.
pub struct Slot {
    /// By owner type. There is more than one only for methods of generic types.
    handles: Mutex<Vec<(TypeId, Arc<dyn AnyHandle>)>>,
}

/// A handle with its type parameters erased.
pub(super) trait AnyHandle: Any + Send + Sync {
    fn stats(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>>;
    fn current_flight(&self) -> Option<Flight>;

    #[cfg(feature = "cache")]
    fn as_cache(&self) -> Option<&dyn super::caching::AnyCache> {
        None
    }
}

/// A handle that a slot holds: of a coalescer, or of a cache.
pub(super) trait Held: AnyHandle + Clone {
    /// Whether both handles are of the same one.
    fn is_of_same(&self, other: &Self) -> bool;
}

impl<K, V> AnyHandle for Handle<K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn stats(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
        Box::pin(Handle::stats(self))
    }

    fn current_flight(&self) -> Option<Flight> {
        Handle::current_flight(self)
    }
}

impl<K, V> Held for Handle<K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn is_of_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.router(), other.router())
    }
}

impl Slot {
    pub const fn new() -> Self {
        Self { handles: Mutex::new(Vec::new()) }
    }

    /// All zeros if there is no coalescer, or if it has shut down.
    pub async fn stats<O: ?Sized + 'static>(&self) -> Stats {
        match self.any::<O>() {
            Some(handle) => handle.stats().await.unwrap_or_default(),
            None => Stats::default(),
        }
    }

    pub fn current_flight<O: ?Sized + 'static>(&self) -> Option<Flight> {
        self.any::<O>()?.current_flight()
    }

    pub(super) fn any<O: ?Sized + 'static>(&self) -> Option<Arc<dyn AnyHandle>> {
        let owner = TypeId::of::<O>();
        self.lock().iter().find(|(of, _)| *of == owner).map(|(_, handle)| Arc::clone(handle))
    }

    pub(super) fn get<O: ?Sized + 'static, H: Held>(&self) -> Option<H> {
        self.lock().iter().find_map(|entry| downcast::<O, H>(entry).cloned())
    }

    /// Inserts a new handle unless another call has inserted one meanwhile. Returns the one in the slot.
    pub(super) fn get_or_insert<O: ?Sized + 'static, H: Held>(&self, new: H) -> H {
        let mut handles = self.lock();
        if let Some(existing) = handles.iter().find_map(downcast::<O, H>) {
            return existing.clone();
        }
        handles.push((TypeId::of::<O>(), Arc::new(new.clone())));
        new
    }

    /// Removes a handle whose runtime has shut down, unless another call has already replaced it.
    pub(super) fn remove<O: ?Sized + 'static, H: Held>(&self, lost: &H) {
        let is_lost = |entry: &(TypeId, Arc<dyn AnyHandle>)| {
            downcast::<O, H>(entry).is_some_and(|handle| handle.is_of_same(lost))
        };
        let mut handles = self.lock();
        let lost = handles.iter().position(is_lost).map(|index| handles.swap_remove(index));
        // Unlock first: dropping the handle may run user code, the `Drop` of keys and values.
        drop(handles);
        drop(lost);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Arc<dyn AnyHandle>)>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn downcast<O: ?Sized + 'static, H: Held>((owner, handle): &(TypeId, Arc<dyn AnyHandle>)) -> Option<&H> {
    let handle: &dyn Any = &**handle;
    handle.downcast_ref().filter(|_| *owner == TypeId::of::<O>())
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("handles", &self.lock().len()).finish()
    }
}

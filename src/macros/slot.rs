//! The static behind a coalesced function.
//!
//! A coalescer lives on the runtime that it was built on, and a static outlives them all: each test has a runtime of its
//! own. So the slot is emptied by whoever finds that its coalescer's runtime has gone, and filled by the next call.

use std::{
    any::{Any, TypeId},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{error::Closed, handle::Handle, stats::Stats};

/// Holds no types, so that the macro needs to name none.
pub struct Slot {
    /// By owner, of which there is one, but for functions of generic types.
    residents: Mutex<Vec<(TypeId, Arc<dyn Resident>)>>,
}

/// A handle, whatever its types.
trait Resident: Any + Send + Sync {
    fn stats(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>>;
}

impl<K, V> Resident for Handle<K, V>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn stats(&self) -> Pin<Box<dyn Future<Output = Result<Stats, Closed>> + Send + '_>> {
        Box::pin(Handle::stats(self))
    }
}

impl Slot {
    pub const fn new() -> Self {
        Self { residents: Mutex::new(Vec::new()) }
    }

    /// All zeros where no coalescer is there, or no more.
    pub async fn stats<O: 'static>(&self) -> Stats {
        let owner = TypeId::of::<O>();
        let resident = self.lock().iter().find(|(of, _)| *of == owner).map(|(_, resident)| Arc::clone(resident));
        match resident {
            Some(resident) => resident.stats().await.unwrap_or_default(),
            None => Stats::default(),
        }
    }

    pub(super) fn find<O, K, V>(&self) -> Option<Handle<K, V>>
    where
        O: 'static,
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
    {
        self.lock().iter().find_map(|resident| handle::<O, K, V>(resident).cloned())
    }

    /// Puts a new one in, unless one has come to be there meanwhile; gives the one that is there then.
    pub(super) fn keep<O, K, V>(&self, new: Handle<K, V>) -> Handle<K, V>
    where
        O: 'static,
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
    {
        let mut residents = self.lock();
        if let Some(there) = residents.iter().find_map(handle::<O, K, V>) {
            return there.clone();
        }
        residents.push((TypeId::of::<O>(), Arc::new(new.clone())));
        new
    }

    /// Takes the lost one out, unless it has been replaced already.
    pub(super) fn clear<O, K, V>(&self, lost: &Handle<K, V>)
    where
        O: 'static,
        K: Eq + Send + 'static,
        V: Send + Sync + 'static,
    {
        let is_lost = |resident: &(TypeId, Arc<dyn Resident>)| {
            handle::<O, K, V>(resident).is_some_and(|there| Arc::ptr_eq(there.router(), lost.router()))
        };
        let mut residents = self.lock();
        let lost = residents.iter().position(is_lost).map(|at| residents.swap_remove(at));
        // The lock goes first, as the other drops what the coalescer still has.
        drop(residents);
        drop(lost);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Arc<dyn Resident>)>> {
        self.residents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn handle<O, K, V>((owner, resident): &(TypeId, Arc<dyn Resident>)) -> Option<&Handle<K, V>>
where
    O: 'static,
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    let resident: &dyn Any = &**resident;
    resident.downcast_ref().filter(|_| *owner == TypeId::of::<O>())
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("residents", &self.lock().len()).finish()
    }
}

//! The cache in front, with three ways to keep it right after a write. The first one is wrong.

use moka::sync::Cache;
use shardflight::{Coalescer, Flight, Freshness, Handle, JoinError};

use crate::database::{Database, Name};

/// What a write does about loads that have read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterWrite {
    /// Wrong: the forgotten work goes on, and stores what it has read after the invalidation.
    ForgetOnly,
    /// Cheap: forgotten work finds out that it is, and stores nothing.
    ForgetAndCheck,
    /// Exact: the writer's own load begins when all work before it has stored what it has read.
    Reload,
}

#[derive(Clone)]
pub(crate) struct Users {
    pub(crate) database: Database,
    cache: Cache<u64, Name>,
    loads: Handle<u64, Name>,
    after_write: AfterWrite,
}

impl Users {
    pub(crate) fn new(after_write: AfterWrite) -> Self {
        Self { database: Database::new(), cache: Cache::new(1_000), loads: Coalescer::new().handle(), after_write }
    }

    pub(crate) async fn get(&self, id: u64) -> Result<Name, JoinError> {
        match self.cache.get(&id) {
            Some(name) => Ok(name),
            None => self.loads.join(id, self.load(id)).await,
        }
    }

    pub(crate) async fn write(&self, id: u64, name: &str) -> Result<(), JoinError> {
        self.database.write(id, name);
        match self.after_write {
            AfterWrite::ForgetOnly | AfterWrite::ForgetAndCheck => {
                // Invalidated whatever `forget` says, and after it.
                let forgotten = self.loads.forget(id).await;
                self.cache.invalidate(&id);
                forgotten.map(drop).map_err(JoinError::from)
            }
            AfterWrite::Reload => {
                self.loads.with_freshness(Freshness::StartedAfterCall).join(id, self.load(id)).await.map(drop)
            }
        }
    }

    /// The work of all joins: loads and stores.
    fn load(&self, id: u64) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Name> + Send>> + Send + 'static {
        let users = self.clone();
        move || {
            Box::pin(async move {
                // A load that fails, or is dropped, leaves no older value behind.
                users.cache.invalidate(&id);
                let flight = users.loads.current_flight();
                let name = users.database.read(id).await;
                users.store(id, &name, flight.as_ref());
                name
            })
        }
    }

    fn store(&self, id: u64, name: &Name, flight: Option<&Flight>) {
        // Without a flight, as the key is not coalesced, nothing tells of a write.
        let is_forgotten = || flight.is_none_or(Flight::is_forgotten);
        if self.after_write != AfterWrite::ForgetAndCheck {
            self.cache.insert(id, name.clone());
        } else if !is_forgotten() {
            self.cache.insert(id, name.clone());
            if is_forgotten() {
                // The writer may have invalidated before the insert.
                self.cache.invalidate(&id);
            }
        }
    }
}

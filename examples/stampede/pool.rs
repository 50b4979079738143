//! A pool of database connections.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::Bytes;
use rusqlite::Connection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use crate::{database, failure::Failure, gauge::Gauge};

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    database: PathBuf,
    size: usize,
    /// One permit for each idle connection.
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    queries: Gauge,
}

impl Pool {
    pub(crate) fn open(path: &Path, size: usize) -> rusqlite::Result<Self> {
        let connections = (0..size).map(|_| database::open(path)).collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self {
            database: path.to_owned(),
            size,
            permits: Arc::new(Semaphore::new(size)),
            idle: Arc::new(Mutex::new(connections)),
            queries: Gauge::default(),
        })
    }

    /// Waits for a connection, then queries on a thread that may block. A caller that stops waiting for the query
    /// doesn't stop it: the thread returns the connection when the query has ended.
    pub(crate) async fn page(&self, post: u32) -> Result<Bytes, Failure> {
        let lease = self.lease().await.ok_or_else(|| Failure::Database("the pool is closed".to_string()))?;
        let query = self.queries.enter();
        let answer = spawn_blocking(move || {
            let page = lease.page(post);
            query.complete();
            page
        });
        answer.await.unwrap_or_else(|error| Err(Failure::Database(error.to_string())))
    }

    /// Edits the post, on a connection of its own. Returns the number of its new edition.
    pub(crate) async fn edit(&self, post: u32) -> Result<u64, Failure> {
        let database = self.database.clone();
        let edited = spawn_blocking(move || database::edit(&database, post));
        match edited.await {
            Ok(edition) => edition.map_err(|error| Failure::Database(error.to_string())),
            Err(error) => Err(Failure::Database(error.to_string())),
        }
    }

    async fn lease(&self) -> Option<Lease> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let connection = self.lock().pop();
        Some(Lease { pool: self.clone(), connection, _permit: permit })
    }

    pub(crate) fn queries(&self) -> &Gauge {
        &self.queries
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn idle(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. It is returned before its permit, which is dropped after this.
struct Lease {
    pool: Pool,
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    fn page(&self, post: u32) -> Result<Bytes, Failure> {
        let connection = self.connection.as_ref().ok_or_else(|| Failure::Database("no connection".to_string()))?;
        database::page(connection, post).map_err(|error| Failure::Database(error.to_string()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.lock().extend(self.connection.take());
    }
}

//! The service's backend, which may hang.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime, sync::watch, time::sleep};

pub(crate) type Page = Arc<str>;

/// The time that a query takes when the backend is healthy.
const LATENCY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub(crate) struct Backend {
    healthy: watch::Sender<bool>,
    running: Arc<AtomicUsize>,
    queries: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn healthy() -> Self {
        Self { healthy: watch::Sender::new(true), running: Arc::default(), queries: Arc::default() }
    }

    /// Accepts queries, and answers none before it recovers.
    pub(crate) fn hung() -> Self {
        let backend = Self::healthy();
        backend.healthy.send_replace(false);
        backend
    }

    pub(crate) fn recover(&self) {
        self.healthy.send_replace(true);
    }

    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    /// Queries that have neither ended nor been dropped.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) async fn load(self, key: String) -> Page {
        let _running = Running::begin(Arc::clone(&self.running));
        self.queries.fetch_add(1, Ordering::SeqCst);
        // Can't fail, as this holds a sender.
        let _ = self.healthy.subscribe().wait_for(|healthy| *healthy).await;
        sleep(LATENCY).await;
        format!("page of {key}").into()
    }

    /// Like a database driver without async, for threads of the runtime's blocking pool.
    pub(crate) fn load_blocking(self, key: String) -> Page {
        runtime::Handle::current().block_on(self.load(key))
    }
}

/// Counts a query until it ends or is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

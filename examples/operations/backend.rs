//! What the service asks, and what may go wrong with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime, sync::watch, time::sleep};

pub(crate) type Page = Arc<str>;

/// How long it takes when it is well.
const LATENCY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub(crate) struct Backend {
    well: watch::Sender<bool>,
    running: Arc<AtomicUsize>,
    queries: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn well() -> Self {
        Self { well: watch::Sender::new(true), running: Arc::default(), queries: Arc::default() }
    }

    /// Takes queries and answers none before it recovers.
    pub(crate) fn hung() -> Self {
        let backend = Self::well();
        backend.well.send_replace(false);
        backend
    }

    pub(crate) fn recover(&self) {
        self.well.send_replace(true);
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
        // An error would be the sender's end, and we hold one.
        let _ = self.well.subscribe().wait_for(|well| *well).await;
        sleep(LATENCY).await;
        format!("page of {key}").into()
    }

    /// As a driver without async would do it: for threads that the runtime lets block.
    pub(crate) fn load_blocking(self, key: String) -> Page {
        runtime::Handle::current().block_on(self.load(key))
    }
}

/// Counts for as long as it lives, however its query ends.
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

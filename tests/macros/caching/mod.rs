//! Functions with a cache: `#[coalesce(cache(...))]`.

mod companions;
mod expired;
mod failures;
mod options;
mod runtimes;
mod sharing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::advance;

use crate::support::Count;

const TICK: Duration = Duration::from_nanos(1);

/// What functions load from: a value that changes, and a count of loads.
#[derive(Clone, Debug, Default)]
struct Source {
    value: Arc<AtomicU64>,
    loads: Count,
}

impl Source {
    fn of(value: u64) -> Self {
        let source = Self::default();
        source.set(value);
        source
    }

    fn set(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
    }

    fn load(&self) -> u64 {
        self.loads.up();
        self.value.load(Ordering::SeqCst)
    }
}

/// To one tick before the end of this time.
async fn advance_to_before(time: Duration) {
    advance(time.saturating_sub(TICK)).await;
}

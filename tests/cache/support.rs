//! A cache under test, a source of values that counts its loads, and the fixtures that all tests share.

#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the behaviour tests need more of it")]
mod fixtures;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use shardflight::{
    RunWork,
    cache::{Cache, CacheBuilder, CacheHandle},
};
use tokio::time;

pub(crate) use self::fixtures::{Count, Gate, in_a_child_process, limited, panic_quietly, settle};

pub(crate) type Users = Cache<String, u64, String>;
pub(crate) type UsersHandle = CacheHandle<String, u64, String>;
pub(crate) type Loading<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

pub(crate) const TTL: Duration = Duration::from_mins(1);
pub(crate) const TICK: Duration = Duration::from_nanos(1);

/// A cache whose flights have no deadline: a paused clock runs to the next timer where all tasks wait.
pub(crate) fn users(
    configure: impl FnOnce(CacheBuilder<String, u64, String>) -> CacheBuilder<String, u64, String>,
) -> UsersHandle {
    let builder = Users::builder().ttl(TTL).coalescer(|coalescer| coalescer.shards(1).no_flight_deadline());
    configure(builder).build().expect("the options make sense").handle()
}

/// Loads run in tasks of their own, hence not before their reader's first poll has ended.
pub(crate) fn in_tasks(cache: CacheBuilder<String, u64, String>) -> CacheBuilder<String, u64, String> {
    cache.coalescer(|coalescer| coalescer.run_work(RunWork::Detached))
}

/// What is loaded from: its value, and how often it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    value: Arc<AtomicU64>,
    pub(crate) loads: Count,
}

impl Source {
    pub(crate) fn of(value: u64) -> Self {
        let source = Self::default();
        source.set(value);
        source
    }

    pub(crate) fn set(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
    }

    /// A loader that counts and reads at once.
    pub(crate) fn load(&self) -> impl FnOnce() -> Loading<u64> + Send + 'static + use<> {
        let source = self.clone();
        move || {
            source.loads.up();
            let value = source.value.load(Ordering::SeqCst);
            Box::pin(async move { Ok(value) })
        }
    }

    /// A loader that counts and reads at once, and returns what it has read when the gate is open.
    pub(crate) fn load_behind(&self, gate: &Gate) -> impl FnOnce() -> Loading<u64> + Send + 'static + use<> {
        let (source, passed) = (self.clone(), gate.pass());
        move || {
            source.loads.up();
            let value = source.value.load(Ordering::SeqCst);
            Box::pin(async move {
                passed.await;
                Ok(value)
            })
        }
    }

    /// A loader that counts and fails.
    pub(crate) fn fail(&self) -> impl FnOnce() -> Loading<u64> + Send + 'static + use<> {
        let loads = self.loads.clone();
        move || {
            loads.up();
            Box::pin(async { Err("out of order".to_owned()) })
        }
    }
}

/// For reads that must not load.
pub(crate) fn no_load() -> Loading<u64> {
    panic!("this read had to be a hit")
}

/// A tick less.
pub(crate) fn just_before(time: Duration) -> Duration {
    time.saturating_sub(TICK)
}

pub(crate) async fn advance(by: Duration) {
    time::advance(by).await;
}

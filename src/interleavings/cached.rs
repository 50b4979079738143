//! A cache on a runtime of its own, what is loaded from, and readers that look for what is too old.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use shuttle::{
    future::{JoinHandle, spawn},
    rand::Rng,
};

use super::{
    fixture::{KEY, NEIGHBOUR},
    futures::pause,
};
use crate::{
    JoinError, RunWork, TryJoinError,
    cache::{Cache, CacheBuilder, CacheHandle, Fill, Served},
    sync::{Runtime, in_one_step},
};

pub(super) const TTL: Duration = Duration::from_mins(1);
/// What all loads say of their values.
const TAG: &str = "tag";

pub(super) type Configure = CacheBuilder<u64, Version, ()>;

/// What is loaded: how many writes came before it.
#[derive(Clone)]
pub(super) struct Version {
    number: u64,
    _alive: Arc<()>,
}

/// Every way to make what the cache has old.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    Invalidate,
    InvalidateTag,
    InvalidateAll,
    Insert,
    /// What no later read finds in the cache.
    InsertExpired,
    Expire,
}

/// What loads do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loads {
    Succeed,
    /// Or not.
    MayFail,
}

pub(super) struct Cached {
    pub(super) runtime: Runtime,
    cache: Cache<u64, Version, ()>,
    source: Source,
}

/// What is loaded from. Its own atomics are no part of the protocol, and reading them lets no other task act.
#[derive(Clone, Default)]
struct Source(Arc<Versions>);

#[derive(Default)]
struct Versions {
    newest: AtomicU64,
    /// That of the last write that has returned; the cache may have nothing older.
    invalidated: AtomicU64,
    /// The same of `expire`, after which something older may still be a fallback for a load that fails.
    expired: AtomicU64,
    violations: Mutex<Vec<String>>,
    alive: Arc<()>,
}

/// Runs a scenario once, with its loads detached or in place.
pub(super) fn run(configure: impl FnOnce(Configure) -> Configure, scenario: impl AsyncFnOnce(Cached)) {
    let runtime = Runtime::begin(shuttle::rand::thread_rng().r#gen());
    let run_work = if shuttle::rand::thread_rng().r#gen() { RunWork::InPlace } else { RunWork::Detached };
    let builder = Cache::builder().ttl(TTL).coalescer(|flights| flights.shards(1).run_work(run_work));
    let cache = configure(builder).build().expect("a valid configuration");
    shuttle::future::block_on(scenario(Cached { runtime, cache, source: Source::default() }));
}

impl Source {
    fn version(&self) -> Version {
        Version { number: self.0.newest.load(Ordering::Relaxed), _alive: Arc::clone(&self.0.alive) }
    }

    async fn load(self, loads: Loads) -> Result<Fill<Version, ()>, ()> {
        pause().await;
        let version = self.version();
        pause().await;
        if loads == Loads::MayFail && shuttle::rand::thread_rng().r#gen() {
            return Err(());
        }
        Ok(Fill::new(version).tag(TAG))
    }

    /// What a read may return that begins now: of what is fresh, and of what isn't.
    fn least(&self) -> (u64, u64) {
        let (invalidated, expired) =
            (self.0.invalidated.load(Ordering::Relaxed), self.0.expired.load(Ordering::Relaxed));
        (invalidated.max(expired), invalidated)
    }

    fn violation(&self, what: String) {
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

impl Cached {
    pub(super) fn handle(&self) -> CacheHandle<u64, Version, ()> {
        self.cache.handle()
    }

    /// The cache has the key, as of now.
    pub(super) async fn keep(&self) {
        self.handle().insert(KEY, Fill::new(self.source.version()).tag(TAG)).await;
    }

    /// A read in a task of its own.
    pub(super) fn reader(&self, loads: Loads) -> JoinHandle<()> {
        spawn(self.read(KEY, loads))
    }

    /// A read. Of another key it may return what is old.
    pub(super) fn read(&self, key: u64, loads: Loads) -> impl Future<Output = ()> + Send + 'static {
        read(self.handle(), self.source.clone(), key, loads)
    }

    /// A write in a task of its own, and then a read that begins after it.
    pub(super) fn writer(&self, write: Write, loads: Loads) -> JoinHandle<()> {
        spawn(write_and_read(self.handle(), self.source.clone(), write, loads))
    }

    /// A refresh in a task of its own.
    pub(super) fn refresher(&self, loads: Loads) -> JoinHandle<()> {
        spawn(refresh(self.handle(), self.source.clone(), loads))
    }

    /// A write in a task of its own, and then a refresh that begins after it.
    pub(super) fn refreshing_writer(&self, write: Write, loads: Loads) -> JoinHandle<()> {
        let (handle, source) = (self.handle(), self.source.clone());
        spawn(async move {
            apply(&handle, &source, write).await;
            refresh(handle, source, loads).await;
        })
    }

    /// A reader that waits no longer than this for a load.
    pub(super) fn impatient_reader(&self, max_wait: Duration, loads: Loads) -> JoinHandle<()> {
        spawn(read(self.handle().with_max_wait(max_wait), self.source.clone(), KEY, loads))
    }

    /// A task in which this time passes.
    pub(super) fn clock(&self, passes: Duration) -> JoinHandle<()> {
        let runtime = self.runtime.clone();
        spawn(async move { runtime.advance(passes) })
    }

    /// [`writer`](Self::writer) after the key was filled, beside reads that have missed it.
    pub(super) fn filler(&self, write: Write) -> JoinHandle<()> {
        let (handle, source) = (self.handle(), self.source.clone());
        spawn(async move {
            handle.insert(KEY, Fill::new(source.version()).tag(TAG)).await;
            write_and_read(handle, source, write, Loads::Succeed).await;
        })
    }

    /// Puts other keys into the cache, which throws out what it has no room for.
    pub(super) fn crowd(&self, keys: Vec<u64>) -> JoinHandle<()> {
        let (handle, source) = (self.handle(), self.source.clone());
        spawn(async move {
            for key in keys {
                let version = source.version();
                handle.insert(key, version).await;
            }
        })
    }

    /// Once all loads have ended: no read was too old, no place is left taken, no entry claimed, and no value is left.
    pub(super) async fn finish(self) {
        let Self { runtime, cache, source } = self;
        let handle = cache.handle();
        let engine = Arc::clone(&cache.coalescer().handle().router().engine);
        runtime.until(|alive| alive <= engine.shards() && in_one_step(|| engine.is_at_rest())).await;
        for key in [KEY, NEIGHBOUR] {
            assert!(in_one_step(|| handle.is_at_rest(key)), "a load has left its place or its entry taken");
        }
        let engine = {
            let weak = Arc::downgrade(&engine);
            drop((cache, handle, engine));
            weak
        };
        runtime.until(|alive| alive == 0).await;
        assert_eq!(Weak::strong_count(&engine), 0, "G6: the shards are left");
        let violations = source.0.violations.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(violations.is_empty(), "{violations:?}");
        assert_eq!(Arc::strong_count(&source.0.alive), 1, "G6: values are left");
    }
}

async fn read(handle: CacheHandle<u64, Version, ()>, source: Source, key: u64, loads: Loads) {
    let (least_fresh, least_stale) = source.least();
    let loader = source.clone();
    match handle.lookup_with(key, move |_| loader.load(loads)).await {
        Ok(served) => {
            let least = if served.is_stale() { least_stale } else { least_fresh };
            let Served { value: Ok(Version { number, .. }), state, .. } = served else { return };
            if key == KEY && number < least {
                source.violation(format!("C1: {number} is older than {least}, and {state:?}"));
            }
        }
        Err(TryJoinError::Work(())) if loads == Loads::MayFail => {}
        // Only an impatient reader ends so: no flight here has that deadline and fails at it.
        Err(TryJoinError::Join(JoinError::TimedOut { .. })) => {}
        Err(error) => source.violation(format!("{error:?}")),
    }
}

/// A refresh, which never gives what is old.
async fn refresh(handle: CacheHandle<u64, Version, ()>, source: Source, loads: Loads) {
    let (least, _) = source.least();
    let loader = source.clone();
    match handle.refresh_with(KEY, move |_| loader.load(loads)).await {
        Ok(Version { number, .. }) if number < least => {
            source.violation(format!("C1: {number} is older than {least}, and of a refresh"));
        }
        Err(TryJoinError::Work(())) if loads == Loads::MayFail => {}
        Err(error) => source.violation(format!("{error:?}")),
        Ok(_) => {}
    }
}

async fn write_and_read(handle: CacheHandle<u64, Version, ()>, source: Source, write: Write, loads: Loads) {
    apply(&handle, &source, write).await;
    read(handle, source, KEY, loads).await;
}

async fn apply(handle: &CacheHandle<u64, Version, ()>, source: &Source, write: Write) {
    let version = source.0.newest.fetch_add(1, Ordering::Relaxed) + 1;
    match write {
        Write::Invalidate => handle.invalidate(KEY).await,
        Write::InvalidateTag => handle.invalidate_tag(TAG).await,
        Write::InvalidateAll => handle.invalidate_all().await,
        Write::Insert => handle.insert(KEY, Fill::new(source.version()).tag(TAG)).await,
        Write::InsertExpired => handle.insert(KEY, Fill::new(source.version()).ttl(Duration::ZERO)).await,
        Write::Expire => handle.expire(KEY).await,
    }
    let floor = if matches!(write, Write::Expire) { &source.0.expired } else { &source.0.invalidated };
    floor.fetch_max(version, Ordering::Relaxed);
}

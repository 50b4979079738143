//! C1 under threads: readers look for values that are older than an invalidation that has returned.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use shardflight::{
    Coalescer, Handle, OnExpiry, RunWork,
    cache::{Cache, CacheHandle, Fill},
};
use tokio::{runtime, time::sleep};

use crate::support::limited;

const KEYS: usize = 8;
const READERS: u64 = 16;
const WRITERS: usize = 2;
const TTL: Duration = Duration::from_millis(3);
const LOAD: Duration = Duration::from_millis(1);
/// How many reads each reader makes. Not how long: a busy machine makes few in any time.
const READS: u64 = 1_000;
/// How many loads have to have run beside an invalidation of their key. 850 to 2,100 did on a busy machine.
const OVERLAPS: u64 = 100;

/// What is loaded from: a version per key, and the version that each key's last invalidation was for.
#[derive(Debug, Default)]
struct World {
    versions: [AtomicU64; KEYS],
    invalidated: [AtomicU64; KEYS],
    /// Loads whose key was invalidated meanwhile.
    overlaps: AtomicU64,
    is_over: AtomicBool,
}

impl World {
    async fn load(&self, key: usize, random: u64) -> u64 {
        let before = self.invalidated[key].load(Ordering::SeqCst);
        sleep(LOAD * u32::from(random.is_multiple_of(2))).await;
        let version = self.versions[key].load(Ordering::SeqCst);
        sleep(LOAD * u32::from(random.is_multiple_of(3))).await;
        let is_overlap = self.invalidated[key].load(Ordering::SeqCst) != before;
        self.overlaps.fetch_add(u64::from(is_overlap), Ordering::Relaxed);
        version
    }
}

trait Arm: Clone + Send + Sync + 'static {
    fn read(&self, world: Arc<World>, key: usize, random: u64) -> impl Future<Output = Option<u64>> + Send;
    fn invalidate(&self, key: usize, version: u64, random: u64) -> impl Future<Output = ()> + Send;
}

/// How many reads were older than an invalidation which had returned before they began.
async fn play(arm: impl Arm) -> u64 {
    let world = Arc::new(World::default());
    let mut readers = Vec::new();
    for seed in 0..READERS {
        let (world, arm) = (Arc::clone(&world), arm.clone());
        readers.push(tokio::spawn(async move {
            let (mut random, mut old) = (fastrand::Rng::with_seed(seed), 0);
            for _ in 0..READS {
                let key = random.usize(..KEYS);
                let least = world.invalidated[key].load(Ordering::SeqCst);
                let read = arm.read(Arc::clone(&world), key, random.u64(..)).await;
                old += u64::from(read.is_some_and(|version| version < least));
                tokio::task::yield_now().await;
            }
            old
        }));
    }
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (world, arm) = (Arc::clone(&world), arm.clone());
        writers.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(100 + writer as u64);
            while !world.is_over.load(Ordering::Relaxed) {
                // Keys of its own: only one writer inserts what it has written.
                let key = random.usize(..KEYS / WRITERS) * WRITERS + writer;
                let version = world.versions[key].fetch_add(1, Ordering::SeqCst) + 1;
                arm.invalidate(key, version, random.u64(..)).await;
                world.invalidated[key].fetch_max(version, Ordering::SeqCst);
                sleep(Duration::from_micros(random.u64(..500))).await;
            }
        }));
    }
    let mut old = 0;
    for reader in readers {
        old += reader.await.unwrap();
    }
    world.is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let overlaps = world.overlaps.load(Ordering::Relaxed);
    assert!(overlaps >= OVERLAPS, "{overlaps} loads ran beside an invalidation of their key: too few to tell");
    old
}

fn run<A: Arm>(arm: impl AsyncFnOnce() -> A) -> u64 {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(limited(async { play(arm().await).await }))
}

#[derive(Clone)]
struct Plain(CacheHandle<usize, u64, ()>);

impl Arm for Plain {
    async fn read(&self, world: Arc<World>, key: usize, random: u64) -> Option<u64> {
        self.0.get(key, move || async move { Ok(world.load(key, random).await) }).await.ok()
    }

    async fn invalidate(&self, key: usize, version: u64, random: u64) {
        match random % 8 {
            0 => self.0.invalidate_all().await,
            1 => self.0.insert(key, version).await,
            _ => self.0.invalidate(key).await,
        }
    }
}

#[test]
fn no_read_returns_what_was_invalidated() {
    let old = run(async || Plain(Cache::builder().ttl(TTL).build().unwrap().handle()));
    assert_eq!(old, 0, "of {} reads", READERS * READS);
}

/// All options, loads that fail and outlive their deadlines, evictions, and invalidations by tag.
#[derive(Clone)]
struct Everything(CacheHandle<usize, u64, ()>);

impl Arm for Everything {
    async fn read(&self, world: Arc<World>, key: usize, random: u64) -> Option<u64> {
        let load = move |_| async move {
            let version = world.load(key, random).await;
            if random.is_multiple_of(7) {
                return Err(());
            }
            Ok(Fill::new(version).tag(format!("key {key}")))
        };
        self.0.get_with(key, load).await.ok()
    }

    async fn invalidate(&self, key: usize, version: u64, random: u64) {
        match random % 16 {
            0 => self.0.invalidate_all().await,
            1 => self.0.insert(key, Fill::new(version).tag(format!("key {key}"))).await,
            2..=8 => self.0.invalidate_tag(&format!("key {key}")).await,
            _ => self.0.invalidate(key).await,
        }
    }
}

fn with_every_option_on(run_work: RunWork) {
    let old = run(async || {
        let cache = Cache::builder()
            .ttl(TTL)
            .max_entries(KEYS - 2)
            .jitter(0.5)
            .refresh_ahead(0.5)
            .stale_while_revalidate(TTL)
            .stale_if_error(TTL * 10)
            .error_backoff(LOAD..=LOAD * 4)
            .soft_timeout(LOAD)
            .coalescer(|flights| flights.max_flight_duration(LOAD * 2).on_expiry(OnExpiry::Detach).run_work(run_work));
        Everything(cache.build().unwrap().handle())
    });
    assert_eq!(old, 0, "of {} reads", READERS * READS);
}

#[test]
fn no_read_returns_what_was_invalidated_with_every_option_on() {
    with_every_option_on(RunWork::Detached);
}

#[test]
fn no_read_returns_what_was_invalidated_with_loads_in_place() {
    with_every_option_on(RunWork::InPlace);
}

/// A cache beside the coalescer: each reader stores what its join returned.
#[derive(Clone)]
struct Naive {
    kept: Arc<Mutex<HashMap<usize, (u64, Instant)>>>,
    flights: Handle<usize, u64>,
}

impl Arm for Naive {
    async fn read(&self, world: Arc<World>, key: usize, random: u64) -> Option<u64> {
        if let Some((version, _)) = self.kept.lock().unwrap().get(&key).filter(|(_, end)| Instant::now() < *end) {
            return Some(*version);
        }
        let version = self.flights.join(key, move || async move { world.load(key, random).await }).await.ok()?;
        self.kept.lock().unwrap().insert(key, (version, Instant::now() + TTL));
        Some(version)
    }

    async fn invalidate(&self, key: usize, _: u64, _: u64) {
        self.kept.lock().unwrap().remove(&key);
        self.flights.forget(key).await.unwrap();
    }
}

/// What the tests above are worth.
#[test]
fn a_cache_beside_the_coalescer_returns_what_was_invalidated() {
    let old = run(async || Naive { kept: Arc::default(), flights: Coalescer::new().handle() });
    assert!(old > 0, "of {} reads", READERS * READS);
}

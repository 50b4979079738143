//! What is measured, of one contender at a time.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use allocation_counter::measure;
use fastrand::Rng;
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, yield_now},
};

use crate::{
    contenders::{Contender, Key},
    zipf::Zipf,
};

const HIT_KEYS: usize = 1_000;
/// Read and written by all tasks of the trace; a tenth of them fit into the cache.
const TRACE_KEYS: usize = 10_000;
const TRACE_TASKS: u64 = 16;
/// A load takes so many turns of its runtime's queue, in the middle of which it reads.
const LOAD_TURNS: usize = 2;

/// Of one worker, or of several.
pub(crate) fn runtime(workers: usize) -> Runtime {
    let mut builder = if workers == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().expect("a runtime")
}

/// Nanoseconds per hit, on each of so many threads, for keys that all of them read.
pub(crate) fn hits<K: Key, C: Contender<K>>(threads: usize, key: fn(u64) -> K, calls: u64) -> f64 {
    let runtime = runtime(1);
    let contender = runtime.block_on(async { C::new(2 * HIT_KEYS) });
    let keys: Vec<_> = (0..HIT_KEYS as u64).map(key).collect();
    runtime.block_on(async {
        for key in &keys {
            assert_eq!(contender.read(key, || async { 7 }).await, 7);
        }
        contender.settle().await;
    });
    let start = Barrier::new(threads);
    let read = |seed, calls| {
        futures::executor::block_on(async {
            let mut random = Rng::with_seed(seed);
            for _ in 0..calls {
                let key = &keys[random.usize(..HIT_KEYS)];
                assert_eq!(contender.read(key, || async { panic!("a hit loads nothing") }).await, 7);
            }
        });
    };
    let timed = |seed| {
        read(seed, calls / 10);
        start.wait();
        let began = Instant::now();
        read(seed, calls);
        began.elapsed().as_secs_f64() * 1e9 / calls as f64
    };
    let sum: f64 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads as u64).map(|seed| scope.spawn(move || timed(seed))).collect();
        running.into_iter().map(|thread| thread.join().expect("reads that hit")).sum()
    });
    sum / threads as f64
}

/// Nanoseconds per miss with a load that is ready at once, for a new key each time, in one task.
pub(crate) fn misses<C: Contender<u64>>(workers: usize, entries: usize, calls: u64) -> f64 {
    let runtime = runtime(workers);
    runtime.block_on(async {
        let contender = C::new(entries);
        let misses = async move {
            for key in 0..calls / 10 {
                assert_eq!(contender.read(&key, || async { 7 }).await, 7);
            }
            let began = Instant::now();
            for key in calls..2 * calls {
                assert_eq!(contender.read(&key, || async { 7 }).await, 7);
            }
            began.elapsed().as_secs_f64() * 1e9 / calls as f64
        };
        tokio::spawn(misses).await.expect("loads that can't fail")
    })
}

/// Live bytes per entry of a full cache, with keys of twelve bytes in a `String` and values of eight.
pub(crate) fn bytes_per_entry<C: Contender<String>>(entries: u64) -> f64 {
    let runtime = runtime(1);
    let (mut kept, mut filled) = (None, 0);
    // All runs on this thread, which is the one that is counted.
    let counted = measure(|| {
        runtime.block_on(async {
            let contender = C::new(usize::try_from(entries).expect("a few"));
            for number in 0..entries {
                assert_eq!(contender.read(&format!("user:{number:07}"), move || async move { number }).await, number);
            }
            filled = contender.settle().await;
            kept = Some(contender);
        });
    });
    counted.bytes_current as f64 / filled as f64
}

/// What came of a trace.
pub(crate) struct Traced {
    pub(crate) loads_per_100_reads: f64,
    /// Not of those that should have loaded, but were answered with something old.
    pub(crate) loads_per_100_fresh_reads: f64,
    pub(crate) stale_per_100000_reads: f64,
    pub(crate) nanoseconds_per_read: f64,
}

/// What is loaded from: a version per key, and the version that each key's last invalidation was for.
struct World {
    versions: Vec<AtomicU64>,
    invalidated: Vec<AtomicU64>,
    loads: AtomicU64,
    stale: AtomicU64,
    zipf: Zipf,
}

impl World {
    async fn load(&self, key: usize) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        turns(LOAD_TURNS / 2).await;
        let version = self.versions[key].load(Ordering::SeqCst);
        turns(LOAD_TURNS / 2).await;
        version
    }

    async fn write<C: Contender<u64>>(&self, contender: &C, key: usize) {
        let version = self.versions[key].fetch_add(1, Ordering::SeqCst) + 1;
        contender.invalidate(&(key as u64)).await;
        self.invalidated[key].fetch_max(version, Ordering::SeqCst);
    }
}

async fn turns(number: usize) {
    for _ in 0..number {
        yield_now().await;
    }
}

/// Tasks that read keys, a few of them often, and write one in ten times.
pub(crate) fn trace<C: Contender<u64>>(workers: usize, entries: usize, operations: u64) -> Traced {
    let zeros = || (0..TRACE_KEYS).map(|_| AtomicU64::new(0)).collect();
    let world = Arc::new(World {
        versions: zeros(),
        invalidated: zeros(),
        loads: AtomicU64::new(0),
        stale: AtomicU64::new(0),
        zipf: Zipf::new(TRACE_KEYS),
    });
    let runtime = runtime(workers);
    let (reads, took) = runtime.block_on(async {
        let contender = C::new(entries);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for seed in 0..TRACE_TASKS {
            tasks.spawn(again_and_again(contender.clone(), Arc::clone(&world), seed, operations / TRACE_TASKS));
        }
        let reads: u64 = tasks.join_all().await.into_iter().sum();
        (reads as f64, began.elapsed())
    });
    let (loads, stale) = (world.loads.load(Ordering::Relaxed) as f64, world.stale.load(Ordering::Relaxed) as f64);
    Traced {
        loads_per_100_reads: loads * 100.0 / reads,
        loads_per_100_fresh_reads: loads * 100.0 / (reads - stale),
        stale_per_100000_reads: stale * 100_000.0 / reads,
        nanoseconds_per_read: took.as_secs_f64() * 1e9 / reads,
    }
}

/// The number of reads.
async fn again_and_again<C: Contender<u64>>(contender: C, world: Arc<World>, seed: u64, operations: u64) -> u64 {
    let (mut random, mut zipf_seed, mut reads) = (Rng::with_seed(seed), seed, 0);
    for _ in 0..operations {
        let rank = world.zipf.sample(&mut zipf_seed);
        let key = usize::try_from(rank).expect("a key's rank");
        if random.u8(..10) == 0 {
            world.write(&contender, key).await;
        } else {
            let least = world.invalidated[key].load(Ordering::SeqCst);
            let source = Arc::clone(&world);
            let version = contender.read(&rank, move || async move { source.load(key).await }).await;
            world.stale.fetch_add(u64::from(version < least), Ordering::Relaxed);
            reads += 1;
        }
        // Hits never suspend.
        yield_now().await;
    }
    reads
}

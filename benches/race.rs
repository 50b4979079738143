//! Ours and the peers' cost per join, side by side in one run: `cargo bench --bench race`.
//!
//! Names after `--` run those alone: `cargo bench --bench race -- shardflight tokio::spawn`.
//!
//! Every round runs every contender once on every workload, so that whatever the machine does meanwhile happens to all
//! of them. The table holds the medians in nanoseconds per join and, below each, the ratio to ours. Absolute times mean
//! little beyond the machine and the minute they were taken on; the ratios are the result.
//!
//! The peers run work inside a caller; `tokio::spawn` alone shares nothing and is the floor of any design that runs work
//! detached.

use std::{
    env,
    future::Future,
    process,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::{
    runtime::{self, Runtime},
    sync::Semaphore,
    task::yield_now,
};

const ROUNDS: usize = 7;

/// Somebody who can run work for a key.
trait Contender: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    fn enter() -> Self;
    fn call<F>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: Future<Output = u64> + Send + 'static;
}

#[derive(Clone)]
struct Shardflight(shardflight::Handle<u64, u64>);

impl Contender for Shardflight {
    const NAME: &'static str = "shardflight";
    fn enter() -> Self {
        Self(shardflight::Coalescer::new().handle())
    }
    fn call<F>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let join = self.0.join(key, || work);
        async { join.await.expect("nothing here fails") }
    }
}

#[derive(Clone)]
struct Spawn;

impl Contender for Spawn {
    const NAME: &'static str = "tokio::spawn";
    fn enter() -> Self {
        Self
    }
    async fn call<F>(&self, _: u64, work: F) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        tokio::spawn(work).await.expect("nothing here fails")
    }
}

#[derive(Clone)]
struct Uniflight(Arc<uniflight::Merger<u64, u64>>);

impl Contender for Uniflight {
    const NAME: &'static str = "uniflight";
    fn enter() -> Self {
        Self(Arc::new(uniflight::Merger::new()))
    }
    async fn call<F>(&self, key: u64, work: F) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        self.0.execute(&key, || work).await.expect("nothing here fails")
    }
}

#[derive(Clone)]
struct SingleflightAsync(Arc<singleflight_async::SingleFlight<u64, u64>>);

impl Contender for SingleflightAsync {
    const NAME: &'static str = "singleflight-async";
    fn enter() -> Self {
        Self(Arc::new(singleflight_async::SingleFlight::new()))
    }
    fn call<F>(&self, key: u64, work: F) -> impl Future<Output = u64> + Send
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let this = self.clone();
        async move { this.0.work(key, || work).await }
    }
}

#[derive(Clone)]
struct RsSingleflight(rs_singleflight::Group<u64, u64, ()>);

impl Contender for RsSingleflight {
    const NAME: &'static str = "rs-singleflight";
    fn enter() -> Self {
        Self(rs_singleflight::Group::new())
    }
    async fn call<F>(&self, key: u64, work: F) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        self.0.do_call(key, || async { Ok(work.await) }).await.expect("nothing here fails")
    }
}

/// What a round asks of a contender.
#[derive(Clone, Copy)]
enum Workload {
    /// One caller, ready work, a new key each time.
    Lonely { joins: u64 },
    /// So many tasks join one key, whose work ends when all of them were spawned.
    Herd { tasks: u64, herds: u64 },
    /// One task awaits so many joins of one key at once.
    OneTask { joins: u64, times: u64 },
    /// So many tasks, each joining keys of a Zipf distribution again and again; work yields once.
    Loop { tasks: u64, keys: usize, joins: u64 },
}

impl Workload {
    fn name(self) -> String {
        match self {
            Self::Lonely { .. } => "one caller, ready work, unique keys".into(),
            Self::Herd { tasks, .. } => format!("{tasks} tasks, one key"),
            Self::OneTask { joins, .. } => format!("{joins} joins in one task"),
            Self::Loop { tasks, keys, .. } => format!("{tasks} tasks, Zipf over {keys} keys, work yields once"),
        }
    }

    /// Nanoseconds per join.
    async fn run<C: Contender>(self) -> f64 {
        let contender = C::enter();
        // The first call pays for what is built lazily.
        contender.call(u64::MAX, async { 0 }).await;
        let (joins, took) = match self {
            Self::Lonely { joins } => (joins, lonely(contender, joins).await),
            Self::Herd { tasks, herds } => {
                let mut took = Duration::ZERO;
                for _ in 0..herds {
                    took += herd(&contender, tasks).await;
                }
                (tasks * herds, took)
            }
            Self::OneTask { joins, times } => (joins * times, one_task(contender, joins, times).await),
            Self::Loop { tasks, keys, joins } => (tasks * joins, closed_loop(&contender, tasks, keys, joins).await),
        };
        took.as_secs_f64() * 1e9 / joins as f64
    }
}

async fn lonely<C: Contender>(contender: C, joins: u64) -> Duration {
    let caller = tokio::spawn(async move {
        let start = Instant::now();
        for key in 0..joins {
            contender.call(key, async move { key }).await;
        }
        start.elapsed()
    });
    caller.await.expect("nothing here fails")
}

async fn herd<C: Contender>(contender: &C, tasks: u64) -> Duration {
    let gate = Arc::new(Semaphore::new(0));
    let start = Instant::now();
    let callers: Vec<_> = (0..tasks)
        .map(|_| {
            let (contender, gate) = (contender.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let work = async move {
                    let _open = gate.acquire().await;
                    7
                };
                contender.call(7, work).await
            })
        })
        .collect();
    gate.add_permits(Semaphore::MAX_PERMITS);
    for caller in callers {
        caller.await.expect("nothing here fails");
    }
    start.elapsed()
}

async fn one_task<C: Contender>(contender: C, joins: u64, times: u64) -> Duration {
    let caller = tokio::spawn(async move {
        let start = Instant::now();
        for _ in 0..times {
            let work = || async {
                yield_now().await;
                7
            };
            join_all((0..joins).map(|_| contender.call(7, work()))).await;
        }
        start.elapsed()
    });
    caller.await.expect("nothing here fails")
}

async fn closed_loop<C: Contender>(contender: &C, tasks: u64, keys: usize, joins: u64) -> Duration {
    let zipf = Arc::new(Zipf::new(keys));
    let start = Instant::now();
    let callers: Vec<_> = (0..tasks)
        .map(|task| {
            let (contender, zipf) = (contender.clone(), Arc::clone(&zipf));
            tokio::spawn(async move {
                let mut seed = task + 1;
                for _ in 0..joins {
                    let key = zipf.sample(&mut seed);
                    let work = async move {
                        yield_now().await;
                        key
                    };
                    contender.call(key, work).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("nothing here fails");
    }
    start.elapsed()
}

/// Keys whose frequency falls with their rank, with exponent 1.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize) -> Self {
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=keys)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        cumulated.iter_mut().for_each(|part| *part /= sum);
        Self(cumulated)
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014) draws, the table ranks.
    fn sample(&self, seed: &mut u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        self.0.partition_point(|&part| part < drawn) as u64
    }
}

#[derive(Clone, Copy)]
enum Flavor {
    MultiThread,
    CurrentThread,
}

impl Flavor {
    fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::MultiThread => runtime::Builder::new_multi_thread(),
            Self::CurrentThread => runtime::Builder::new_current_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    }

    fn name(self) -> &'static str {
        match self {
            Self::MultiThread => "2 worker threads",
            Self::CurrentThread => "current_thread",
        }
    }
}

type Run = fn(Flavor, Workload) -> f64;

fn run<C: Contender>(flavor: Flavor, workload: Workload) -> f64 {
    flavor.runtime().block_on(workload.run::<C>())
}

const FIELD: [(&str, Run); 5] = [
    (Shardflight::NAME, run::<Shardflight>),
    (Spawn::NAME, run::<Spawn>),
    (Uniflight::NAME, run::<Uniflight>),
    (SingleflightAsync::NAME, run::<SingleflightAsync>),
    (RsSingleflight::NAME, run::<RsSingleflight>),
];

const WORKLOADS: [Workload; 7] = [
    Workload::Lonely { joins: 20_000 },
    Workload::Herd { tasks: 100, herds: 100 },
    Workload::Herd { tasks: 10_000, herds: 2 },
    Workload::OneTask { joins: 1_000, times: 20 },
    Workload::OneTask { joins: 10_000, times: 2 },
    Workload::Loop { tasks: 256, keys: 1_000, joins: 100 },
    Workload::Loop { tasks: 4_096, keys: 100_000, joins: 10 },
];

fn main() {
    // Cargo adds a flag of its own.
    let named: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let field: Vec<_> =
        FIELD.into_iter().filter(|(name, _)| named.is_empty() || named.iter().any(|named| named == name)).collect();
    if field.is_empty() {
        let known: Vec<_> = FIELD.iter().map(|(name, _)| *name).collect();
        eprintln!("nobody in the race is called {}; there are {}", named.join(" or "), known.join(", "));
        process::exit(1);
    }
    for flavor in [Flavor::MultiThread, Flavor::CurrentThread] {
        println!("\n{}, ns per join (times ours), median of {ROUNDS} interleaved rounds\n", flavor.name());
        print!("{:<58}", "");
        field.iter().for_each(|(name, _)| print!("{name:>20}"));
        println!();
        for workload in WORKLOADS {
            let mut samples = vec![Vec::new(); field.len()];
            for _ in 0..ROUNDS {
                for (samples, (_, run)) in samples.iter_mut().zip(&field) {
                    samples.push(run(flavor, workload));
                }
            }
            let medians: Vec<_> = samples.into_iter().map(median).collect();
            print!("{:<58}", workload.name());
            for median in &medians {
                print!("{:>20}", format!("{median:.0} ({:.2})", median / medians[0]));
            }
            println!();
        }
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

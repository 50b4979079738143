//! The workloads. Every call is made and awaited in a spawned task, as in a server.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{
    future::{join_all, maybe_done},
    poll,
};
use tokio::{
    task::{JoinHandle, yield_now},
    time::timeout,
};

use crate::{contenders::Contender, gate::Gate, zipf::Zipf};

const UNFAILING: &str = "nothing here fails";
const HOT: u64 = 7;
/// Longer than any sample takes. A contender that hangs ends the race with its name.
const TIME_LIMIT: Duration = Duration::from_mins(2);
/// A task yields after so many first polls: beyond its cooperative budget, Tokio's primitives refuse a task, and a call
/// that is refused in its first poll hasn't joined.
const IN_A_ROW: usize = 32;
const GROWTH_TASKS: usize = 10;

/// A static, so that the work's future doesn't grow by it: samples are taken one at a time.
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Pattern {
    /// One caller, a new key each time, ready work.
    Lonely { calls: u64 },
    /// The same with work that suspends once.
    Suspended { calls: u64 },
    /// That many tasks, one key; work that ends when all of them wait.
    Burst { callers: usize },
    /// That many calls of one key in one task, by `join_all`; work that ends when all of them wait.
    OneTask { callers: usize },
    /// That many tasks, each calling repeatedly for keys of a Zipf distribution; work that suspends once.
    Loop { tasks: u64, keys: usize, calls: u64 },
    /// That many callers leave a flight that one caller stays with.
    ///
    /// Timed from the first drop until the contender has accounted for all of them. Ours and rs-singleflight do that in
    /// the drops. Ours is then asked for its number of waiters, once per sample, in case a departure was queued.
    Leaving { callers: usize },
    /// That many calls of one key in ten tasks, from the first call to the last answer.
    Growth { callers: usize },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) pattern: Pattern,
    pub(crate) times: u32,
    /// Left out by `--quick`.
    pub(crate) is_large: bool,
}

impl Workload {
    const fn new(name: &'static str, times: u32, pattern: Pattern) -> Self {
        Self { name, pattern, times, is_large: false }
    }

    const fn large(name: &'static str, pattern: Pattern) -> Self {
        Self { name, pattern, times: 1, is_large: true }
    }
}

pub(crate) const WORKLOADS: [Workload; 12] = [
    Workload::new("lonely-ready", 100, Pattern::Lonely { calls: 1_000 }),
    Workload::new("lonely-suspended", 100, Pattern::Suspended { calls: 1_000 }),
    Workload::new("burst-100", 300, Pattern::Burst { callers: 100 }),
    Workload::new("burst-10000", 4, Pattern::Burst { callers: 10_000 }),
    Workload::large("burst-100000", Pattern::Burst { callers: 100_000 }),
    Workload::new("one-task-1000", 100, Pattern::OneTask { callers: 1_000 }),
    Workload::new("one-task-10000", 10, Pattern::OneTask { callers: 10_000 }),
    Workload::new("loop-256", 8, Pattern::Loop { tasks: 256, keys: 1_000, calls: 50 }),
    Workload::new("loop-4096", 4, Pattern::Loop { tasks: 4_096, keys: 100_000, calls: 10 }),
    Workload::new("leaving-10000", 10, Pattern::Leaving { callers: 10_000 }),
    Workload::new("growth-1000", 100, Pattern::Growth { callers: 1_000 }),
    Workload::large("growth-1000000", Pattern::Growth { callers: 1_000_000 }),
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Per call; where callers leave, per departure.
    pub(crate) nanoseconds: f64,
    pub(crate) executions_per_100: f64,
}

/// In a spawned task: on a multi-thread runtime, `block_on` itself runs outside the workers.
pub(crate) async fn run<C: Contender>(workload: Workload) -> Sample {
    let running = tokio::spawn(async move {
        let contender = C::enter();
        // The first call initialises what is lazy.
        contender.call(u64::MAX, || async { 0 }).await;
        if !workload.is_large {
            // Not counted: the first repetition pays for memory that the later ones reuse.
            once(&contender, workload.pattern, workload.times).await;
        }
        EXECUTIONS.store(0, Ordering::Relaxed);
        let mut took = Duration::ZERO;
        for time in 0..workload.times {
            took += once(&contender, workload.pattern, time).await;
        }
        let calls = (workload.pattern.calls() * u64::from(workload.times)) as f64;
        let executions = EXECUTIONS.load(Ordering::Relaxed) as f64;
        Sample { nanoseconds: took.as_secs_f64() * 1e9 / calls, executions_per_100: executions * 100.0 / calls }
    });
    match timeout(TIME_LIMIT, running).await {
        Ok(sample) => sample.expect(UNFAILING),
        Err(late) => panic!("{} hangs on {}: {late} after {TIME_LIMIT:?}", C::facts().name, workload.name),
    }
}

impl Pattern {
    fn calls(self) -> u64 {
        match self {
            Self::Lonely { calls } | Self::Suspended { calls } => calls,
            Self::Burst { callers }
            | Self::OneTask { callers }
            | Self::Leaving { callers }
            | Self::Growth { callers } => callers as u64,
            Self::Loop { tasks, calls, .. } => tasks * calls,
        }
    }
}

async fn once<C: Contender>(contender: &C, pattern: Pattern, time: u32) -> Duration {
    match pattern {
        Pattern::Lonely { calls } => lonely(contender, calls, time, executed).await,
        Pattern::Suspended { calls } => lonely(contender, calls, time, suspended).await,
        Pattern::Burst { callers } => burst(contender, callers).await,
        Pattern::OneTask { callers } => one_task(contender, callers).await,
        Pattern::Loop { tasks, keys, calls } => closed_loop(contender, tasks, keys, calls, time).await,
        Pattern::Leaving { callers } => leaving(contender, callers).await,
        Pattern::Growth { callers } => growth(contender, callers).await,
    }
}

async fn executed(key: u64) -> u64 {
    EXECUTIONS.fetch_add(1, Ordering::Relaxed);
    key
}

async fn suspended(key: u64) -> u64 {
    EXECUTIONS.fetch_add(1, Ordering::Relaxed);
    yield_now().await;
    key
}

async fn behind(gate: Arc<Gate>) -> u64 {
    EXECUTIONS.fetch_add(1, Ordering::Relaxed);
    gate.passed().await;
    HOT
}

fn gated<'contender, C: Contender>(
    contender: &'contender C,
    gate: &Arc<Gate>,
) -> impl Future<Output = u64> + Send + use<'contender, C> {
    let gate = Arc::clone(gate);
    contender.call(HOT, move || behind(gate))
}

async fn lonely<C: Contender, W>(contender: &C, calls: u64, time: u32, work: fn(u64) -> W) -> Duration
where
    W: Future<Output = u64> + Send + 'static,
{
    let first = u64::from(time) * calls;
    let start = Instant::now();
    for key in first..first + calls {
        contender.call(key, move || work(key)).await;
    }
    start.elapsed()
}

async fn burst<C: Contender>(contender: &C, callers: usize) -> Duration {
    let gate = Gate::new(callers);
    let start = Instant::now();
    let tasks = (0..callers).map(|_| {
        let (contender, gate) = (contender.clone(), Arc::clone(&gate));
        tokio::spawn(async move { gate.counting(gated(&contender, &gate)).await })
    });
    ended(tasks.collect()).await;
    start.elapsed()
}

async fn ended<T>(tasks: Vec<JoinHandle<T>>) {
    for task in tasks {
        task.await.expect(UNFAILING);
    }
}

async fn one_task<C: Contender>(contender: &C, callers: usize) -> Duration {
    let gate = Gate::new(callers);
    let start = Instant::now();
    join_all((0..callers).map(|_| gate.counting(gated(contender, &gate)))).await;
    start.elapsed()
}

async fn closed_loop<C: Contender>(contender: &C, tasks: u64, keys: usize, calls: u64, time: u32) -> Duration {
    let zipf = Arc::new(Zipf::new(keys));
    let start = Instant::now();
    let tasks = (0..tasks).map(|task| {
        let (contender, zipf) = (contender.clone(), Arc::clone(&zipf));
        tokio::spawn(async move {
            let mut seed = u64::from(time) * tasks + task;
            for _ in 0..calls {
                let key = zipf.sample(&mut seed);
                contender.call(key, move || suspended(key)).await;
            }
        })
    });
    ended(tasks.collect()).await;
    start.elapsed()
}

async fn leaving<C: Contender>(contender: &C, callers: usize) -> Duration {
    let gate = Gate::new(usize::MAX);
    let mut staying = pin!(gated(contender, &gate));
    assert!(poll!(staying.as_mut()).is_pending(), "the gate is shut");
    let mut leaving = Vec::with_capacity(callers);
    for index in 0..callers {
        if index % IN_A_ROW == 0 {
            yield_now().await;
        }
        let mut call = Box::pin(gated(contender, &gate));
        assert!(poll!(call.as_mut()).is_pending(), "the gate is shut");
        leaving.push(call);
    }
    contender.settled(callers + 1).await;
    let start = Instant::now();
    drop(leaving);
    contender.settled(1).await;
    let took = start.elapsed();
    gate.open();
    assert_eq!(staying.await, HOT, "the caller that stays is answered");
    took
}

async fn growth<C: Contender>(contender: &C, callers: usize) -> Duration {
    let gate = Gate::new(callers);
    let start = Instant::now();
    let tasks = (0..GROWTH_TASKS).map(|_| {
        let (contender, gate) = (contender.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            let mut calls = Vec::with_capacity(callers / GROWTH_TASKS);
            for index in 0..callers / GROWTH_TASKS {
                if index % IN_A_ROW == 0 {
                    yield_now().await;
                }
                let mut call = Box::pin(maybe_done(gated(&contender, &gate)));
                let _ = poll!(call.as_mut());
                gate.count_in();
                calls.push(call);
            }
            for call in calls {
                call.await;
            }
        })
    });
    ended(tasks.collect()).await;
    start.elapsed()
}

//! Calls to be counted instruction by instruction: `cargo xtask instructions` runs this under valgrind.
//!
//! Runs one workload with a given number of calls, and measures nothing itself: the difference between a run with few calls
//! and one with many is the cost of the calls, without the process around them. One thread and one hasher make every run
//! the same.

use std::{collections::hash_map::DefaultHasher, convert::Infallible, hash::BuildHasherDefault, time::Duration};

use clap::{Parser, ValueEnum};
use fastrand::Rng;
use futures::poll;
use shardflight::{
    Coalescer, Handle, JoinError, RunWork,
    cache::{Cache, CacheHandle},
};
use tokio::{
    runtime,
    sync::oneshot,
    task::{JoinSet, yield_now},
};

const BURST: u64 = 1_000;
const TASKS: u64 = 64;
const KEYS: u64 = 32;

/// Runs one workload, to be counted under valgrind: see `cargo xtask instructions`.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Arguments {
    /// Without one, their names
    workload: Option<Workload>,
    /// How many; at least as many as a burst has
    #[arg(default_value_t = BURST, value_parser = clap::value_parser!(u64).range(BURST..))]
    calls: u64,
    /// With metrics, for which no recorder is installed
    #[arg(long)]
    metrics: bool,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Workload {
    /// One caller, a new key each time, work that is ready at once
    LonelyReady,
    /// The same with work that its leader polls
    ReadyInPlace,
    /// The same with a limit on executions that is never reached
    ReadyWithinLimit,
    /// 64 tasks that call for new keys, work that suspends once, and 8 of them run at a time
    WaitingForPermit,
    /// One caller, work that suspends once
    LonelySuspended,
    /// The same with work that its leader polls
    SuspendedInPlace,
    /// Bursts of a thousand calls of one key, whose work ends when all of them wait
    #[value(name = "burst-1000")]
    Burst,
    /// One call after the other joins a flight and leaves it, and leaves it
    LeavingOne,
    /// 64 tasks that call again and again for one of 32 keys, work that suspends once
    #[value(name = "loop-64")]
    Loop,
    /// Reads of one key that a cache has
    CacheHit,
    /// Reads of a new key each time, with a load that is ready at once, of a cache that has room for some of them
    CacheMiss,
}

type Callers = Handle<u64, u64, BuildHasherDefault<DefaultHasher>>;

async fn run(workload: Workload, callers: Callers, calls: u64) {
    match workload {
        Workload::LonelyReady | Workload::ReadyInPlace | Workload::ReadyWithinLimit => {
            for key in 0..calls {
                answered(callers.join(key, || async { 7 }).await);
            }
        }
        Workload::LonelySuspended | Workload::SuspendedInPlace => {
            for key in 0..calls {
                answered(callers.join(key, suspends_once).await);
            }
        }
        Workload::Burst => {
            for _ in 0..calls / BURST {
                burst(&callers).await;
            }
        }
        Workload::LeavingOne => leaving(&callers, calls).await,
        Workload::Loop => {
            let mut tasks = JoinSet::new();
            for seed in 0..TASKS {
                let share = calls / TASKS + u64::from(seed < calls % TASKS);
                tasks.spawn(again_and_again(callers.clone(), seed, share));
            }
            tasks.join_all().await;
        }
        Workload::WaitingForPermit => {
            let mut tasks = JoinSet::new();
            for first in 0..TASKS {
                let callers = callers.clone();
                tasks.spawn(async move {
                    for key in (first..calls).step_by(64) {
                        answered(callers.join(key, suspends_once).await);
                    }
                });
            }
            tasks.join_all().await;
        }
        Workload::CacheHit => read(|_| 0, calls).await,
        Workload::CacheMiss => read(|call| call, calls).await,
    }
}

/// The cache hashes with a key of its own, which changes its counts by less than the tolerance.
async fn read(key: fn(u64) -> u64, calls: u64) {
    let cache = Cache::builder().ttl(Duration::from_hours(1)).max_entries(1_000);
    let cache: Cache<u64, u64, Infallible> =
        cache.coalescer(|coalescer| coalescer.shards(1)).build().expect("inside a runtime");
    let numbers: CacheHandle<u64, u64, Infallible> = cache.handle();
    for call in 0..calls {
        assert_eq!(numbers.get(key(call), || async { Ok(7) }).await.expect("loads that can't fail"), 7);
    }
}

async fn suspends_once() -> u64 {
    yield_now().await;
    7
}

fn answered(answer: Result<u64, JoinError>) {
    assert_eq!(answer.expect("work that can't fail"), 7);
}

async fn burst(callers: &Callers) {
    let (end, ended) = oneshot::channel::<()>();
    let mut leader = callers.join(0_u64, || async {
        ended.await.expect("the flight's end");
        7
    });
    assert!(poll!(&mut leader).is_pending());
    let mut followers: Vec<_> = (1..BURST).map(|_| callers.join(0_u64, suspends_once)).collect();
    for follower in &mut followers {
        assert!(poll!(follower).is_pending());
    }
    end.send(()).expect("work that waits for its end");
    answered(leader.await);
    for follower in followers {
        answered(follower.await);
    }
}

async fn leaving(callers: &Callers, calls: u64) {
    let (end, ended) = oneshot::channel::<()>();
    let mut leader = callers.join(0_u64, || async {
        ended.await.expect("the flight's end");
        7
    });
    assert!(poll!(&mut leader).is_pending());
    for _ in 0..calls {
        let mut follower = callers.join(0_u64, suspends_once);
        assert!(poll!(&mut follower).is_pending());
        drop(follower);
    }
    let stats = callers.stats().await.expect("the shard is there");
    assert_eq!(stats.waiters, 1, "departures that the shard hasn't noticed");
    end.send(()).expect("work that waits for its end");
    answered(leader.await);
}

async fn again_and_again(callers: Callers, seed: u64, calls: u64) {
    let mut choices = Rng::with_seed(seed);
    for _ in 0..calls {
        answered(callers.join(choices.u64(..KEYS), suspends_once).await);
    }
}

fn main() {
    let arguments = Arguments::parse();
    let Some(workload) = arguments.workload else {
        for workload in Workload::value_variants() {
            println!("{}", workload.to_possible_value().expect("all of them have names").get_name());
        }
        return;
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = Coalescer::builder().shards(1).hasher(BuildHasherDefault::default());
        let in_place = matches!(workload, Workload::ReadyInPlace | Workload::SuspendedInPlace);
        let builder = builder.run_work(if in_place { RunWork::InPlace } else { RunWork::Detached });
        let builder = match workload {
            Workload::ReadyWithinLimit => builder.max_executions(1_000_000),
            Workload::WaitingForPermit => builder.max_executions(8),
            _ => builder,
        };
        let builder = if arguments.metrics { builder.metrics("counted") } else { builder };
        let callers = builder.build().expect("inside a runtime").handle();
        // In a task, as servers do: what `block_on` polls itself costs a turn of the event loop at each wake-up.
        tokio::spawn(run(workload, callers, arguments.calls)).await.expect("calls that are answered");
    });
}

//! Calls to be counted instruction by instruction: `cargo xtask instructions` runs this under valgrind.
//!
//! One workload, so many calls, and nothing is measured in here: whoever runs it with few calls and with many has in
//! the difference what the calls cost, without the process around them. One thread and one hasher make every run the
//! same.

use std::{collections::hash_map::DefaultHasher, hash::BuildHasherDefault};

use clap::{Parser, ValueEnum};
use fastrand::Rng;
use futures::poll;
use shardflight::{Coalescer, Handle, JoinError};
use tokio::{
    runtime,
    sync::oneshot,
    task::{JoinSet, yield_now},
};

const HERD: u64 = 1_000;
const TASKS: u64 = 64;
const KEYS: u64 = 32;

/// Runs one workload, to be counted by others: see `cargo xtask instructions`.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Arguments {
    /// Without one, their names
    workload: Option<Workload>,
    /// How many; at least as many as a herd has
    #[arg(default_value_t = HERD, value_parser = clap::value_parser!(u64).range(HERD..))]
    calls: u64,
    /// With metrics, for which no recorder is installed
    #[cfg(feature = "metrics")]
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
    /// The same with work that suspends once
    LonelySuspended,
    /// Herds of a thousand calls of one key, whose work ends when all of them wait
    #[value(name = "herd-1000")]
    Herd,
    /// One call after the other joins a flight and leaves it, before the shard hears of the next
    LeavingOne,
    /// 64 tasks that call again and again for one of 32 keys, work that suspends once
    #[value(name = "loop-64")]
    Loop,
}

type Callers = Handle<u64, u64, BuildHasherDefault<DefaultHasher>>;

async fn run(workload: Workload, callers: Callers, calls: u64) {
    match workload {
        Workload::LonelyReady => {
            for key in 0..calls {
                answered(callers.join(key, || async { 7 }).await);
            }
        }
        Workload::LonelySuspended => {
            for key in 0..calls {
                answered(callers.join(key, suspends_once).await);
            }
        }
        Workload::Herd => {
            for _ in 0..calls / HERD {
                herd(&callers).await;
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
    }
}

async fn suspends_once() -> u64 {
    yield_now().await;
    7
}

fn answered(answer: Result<u64, JoinError>) {
    assert_eq!(answer.expect("work that can't fail"), 7);
}

async fn herd(callers: &Callers) {
    let (end, ended) = oneshot::channel::<()>();
    let mut leader = callers.join(0_u64, || async {
        ended.await.expect("somebody who ends the flight");
        7
    });
    assert!(poll!(&mut leader).is_pending());
    let mut followers: Vec<_> = (1..HERD).map(|_| callers.join(0_u64, suspends_once)).collect();
    for follower in &mut followers {
        assert!(poll!(follower).is_pending());
    }
    rest().await;
    end.send(()).expect("work that waits for its end");
    answered(leader.await);
    for follower in followers {
        answered(follower.await);
    }
}

async fn leaving(callers: &Callers, calls: u64) {
    let (end, ended) = oneshot::channel::<()>();
    let mut leader = callers.join(0_u64, || async {
        ended.await.expect("somebody who ends the flight");
        7
    });
    assert!(poll!(&mut leader).is_pending());
    rest().await;
    for _ in 0..calls {
        let mut follower = callers.join(0_u64, suspends_once);
        assert!(poll!(&mut follower).is_pending());
        rest().await;
        drop(follower);
        rest().await;
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

/// Until the shard has heard of what was just done.
async fn rest() {
    yield_now().await;
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
        #[cfg(feature = "metrics")]
        let builder = if arguments.metrics { builder.metrics("counted") } else { builder };
        let callers = builder.build().expect("inside a runtime").handle();
        // In a task, as servers do: what `block_on` polls itself costs a turn of the event loop at each wake-up.
        tokio::spawn(run(workload, callers, arguments.calls)).await.expect("calls that are answered");
    });
}

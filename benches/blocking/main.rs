//! `blocking_join` from plain threads, beside a map of condition variables: `cargo bench -p benches --bench blocking`.
//!
//! Eight threads call at the same time. `one-key`: all of them call for one key, round after round, and the work ends when
//! all of them are about to wait. `thousand-keys`: each calls again and again for one of 1,000 random keys, with work
//! that returns at once. Times are wall time divided by all calls. The map's leader runs the work on its own thread;
//! `blocking_join` runs it on the runtime's blocking pool, so that it goes on when its leader gives up.

#[path = "../race/command.rs"]
mod command;
mod contenders;
#[path = "../race/median.rs"]
mod median;
#[path = "../race/table.rs"]
mod table;
#[path = "../race/verdict.rs"]
mod verdict;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Barrier, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, value_parser};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use crate::{
    command::{Fallible, write_json},
    contenders::{CondvarMap, Contender, PooledCondvarMap, Shardflight},
    median::median,
    table::table,
    verdict::Verdict,
};

const UNFAILING: &str = "nothing here fails";
const THREADS: u64 = 8;
const KEYS: u64 = 1_000;
/// Ours divided by the map of condition variables.
const BAR: f64 = 1.0;

/// The cost of blocking calls from eight threads, ours beside a map of condition variables.
#[derive(Debug, Parser)]
#[command(name = "blocking")]
struct Arguments {
    /// How often each contender runs each workload; the table holds the medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// A tenth of the calls
    #[arg(long)]
    quick: bool,
    /// Writes every sample there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Workload {
    OneKey,
    ThousandKeys,
}

impl Workload {
    const ALL: [Self; 2] = [Self::OneKey, Self::ThousandKeys];

    fn name(self) -> &'static str {
        match self {
            Self::OneKey => "one-key",
            Self::ThousandKeys => "thousand-keys",
        }
    }

    fn calls_per_thread(self) -> u64 {
        match self {
            Self::OneKey => 2_000,
            Self::ThousandKeys => 10_000,
        }
    }
}

/// Per call.
#[derive(Clone, Copy)]
struct Sample {
    nanoseconds: f64,
    executions: f64,
}

/// Counts threads; work waits until there are enough.
#[derive(Default)]
struct Gate {
    arrived: Mutex<u64>,
    all_arrived: Condvar,
}

impl Gate {
    fn arrive(&self) {
        let mut arrived = self.arrived.lock().expect(UNFAILING);
        *arrived += 1;
        if arrived.is_multiple_of(THREADS) {
            self.all_arrived.notify_all();
        }
    }

    fn wait_for(&self, threads: u64) {
        let arrived = self.arrived.lock().expect(UNFAILING);
        drop(self.all_arrived.wait_while(arrived, |arrived| *arrived < threads).expect(UNFAILING));
    }
}

#[derive(Default)]
struct Shared {
    gate: Gate,
    executions: AtomicU64,
}

fn sample<C: Contender>(workload: Workload, calls: u64) -> Sample {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    // Not counted: it starts the pool's threads.
    run::<C>(&runtime, workload, calls.div_ceil(10));
    let (took, executions) = run::<C>(&runtime, workload, calls);
    let all = (calls * THREADS) as f64;
    Sample { nanoseconds: took.as_secs_f64() * 1e9 / all, executions: executions as f64 / all }
}

fn run<C: Contender>(runtime: &Runtime, workload: Workload, calls: u64) -> (Duration, u64) {
    let contender = C::new(runtime);
    let callers_and_clock = usize::try_from(THREADS + 1).expect("a few");
    let (ready, shared) = (Arc::new(Barrier::new(callers_and_clock)), Arc::new(Shared::default()));
    let caller = |thread| {
        let (contender, ready, shared) = (contender.clone(), Arc::clone(&ready), Arc::clone(&shared));
        thread::spawn(move || {
            ready.wait();
            match workload {
                Workload::OneKey => one_key(&contender, &shared, calls),
                Workload::ThousandKeys => thousand_keys(&contender, &shared, calls, thread),
            }
        })
    };
    let threads: Vec<_> = (0..THREADS).map(caller).collect();
    ready.wait();
    let start = Instant::now();
    threads.into_iter().for_each(|thread| thread.join().expect(UNFAILING));
    (start.elapsed(), shared.executions.load(Ordering::Relaxed))
}

/// A key of its own for each round. With the same key, a thread that is late could join the next round's flight, which
/// waits for that thread.
fn one_key(contender: &impl Contender, shared: &Arc<Shared>, rounds: u64) {
    for round in 0..rounds {
        shared.gate.arrive();
        let in_work = Arc::clone(shared);
        contender.call(round, move || {
            in_work.executions.fetch_add(1, Ordering::Relaxed);
            in_work.gate.wait_for((round + 1) * THREADS);
            round
        });
    }
}

fn thousand_keys(contender: &impl Contender, shared: &Arc<Shared>, calls: u64, seed: u64) {
    let mut random = Rng::with_seed(seed);
    for _ in 0..calls {
        let (key, in_work) = (random.u64(..KEYS), Arc::clone(shared));
        contender.call(key, move || {
            in_work.executions.fetch_add(1, Ordering::Relaxed);
            key
        });
    }
}

type Run = fn(Workload, u64) -> Sample;

/// Ours, the reference of the bar, and the reference with its work where ours runs.
const CONTENDERS: [(&str, Run); 3] = [
    (Shardflight::NAME, sample::<Shardflight>),
    (CondvarMap::NAME, sample::<CondvarMap>),
    (PooledCondvarMap::NAME, sample::<PooledCondvarMap>),
];

/// One workload, by contender and round.
struct Results {
    workload: Workload,
    samples: [Vec<Sample>; CONTENDERS.len()],
}

impl Results {
    fn measure(workload: Workload, arguments: &Arguments) -> Self {
        let calls = workload.calls_per_thread() / if arguments.quick { 10 } else { 1 };
        let mut samples = [const { Vec::new() }; CONTENDERS.len()];
        for round in 0..arguments.rounds as usize {
            for turn in 0..CONTENDERS.len() {
                let index = (turn + round) % CONTENDERS.len();
                samples[index].push(CONTENDERS[index].1(workload, calls));
            }
        }
        Self { workload, samples }
    }

    fn medians(&self, value: fn(&Sample) -> f64) -> [f64; CONTENDERS.len()] {
        self.samples.each_ref().map(|samples| {
            let values: Vec<_> = samples.iter().map(value).collect();
            median(&values).expect("at least one round")
        })
    }

    fn verdict(&self) -> Verdict {
        let [ours, map, _] = self.medians(|sample| sample.nanoseconds);
        Verdict { ratio: ours / map, bar: BAR }
    }

    fn row(&self) -> Vec<String> {
        let times = self.medians(|sample| sample.nanoseconds);
        let executions = self.medians(|sample| sample.executions * 100.0).map(|executions| format!("{executions:.1}"));
        let mut row = vec![self.workload.name().to_string()];
        row.extend(times.map(|time| format!("{time:.0} ({:.2})", times[0] / time)));
        row.extend([executions.join(" / "), Verdict::cell(Some(self.verdict()))]);
        row
    }

    fn json(&self) -> Value {
        let times = self
            .samples
            .each_ref()
            .map(|samples| -> Vec<_> { samples.iter().map(|sample| sample.nanoseconds).collect() });
        json!({
            "workload": self.workload.name(),
            "contenders": CONTENDERS.map(|(name, _)| name),
            "nanoseconds_per_call": times,
            "nanoseconds_per_call_median": self.medians(|sample| sample.nanoseconds),
            "executions_per_100_calls_median": self.medians(|sample| sample.executions * 100.0),
            "bar": self.verdict().json(),
        })
    }
}

fn race(arguments: &Arguments) -> Fallible<()> {
    let names = CONTENDERS.map(|(name, _)| name);
    let mut table = table(1, ["workload"].into_iter().chain(names).chain(["executions/100", "ours / map"]));
    let results = Workload::ALL.map(|workload| Results::measure(workload, arguments));
    table.add_rows(results.each_ref().map(Results::row));
    println!("\n{THREADS} threads: ns per call, and in brackets ours divided by it\n{table}");
    match &arguments.json {
        Some(path) => {
            write_json(path, &json!({ "rounds": arguments.rounds, "results": results.each_ref().map(Results::json) }))
        }
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    command::main(race)
}

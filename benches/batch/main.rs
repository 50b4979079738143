//! Our batcher beside two data loaders: `cargo bench -p batch-bench`.
//!
//! Every round runs every contender once on every workload, each round beginning with another one. The table holds medians. A number
//! of async-graphql and of ultra-batch is with the window that they have by default; *no window* is theirs of zero.
//! `benches/README.md` says what each workload is.

#[path = "../race/command.rs"]
mod command;
mod contenders;
mod measure;
#[path = "../race/median.rs"]
mod median;
#[path = "../race/table.rs"]
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, value_parser};
use serde_json::{Value, json};

use crate::{
    command::{Fallible, write_json},
    contenders::{AsyncGraphql, Bare, Contender, Shardflight, UltraBatch},
    median::median,
    table::table,
};

/// Batches of a burst and of loops, what a lonely load adds, and nanoseconds per key.
#[derive(Debug, Parser)]
#[command(name = "batch")]
struct Arguments {
    /// How often every contender runs every workload; the table holds the medians
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// A tenth of the calls
    #[arg(long)]
    quick: bool,
    /// Only the workloads whose names contain this
    #[arg(long, value_name = "PART")]
    workload: Option<String>,
    /// Only the contenders whose names contain this, for profiles: the others' numbers are 0
    #[arg(long, value_name = "PART", default_value = "")]
    contender: String,
    /// Writes every sample there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

type Run = Box<dyn Fn() -> Vec<f64>>;

struct Workload {
    name: String,
    measures: &'static [&'static str],
    /// Of each contender.
    runs: Vec<Run>,
    /// By contender and round.
    samples: Vec<Vec<Vec<f64>>>,
}

const NAMES: [&str; 6] = [
    Shardflight::NAME,
    Bare::NAME,
    AsyncGraphql::<1>::NAME,
    AsyncGraphql::<0>::NAME,
    UltraBatch::<10>::NAME,
    UltraBatch::<0>::NAME,
];

/// One workload, of all contenders.
macro_rules! workload {
    ($name:expr, $measures:expr, |$contender:ident| $run:expr) => {{
        fn runs(workers: usize, divisor: u64) -> Vec<Run> {
            fn run<$contender: Contender>(workers: usize, divisor: u64) -> Run {
                let run = $run;
                Box::new(move || run(workers, divisor))
            }
            vec![
                run::<Shardflight>(workers, divisor),
                run::<Bare>(workers, divisor),
                run::<AsyncGraphql<1>>(workers, divisor),
                run::<AsyncGraphql<0>>(workers, divisor),
                run::<UltraBatch<10>>(workers, divisor),
                run::<UltraBatch<0>>(workers, divisor),
            ]
        }
        ($name, $measures as &'static [&'static str], runs as fn(usize, u64) -> Vec<Run>)
    }};
}

fn workloads(divisor: u64) -> Vec<Workload> {
    let all = [
        workload!("lonely", &["µs per load"], |C| |workers, divisor| vec![measure::lonely::<C>(
            workers,
            500 / divisor
        )]),
        workload!("burst of 100", &["batches", "ms"], |C| |workers, divisor| measure::burst::<C>(
            workers,
            50 / divisor
        )
        .to_vec()),
        workload!("64 loops", &["keys per batch", "loads per ms"], |C| |workers, divisor| {
            measure::loops::<C>(workers, 50 / divisor).to_vec()
        }),
        workload!("100 loads in a task", &["ns per key"], |C| |workers, divisor| {
            vec![measure::per_key::<C>(workers, 200 / divisor)]
        }),
        workload!("load_many of 100", &["ns per key"], |C| |workers, divisor| {
            vec![measure::per_key_of_many::<C>(workers, 200 / divisor)]
        }),
    ];
    let at = |workers: usize, on: &str| {
        let on = on.to_owned();
        all.map(move |(name, measures, runs)| {
            let runs = runs(workers, divisor);
            let samples = runs.iter().map(|_| Vec::new()).collect();
            Workload { name: format!("{name}, {on}"), measures, runs, samples }
        })
    };
    at(1, "one thread").into_iter().chain(at(2, "two workers")).collect()
}

impl Workload {
    fn run(&mut self, round: usize, only: &str) {
        for turn in 0..self.runs.len() {
            let contender = (turn + round) % self.runs.len();
            let is_wanted = NAMES[contender].contains(only);
            self.samples[contender].push(if is_wanted {
                self.runs[contender]()
            } else {
                vec![0.0; self.measures.len()]
            });
        }
    }

    fn median(&self, contender: usize, measure: usize) -> f64 {
        let samples: Vec<_> = self.samples[contender].iter().map(|sample| sample[measure]).collect();
        median(&samples).expect("a round or more")
    }
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let mut workloads = workloads(if arguments.quick { 10 } else { 1 });
    if let Some(part) = &arguments.workload {
        workloads.retain(|workload| workload.name.contains(part));
        if workloads.is_empty() {
            return Err(format!("--workload {part:?} names nothing here").into());
        }
    }
    for round in 0..arguments.rounds as usize {
        workloads.iter_mut().for_each(|workload| workload.run(round, &arguments.contender));
        eprintln!("round {} of {}", round + 1, arguments.rounds);
    }
    let mut rows = table(2, ["workload", "measured"].into_iter().chain(NAMES));
    for workload in &workloads {
        for (index, measure) in workload.measures.iter().enumerate() {
            let numbers = (0..NAMES.len()).map(|contender| format!("{:.1}", workload.median(contender, index)));
            rows.add_row([workload.name.clone(), (*measure).to_owned()].into_iter().chain(numbers));
        }
    }
    println!("\n{rows}");
    if let Some(path) = &arguments.json {
        let of_all = |workload: &Workload| json!({ "workload": workload.name, "measures": workload.measures, "contenders": NAMES, "samples": workload.samples });
        let all: Vec<Value> = workloads.iter().map(of_all).collect();
        write_json(path, &json!({ "rounds": arguments.rounds, "quick": arguments.quick, "workloads": all }))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command::main(run)
}

//! Our cache beside moka's and beside what can be put together: `cargo bench -p benches --bench cache`.
//!
//! Hits, misses, bytes per entry, and a trace of reads and writes that counts loads and stale reads. Every round runs every
//! contender once on every workload, each round beginning with another one. The tables hold medians; the ratios are the result.
//! `benches/README.md` says what each workload is.

#[path = "../race/command.rs"]
mod command;
mod contenders;
mod measure;
#[path = "../race/median.rs"]
mod median;
mod results;
#[path = "../race/table.rs"]
mod table;
#[path = "../race/verdict.rs"]
mod verdict;
mod workloads;
#[path = "../race/zipf.rs"]
mod zipf;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{Parser, value_parser};
use serde_json::{Value, json};

use crate::{
    command::{Fallible, write_json},
    workloads::groups,
};

/// Hits, misses, bytes and stale reads of our cache, of moka's, and of a store with a coalescer.
#[derive(Debug, Parser)]
#[command(name = "cache")]
struct Arguments {
    /// How often every contender runs every workload; the tables hold the medians
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Only the workloads whose names contain this
    #[arg(long, value_name = "PART")]
    workload: Option<String>,
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

fn run(arguments: &Arguments) -> Fallible<()> {
    let mut groups = groups(if arguments.quick { 10 } else { 1 });
    if let Some(part) = &arguments.workload {
        groups.iter_mut().for_each(|group| group.workloads.retain(|workload| workload.name.contains(part)));
        groups.retain(|group| !group.workloads.is_empty());
        if groups.is_empty() {
            return Err(format!("--workload {part:?} names nothing here").into());
        }
    }
    let start = Instant::now();
    for round in 0..arguments.rounds as usize {
        let workloads = groups.iter_mut().flat_map(|group| &mut group.workloads);
        workloads.for_each(|workload| workload.run(round));
        eprintln!("round {} of {}, {:.0?}", round + 1, arguments.rounds, start.elapsed());
    }
    for group in &groups {
        println!("\n{}", results::text(group));
    }
    if let Some(path) = &arguments.json {
        let groups: Vec<Value> = groups.iter().map(results::json).collect();
        write_json(path, &json!({ "rounds": arguments.rounds, "quick": arguments.quick, "groups": groups }))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command::main(run)
}

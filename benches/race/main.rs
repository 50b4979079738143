//! Ours and the peers' cost per call, side by side in one run: `cargo bench -p benches --bench race`.
//!
//! Every round runs every contender once on every workload, each round beginning with another contender, so that other
//! load on the machine affects all of them alike. Absolute times hold for one machine and one moment; the ratios are the
//! result. `benches/README.md` says what each workload is and how to read the tables.

mod arguments;
mod bars;
mod choice;
mod command;
mod contenders;
mod gate;
mod median;
mod report;
mod results;
mod table;
mod verdict;
mod workloads;
mod zipf;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    arguments::{Arguments, Flavour},
    bars::is_fresh_leak_free_peer,
    choice::choose,
    command::{Fallible, write_json},
    contenders::{Contender, Facts, Role, Visitor, field},
    results::Results,
    workloads::{Pattern, Sample, WORKLOADS, Workload},
};

type Run = fn(Flavour, Workload) -> Sample;

/// In a runtime of its own, so that no tasks or threads outlive their sample.
fn sample<C: Contender>(flavour: Flavour, workload: Workload) -> Sample {
    let runtime = flavour.runtime();
    let sample = runtime.block_on(workloads::run::<C>(workload));
    runtime.shutdown_timeout(Duration::from_secs(10));
    sample
}

struct Runner;

impl Visitor for Runner {
    type Output = Run;
    fn visit<C: Contender>(&self) -> Run {
        sample::<C>
    }
}

/// Growth compares ours with itself, so one contender of ours runs it. Of the peers, those run it that are fresh and
/// leak-free: the others would take most of a run, one of them quadratic time.
fn sits_out(facts: &Facts, workload: Workload) -> bool {
    matches!(workload.pattern, Pattern::Growth { .. }) && facts.role != Role::Ours && !is_fresh_leak_free_peer(facts)
}

fn workloads(arguments: &Arguments) -> Result<Vec<Workload>, String> {
    let mut chosen = choose("--workload", WORKLOADS.to_vec(), |workload| workload.name, &arguments.workload)?;
    if arguments.quick {
        chosen.retain(|workload| !(workload.is_large && arguments.workload.is_empty()));
        chosen.iter_mut().for_each(|workload| workload.times = workload.times.div_ceil(10));
    }
    Ok(chosen)
}

fn race(arguments: &Arguments) -> Result<Results, String> {
    let runners = choose("--only", field(&Runner), |(facts, _)| &facts.name, &arguments.only)?;
    let mut results = Results {
        field: runners.iter().map(|(facts, _)| facts.clone()).collect(),
        workloads: workloads(arguments)?,
        flavours: arguments.flavours(),
        runs: Vec::new(),
    };
    let start = Instant::now();
    for round in 0..arguments.rounds as usize {
        for flavour in results.flavours.clone() {
            for workload in results.workloads.clone() {
                for turn in 0..runners.len() {
                    let contender = (turn + round) % runners.len();
                    let (facts, run) = &runners[contender];
                    if !sits_out(facts, workload) {
                        results.record(flavour, workload.name, contender, run(flavour, workload));
                    }
                }
            }
        }
        eprintln!("round {} of {}, {:.0?}", round + 1, arguments.rounds, start.elapsed());
    }
    Ok(results)
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let results = race(arguments)?;
    for flavour in &results.flavours {
        println!("\n{}", report::text(&results, *flavour));
    }
    if let Some(path) = &arguments.json {
        write_json(path, &report::json(&results, arguments))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command::main(run)
}

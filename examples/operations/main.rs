//! Limits, deadlines, switches and gauges of a coalescer, as an operator sees them.
//! `cargo run --release -p operations` runs all scenarios, `… operations hang rollout` only those that are named.
//!
//! Lines that begin with `  |` show `handle.stats()`, and lines with a tick show claims that were checked. The other lines are
//! explanations of the scenarios, and the coalescer's events from tracing. A claim that doesn't hold ends the program with an
//! error.

mod backend;
mod callers;
mod claim;
mod console;
mod log;
mod scenario;
mod wait;

use std::{error::Error, process::ExitCode};

use clap::Parser;
use tokio::time::timeout;

use crate::{log::Log, scenario::Scenario, wait::SCENARIO_LIMIT};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs scenarios that an operator may meet, and checks their claims.
#[derive(Debug, Parser)]
#[command(name = "operations")]
struct Arguments {
    /// The scenarios to run, in this order; all of them by default
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
}

async fn run(scenarios: &[Scenario], log: &Log) -> Fallible<()> {
    for scenario in scenarios {
        println!("\n== {} ==", scenario.title());
        log.listen_to(scenario.level())?;
        match timeout(SCENARIO_LIMIT, scenario.run()).await {
            Ok(result) => result.map_err(|error| format!("{}: {error}", scenario.name()))?,
            Err(_) => return Err(format!("{}: didn't end within {SCENARIO_LIMIT:?}", scenario.name()).into()),
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { scenarios } = Arguments::parse();
    let scenarios = if scenarios.is_empty() { Scenario::ALL.to_vec() } else { scenarios };
    let log = Log::open();
    match run(&scenarios, &log).await {
        Ok(()) => {
            println!("\nEvery claim holds.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("operations: {error}");
            ExitCode::FAILURE
        }
    }
}

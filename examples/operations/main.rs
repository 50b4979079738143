//! A night on call: what the limits, deadlines, switches and gauges of a coalescer look like from the operator's chair.
//! `cargo run --release -p operations` plays all acts, `… operations hang rollout` those that are named.
//!
//! Lines that begin with `  |` are `handle.stats()`, lines with a tick are claims that were checked; the rest is told by
//! the acts and, in between, by the coalescer itself through tracing. A claim that doesn't hold ends the program with
//! an error.

mod act;
mod backend;
mod callers;
mod claim;
mod console;
mod log;
mod patience;

use std::{error::Error, process::ExitCode};

use clap::Parser;
use tokio::time::timeout;

use crate::{act::Act, log::Log, patience::WHOLE_ACT};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Plays what an operator may meet at night, and checks what it says.
#[derive(Debug, Parser)]
#[command(name = "operations")]
struct Arguments {
    /// What to play, in this order; everything, when nothing is named
    #[arg(value_enum, value_name = "ACT")]
    acts: Vec<Act>,
}

async fn play(acts: &[Act], log: &Log) -> Fallible<()> {
    for act in acts {
        println!("\n== {} ==", act.title());
        log.listen_to(act.level())?;
        match timeout(WHOLE_ACT, act.play()).await {
            Ok(played) => played.map_err(|error| format!("{}: {error}", act.name()))?,
            Err(_) => return Err(format!("{}: not over after {WHOLE_ACT:?}", act.name()).into()),
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { acts } = Arguments::parse();
    let acts = if acts.is_empty() { Act::ALL.to_vec() } else { acts };
    let log = Log::open();
    match play(&acts, &log).await {
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

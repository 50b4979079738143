//! Does anything grow? `cargo run --release -p soak -- --seconds 60`
//!
//! Thousands of callers join, leave, are aborted, forget, panic, expire and reach caps, from tasks and from threads, while other
//! coalescers are built and dropped. Load and rest alternate. At each rest, no flights, waiters, tasks or values may be left, and
//! the counters must add up; over all rests, memory may grow by a tenth and no more (see `verdict`). Otherwise the program prints the value and its limit, and ends
//! with exit code 1.
//!
//! At the end, the curves are drawn to an SVG file in any case.

mod answer;
mod arguments;
mod callers;
mod chart;
mod fleet;
#[path = "../stampede/memory.rs"]
mod memory;
mod payload;
mod report;
mod sample;
mod script;
mod side_load;
mod soak;
mod verdict;
mod work;

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser;
use peak_alloc::PeakAlloc;
use tokio::runtime;

use crate::{arguments::Arguments, verdict::Verdict};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Counts the live bytes, which show a leak more exactly than the resident set.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The runtime keeps its idle threads, as the stacks of new threads would look like growth.
fn run(arguments: &Arguments) -> Fallible<Verdict> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(32)
        .thread_keep_alive(Duration::from_hours(24))
        .build()?;
    let log = runtime.block_on(soak::soak(arguments))?;
    let verdict = Verdict::of(&log);
    println!("\n{}", report::text(&log));
    if let Some(directory) = arguments.output.parent() {
        std::fs::create_dir_all(directory)?;
    }
    chart::draw(&log, &verdict, &arguments.output)
        .map_err(|error| format!("--output {}: {error}", arguments.output.display()))?;
    println!("\nThe curves are in {}.", arguments.output.display());
    Ok(verdict)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(verdict) => {
            println!("\n{verdict}");
            if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

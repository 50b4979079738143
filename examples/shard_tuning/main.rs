//! How many shards suit this machine? `cargo run --release -p shard_tuning`
//!
//! Each count of shards runs each shape of load, in several rounds. Each round starts with another count, so that other load on
//! the machine affects all counts alike. The table shows the medians, and the sentence below it the recommended count. The work
//! costs almost nothing: the comparison is of the crate's own cost of a join, which is a smaller part with real work.

mod advice;
mod arguments;
#[path = "../../benches/race/gate.rs"]
mod gate;
mod report;
mod shapes;
mod sweep;
#[path = "../../benches/race/zipf.rs"]
mod zipf;

use std::{error::Error, process::ExitCode};

use clap::Parser;

use crate::{advice::Advice, arguments::Arguments, sweep::Sweep};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn run(arguments: &Arguments) -> Fallible<()> {
    if cfg!(debug_assertions) {
        eprintln!("This build is not optimised, so its numbers mean little: run it with --release.");
    }
    let sweep = Sweep::run(arguments)?;
    let advice = Advice::of(&sweep.medians());
    println!("{}\n\n{}", report::table(&sweep, &advice), report::sentence(&sweep, &advice));
    if let Some(caveat) = report::caveat(&sweep) {
        println!("{caveat}");
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shard_tuning: {error}");
            ExitCode::FAILURE
        }
    }
}

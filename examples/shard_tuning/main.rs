//! How many shards suit this machine? `cargo run --release -p shard_tuning`
//!
//! Every count of shards runs every shape of load, round after round, and each round begins with another count, so that
//! whatever the machine does meanwhile happens to all of them. The table holds the medians, the sentence below it what
//! follows from them. Work here costs next to nothing: what is compared is the crate's own share of a join, which real
//! work makes a smaller part of the whole.

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
        eprintln!("This build is not optimised, and its numbers say little: run it with --release.");
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

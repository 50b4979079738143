//! What a stampede costs, and what coalescing makes of it: `cargo run --release -p stampede`.
//!
//! A real server (axum, loopback), a real database (`SQLite`, a file in a temporary directory, ten connections), and
//! real HTTP clients. Each scenario runs twice: *direct*, where every request does its own work, and *coalesced*, where
//! the handler joins through shardflight. The only difference is in `server.rs`.
//!
//! Every answer is compared with what the rows say it has to be. A claim that doesn't hold makes the program fail.

mod arguments;
mod arm;
mod bucket;
mod cache;
mod claims;
mod crowd;
mod database;
mod failure;
mod gauge;
mod listening;
mod memory;
mod patience;
mod pool;
mod report;
mod rush;
mod scenario;
mod server;
mod source;
mod stage;
mod table;
mod upstream;

use std::{error::Error, process::ExitCode};

use clap::Parser;

use crate::{arguments::Arguments, report::Report, stage::Stage};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn run(arguments: &Arguments) -> Fallible<Vec<Report>> {
    let stage = Stage::set(arguments).await?;
    if !arguments.json {
        println!("{}", stage.description());
    }
    let mut reports = Vec::new();
    for scenario in arguments.scenarios() {
        let report = scenario.run(&stage).await.map_err(|error| format!("{}: {error}", scenario.name()))?;
        if !arguments.json {
            println!("\n{report}");
        }
        reports.push(report);
    }
    stage.strike()?;
    Ok(reports)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::select! {
        outcome = run(&arguments) => outcome,
        // Giving up here, rather than being ended there, is what gets the temporary directory deleted.
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    let reports = match outcome {
        Ok(reports) => reports,
        Err(error) => {
            eprintln!("stampede: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.json {
        println!("{:#}", table::json(&reports));
    } else {
        println!("\n{}", table::text(&reports));
    }
    let broken: Vec<String> = reports.iter().flat_map(Report::broken_claims).collect();
    for claim in &broken {
        eprintln!("stampede: this claim doesn't hold: {claim}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! What a stampede costs, with and without coalescing: `cargo run --release -p stampede`.
//!
//! A real server (axum, loopback), a real database (`SQLite`, a file in a temporary directory, ten connections), and
//! real HTTP clients. Each scenario runs twice: *direct*, where every request does its own work, and *coalesced*, where
//! the handler joins through shardflight; `cache` runs a third time, *cached*, where the handler asks `shardflight::cache`. The only
//! difference is in `server.rs`.
//!
//! Each answer is compared with the expected page. The program fails if a claim doesn't hold.

mod arguments;
mod arm;
mod bucket;
mod burst;
mod claims;
mod clients;
mod database;
mod environment;
mod failure;
mod gauge;
mod listening;
mod load;
mod memory;
mod pool;
mod report;
mod scenario;
mod server;
mod source;
mod table;
mod upstream;
mod wait;

use std::{error::Error, process::ExitCode};

use clap::Parser;

use crate::{arguments::Arguments, environment::Environment, report::Report};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

async fn run(arguments: &Arguments) -> Fallible<Vec<Report>> {
    let environment = Environment::prepare(arguments).await?;
    if !arguments.json {
        println!("{}", environment.description());
    }
    let mut reports = Vec::new();
    for scenario in arguments.scenarios() {
        let report = scenario.run(&environment).await.map_err(|error| format!("{}: {error}", scenario.name()))?;
        if !arguments.json {
            println!("\n{report}");
        }
        reports.push(report);
    }
    environment.close()?;
    Ok(reports)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::select! {
        outcome = run(&arguments) => outcome,
        // Returns instead of exiting, so that the temporary directory is deleted.
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

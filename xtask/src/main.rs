//! `cargo xtask`: the checks that take longer than a test run may, each by one command, each with a bound.

mod instructions;
mod planted;
mod process;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use process::{Failure, cargo, root};

/// The checks of shardflight that take longer than a test run may.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    check: Check,
}

#[derive(Subcommand)]
enum Check {
    /// Every reachable state of small worlds of one shard, judged after every step: 4 million states, 20 seconds.
    Model {
        /// The vast worlds too: some minutes and gigabytes.
        #[arg(long)]
        vast: bool,
    },
    /// The real protocol under chosen thread schedules, without the actor around it.
    Interleavings {
        /// How many schedules to play, over all scenarios.
        #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
        schedules: u64,
        /// All interleavings of the smallest scenario instead: over a million.
        #[arg(long)]
        exhaustive: bool,
    },
    /// Random load on several threads, logged, and judged from the log alone.
    History {
        #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// Plays this one seed and nothing else.
        #[arg(long, conflicts_with = "seconds")]
        seed: Option<u64>,
    },
    /// Plants each of a list of realistic bugs and sees that the tests find it: about a minute each.
    Planted {
        /// Only those whose name contains this.
        only: Option<String>,
        /// Only that each of them still has its place in the sources: a second in all.
        #[arg(long)]
        places: bool,
    },
    /// Mutates the core mechanically with cargo-mutants, and lists what no test notices: hours.
    Mutants {
        /// Only this file, `src/shard/mod.rs` say.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Looks for inputs that break a rule, by coverage; needs a nightly toolchain and cargo-fuzz.
    Fuzz {
        #[arg(value_parser = ["shard", "calls"])]
        target: String,
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
    },
    /// Thousands of callers for as long as wished, watching memory, tasks and flights: see `--example soak --help`.
    Soak {
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(30..=604_800))]
        seconds: u64,
    },
    /// Instructions per call under valgrind's callgrind, held against `xtask/instructions.toml`: half a minute.
    Instructions {
        /// Writes the table instead, for a change that is meant, another compiler or another machine.
        #[arg(long)]
        bless: bool,
    },
    /// Known vulnerabilities among the dependencies; needs the advisory database's server.
    Advisories,
}

fn main() -> ExitCode {
    match run(Arguments::parse().check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(sentence)) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: Check) -> Result<(), Failure> {
    match check {
        Check::Model { vast } => {
            let which = if vast { "every_reachable_state" } else { "every_reachable_state_of_wider" };
            cargo(["test", "--release", "--lib", which, "--", "--include-ignored", "--nocapture"]).run()
        }
        Check::Interleavings { schedules, exhaustive } => {
            let which = if exhaustive { &["--ignored"][..] } else { &[] };
            cargo(["test", "--release", "--lib", "interleavings", "--", "--nocapture"].iter().chain(which))
                .env("RUSTFLAGS", "--cfg shardflight_shuttle")
                .env("CARGO_TARGET_DIR", "target/shuttle")
                .env("SHARDFLIGHT_SCHEDULES", schedules)
                .run()
        }
        Check::History { seconds, seed } => {
            let history = cargo(["test", "--release", "--test", "behaviour", "history", "--", "--nocapture"]);
            match seed {
                Some(seed) => history.env("SHARDFLIGHT_HISTORY_SEED", seed).run(),
                None => history.env("SHARDFLIGHT_HISTORY_SECONDS", seconds).run(),
            }
        }
        Check::Planted { places: true, .. } => planted::check_places(),
        Check::Planted { only, places: false } => planted::plant_all(only.as_deref()),
        Check::Mutants { file } => {
            let mutants = cargo(["mutants"]);
            match file {
                Some(file) => mutants.arg("--file").arg(file).run(),
                None => mutants.run(),
            }
        }
        Check::Fuzz { target, seconds } => {
            // What is found goes to the first of the directories, and not among what is committed.
            let (found, corpus) = (format!("fuzz/target/found-{target}"), format!("fuzz/corpus/{target}"));
            fs::create_dir_all(root().join(&found)).map_err(Failure::of(&found))?;
            let limit = format!("-max_total_time={seconds}");
            cargo(["+nightly", "fuzz", "run", &target, &found, &corpus, "--", &limit])
                .arg("-max_len=400")
                .arg("-len_control=0")
                .run()
        }
        Check::Soak { seconds } => {
            cargo(["run", "--release", "--example", "soak", "--", "--seconds", &seconds.to_string()]).run()
        }
        Check::Instructions { bless: true } => instructions::bless(),
        Check::Instructions { bless: false } => instructions::check(),
        Check::Advisories => cargo(["deny", "check", "advisories"]).run(),
    }
}

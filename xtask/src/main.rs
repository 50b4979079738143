//! `cargo xtask`: the checks that are too long for a test run, each as a command with a time limit.

mod arguments;
#[cfg(test)]
mod documents;
mod instructions;
mod planted;
mod process;

use std::{fs, path::Path, process::ExitCode};

use arguments::Check;
use process::{Failure, cargo, target};

/// What is checked optimised. Each check builds a part of the same packages with the same features, so it finds the dependencies as
/// the one before it built them. Other packages and features would bring much to build.
const OPTIMISED: [&str; 14] = [
    "--locked",
    "--release",
    "--features",
    "shardflight/adaptive,shardflight/cache,shardflight/dashboard,shardflight/metrics,shardflight/redis",
    "--package",
    "shardflight",
    "--package",
    "instructions",
    "--package",
    "interleavings",
    "--package",
    "shard_tuning",
    "--package",
    "soak",
];

fn main() -> ExitCode {
    match arguments::read(lexopt::Parser::from_env()) {
        Ok(Some(check)) => match run(check) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure(sentence)) => {
                eprintln!("{sentence}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            print!("{}", arguments::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", arguments::HELP);
            ExitCode::from(2)
        }
    }
}

fn run(check: Check) -> Result<(), Failure> {
    match check {
        Check::Model { vast } => {
            let which = if vast { "every_reachable_state" } else { "every_reachable_state_of_wider" };
            cargo(["test"])
                .args(OPTIMISED)
                .args(["--lib", which])
                .args(["--", "--include-ignored", "--nocapture"])
                .run()
        }
        Check::Interleavings { schedules, exhaustive } => {
            let which = if exhaustive { &["--ignored"][..] } else { &[] };
            cargo(["test"])
                .args(OPTIMISED)
                .args(["--test", "interleavings", "interleavings", "--", "--nocapture"])
                .args(which)
                .env("SHARDFLIGHT_SCHEDULES", schedules)
                .run()
        }
        Check::Simulation { schedules } => cargo(["test"])
            .args(OPTIMISED)
            .args(["--lib", "redis::simulation"])
            .args(["--", "--nocapture"])
            .env("SHARDFLIGHT_SCHEDULES", schedules)
            .run(),
        Check::History { seconds, seed } => {
            let history = cargo(["test", "--release", "--test", "behaviour", "history", "--", "--nocapture"]);
            match seed {
                Some(seed) => history.env("SHARDFLIGHT_HISTORY_SEED", seed).run(),
                None => history.env("SHARDFLIGHT_HISTORY_SECONDS", seconds).run(),
            }
        }
        Check::Planted { places: true, .. } => planted::check_places(),
        Check::Planted { only, places: false } => planted::plant_all(only.as_deref()),
        Check::Mutants { file } => mutants(file.as_deref()),
        Check::Fuzz { target: name, seconds } => {
            // libFuzzer writes new inputs to the first directory, so keep the committed corpus second.
            let (found, corpus) = (target().join(format!("found-{name}")), format!("fuzz/corpus/{name}"));
            fs::create_dir_all(&found).map_err(Failure::of(found.display()))?;
            cargo(["+nightly", "fuzz", "run", &name])
                .arg(&found)
                .args([&corpus, "--", &format!("-max_total_time={seconds}")])
                .args(["-max_len=400", "-len_control=0"])
                .run()
        }
        Check::Soak { seconds } => cargo(["run", "--release", "--package", "soak", "--", "--seconds"])
            .arg(seconds.to_string())
            .arg("--output")
            .arg(target().join("soak.svg"))
            .run(),
        Check::Instructions { bless: true } => instructions::bless(),
        Check::Instructions { bless: false } => instructions::check(),
        Check::Advisories => cargo(["deny", "check", "advisories"]).run(),
    }
}

/// What fails a test is left out of the next, slower suite, so that most mutants are built for the unit tests alone.
fn mutants(file: Option<&Path>) -> Result<(), Failure> {
    let suite = |tests: &[&str]| {
        let mutants = cargo(["mutants", "--package", "shardflight"]).args(tests);
        match file {
            Some(file) => mutants.arg("--file").arg(file),
            None => mutants,
        }
    };
    match suite(&["--cargo-arg=--lib"]).run() {
        Ok(()) => Ok(()),
        Err(_) => suite(&["--iterate", "--cargo-arg=--test=behaviour"]).run(),
    }
}

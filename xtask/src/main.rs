//! `cargo xtask`: the checks that are too long for a test run, each as a command with a time limit.

mod arguments;
#[cfg(test)]
mod documents;
mod instructions;
mod planted;
mod process;

use std::{ffi::OsStr, fs, path::Path, process::ExitCode};

use arguments::{Check, Part};
use process::{Failure, cargo, root, target};

/// What is checked optimised. Each check builds a part of the same packages with the same features, so it finds the dependencies as
/// the one before it built them, or its own part too after `build`. Other packages and features would bring much to build.
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
        Check::Build => {
            cargo(["build"])
                .args(OPTIMISED)
                .args(["--bin", "soak", "--bin", "shard_tuning", "--bench", "instructions"])
                .run()?;
            cargo(["test", "--no-run"]).args(OPTIMISED).args(["--lib", "--test", "interleavings"]).run()
        }
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
            // Not optimised: that would take longer than the check, as it has all tests of behaviour compiled.
            let history = cargo(["test", "--test", "behaviour", "history", "--", "--nocapture"]);
            match seed {
                Some(seed) => history.env("SHARDFLIGHT_HISTORY_SEED", seed).run(),
                None => history.env("SHARDFLIGHT_HISTORY_SECONDS", seconds).run(),
            }
        }
        Check::Planted { places: true, .. } => planted::check_places(),
        Check::Planted { only, places: false, part } => planted::plant_all(only.as_deref(), part),
        Check::Mutants { file, part } => mutants(file.as_deref(), part),
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

/// Mutants that fail a unit test are not tried with the slower suite.
fn mutants(file: Option<&Path>, part: Part) -> Result<(), Failure> {
    let suite = |tests: &str, limit| {
        cargo(["mutants", "--package", "shardflight", &format!("--cargo-arg={tests}")])
            .arg(format!("--minimum-test-timeout={limit}"))
    };
    let units = suite("--lib", 30)
        .args(["--sharding", "round-robin", "--shard", &format!("{}/{}", part.first - 1, part.each)])
        .args(file.iter().flat_map(|file| [OsStr::new("--file"), file.as_os_str()]))
        // They explore models, which takes eight times as long unoptimised.
        .env("CARGO_PROFILE_TEST_OPT_LEVEL", 1)
        .run();
    let missed = fs::read_to_string(root().join("mutants.out/missed.txt")).unwrap_or_default();
    if missed.is_empty() {
        return units;
    }
    missed
        .lines()
        .fold(suite("--test=behaviour", 120), |behaviour, name| behaviour.arg("--re").arg(exactly(name)))
        .run()
}

/// A regular expression for this text alone.
fn exactly(text: &str) -> String {
    let escaped = text.chars().map(|char| match char {
        char if char.is_alphanumeric() || matches!(char, ' ' | '_') => char.to_string(),
        char => format!(r"\x{{{:x}}}", u32::from(char)),
    });
    format!("^{}$", escaped.collect::<String>())
}

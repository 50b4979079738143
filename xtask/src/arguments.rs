//! The command line.

use std::{ffi::OsString, ops::RangeInclusive, path::PathBuf};

use lexopt::{Arg, Error, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Runs the checks of shardflight that are too long for a test run

Usage: cargo xtask CHECK [OPTIONS]

  build          Builds what model, interleavings, simulation and instructions run, and the soak, all at once
  model          Checks every reachable state of small models of one shard, after each step: 4 million states, 20 seconds
    --vast             also the vast models: some minutes and gigabytes
  interleavings  Runs the real protocol under chosen thread schedules, without the actor
    --schedules N      the number of schedules over all scenarios; 200,000
    --exhaustive       all interleavings of the smallest scenario instead: over a million
  simulation     Runs the lease logic of flights across processes through random schedules: seconds
    --schedules N      the number of schedules; 100,000
  history        Checks the log of random load on several threads
    --seconds N        the duration; 600
    --seed N           only this seed
  planted [NAME] Plants each of a list of realistic bugs, or those whose name contains NAME, and checks that the tests find
                 it: about a minute each
    --places           checks only that each bug still has its place in the sources: a second in all
    --part K/N         only each Nth bug, beginning with the Kth
  mutants        Mutates the core with cargo-mutants, and lists the mutants that no test finds: hours
    --file PATH        only this file, such as src/shard/mod.rs
    --part K/N         only each Nth mutant, beginning with the Kth
  fuzz TARGET    Searches for inputs that break a rule, guided by coverage; needs a nightly toolchain and cargo-fuzz.
                 TARGET is shard or calls
    --seconds N        the duration; 300
  soak           Runs thousands of callers, and checks memory, tasks and flights: see
                 `cargo run --release -p soak -- --help`
    --seconds N        the duration, at least 30; 60
  instructions   Counts instructions per call with valgrind's callgrind, and compares them with xtask/instructions.toml:
                 half a minute
    --bless            writes the table instead, after an intended change, or for another compiler or machine
  advisories     Checks the dependencies for known vulnerabilities; needs the advisory database's server
";

#[derive(Debug, PartialEq)]
pub(crate) enum Check {
    Build,
    Model { vast: bool },
    Interleavings { schedules: u64, exhaustive: bool },
    Simulation { schedules: u64 },
    History { seconds: u64, seed: Option<u64> },
    Planted { only: Option<String>, places: bool, part: Part },
    Mutants { file: Option<PathBuf>, part: Part },
    Fuzz { target: String, seconds: u64 },
    Soak { seconds: u64 },
    Instructions { bless: bool },
    Advisories,
}

/// Each so many of a list, beginning with the one of this number, from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) first: usize,
    pub(crate) each: usize,
}

impl Part {
    const ALL: Self = Self { first: 1, each: 1 };

    fn read(text: &str) -> Option<Self> {
        let (first, each) = text.split_once('/')?;
        let part = Self { first: first.parse().ok()?, each: each.parse().ok()? };
        (1..=part.each).contains(&part.first).then_some(part)
    }
}

/// `None` if help is requested.
pub(crate) fn read(mut given: Parser) -> Result<Option<Check>, Error> {
    let name = match given.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => return Ok(None),
        Some(Arg::Value(name)) => name,
        Some(other) => return Err(other.unexpected()),
    };
    let mut check = named(&name)?;
    let mut target_named = false;
    while let Some(argument) = given.next()? {
        match (&mut check, argument) {
            (_, Arg::Short('h') | Arg::Long("help")) => return Ok(None),
            (Check::Model { vast }, Arg::Long("vast")) => *vast = true,
            (Check::Interleavings { schedules, .. } | Check::Simulation { schedules }, Arg::Long("schedules")) => {
                *schedules = number(&mut given, 1..=u64::MAX)?;
            }
            (Check::Interleavings { exhaustive, .. }, Arg::Long("exhaustive")) => *exhaustive = true,
            (Check::History { seconds, .. } | Check::Fuzz { seconds, .. }, Arg::Long("seconds")) => {
                *seconds = number(&mut given, 1..=86_400)?;
            }
            (Check::History { seed, .. }, Arg::Long("seed")) => *seed = Some(number(&mut given, 0..=u64::MAX)?),
            (Check::Planted { only, .. }, Arg::Value(name)) if only.is_none() => *only = Some(name.string()?),
            (Check::Planted { places, .. }, Arg::Long("places")) => *places = true,
            (Check::Mutants { file, .. }, Arg::Long("file")) => *file = Some(given.value()?.into()),
            (Check::Planted { part, .. } | Check::Mutants { part, .. }, Arg::Long("part")) => {
                let text = given.value()?.string()?;
                *part = Part::read(&text).ok_or_else(|| format!("{text} isn't a part such as 2/5"))?;
            }
            (Check::Fuzz { target, .. }, Arg::Value(name)) if !target_named && (name == "shard" || name == "calls") => {
                *target = name.string()?;
                target_named = true;
            }
            (Check::Soak { seconds }, Arg::Long("seconds")) => *seconds = number(&mut given, 30..=604_800)?,
            (Check::Instructions { bless }, Arg::Long("bless")) => *bless = true,
            (_, other) => return Err(other.unexpected()),
        }
    }
    match check {
        Check::Fuzz { .. } if !target_named => Err("fuzz needs a target: shard or calls".into()),
        check => Ok(Some(check)),
    }
}

/// The check of this name, with its defaults.
fn named(name: &OsString) -> Result<Check, Error> {
    Ok(match name.to_str() {
        Some("build") => Check::Build,
        Some("model") => Check::Model { vast: false },
        Some("interleavings") => Check::Interleavings { schedules: 200_000, exhaustive: false },
        Some("simulation") => Check::Simulation { schedules: 100_000 },
        Some("history") => Check::History { seconds: 600, seed: None },
        Some("planted") => Check::Planted { only: None, places: false, part: Part::ALL },
        Some("mutants") => Check::Mutants { file: None, part: Part::ALL },
        Some("fuzz") => Check::Fuzz { target: String::new(), seconds: 300 },
        Some("soak") => Check::Soak { seconds: 60 },
        Some("instructions") => Check::Instructions { bless: false },
        Some("advisories") => Check::Advisories,
        _ => return Err(format!("no check is called {}", name.display()).into()),
    })
}

fn number(given: &mut Parser, within: RangeInclusive<u64>) -> Result<u64, Error> {
    let number: u64 = given.value()?.parse()?;
    if within.contains(&number) {
        return Ok(number);
    }
    Err(format!("{number} isn't within {} to {}", within.start(), within.end()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Check>, String> {
        super::read(Parser::from_args(line.split_whitespace())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_check_has_its_defaults() {
        assert_eq!(read("model"), Ok(Some(Check::Model { vast: false })));
        assert_eq!(read("interleavings"), Ok(Some(Check::Interleavings { schedules: 200_000, exhaustive: false })));
        assert_eq!(read("simulation"), Ok(Some(Check::Simulation { schedules: 100_000 })));
        assert_eq!(read("history"), Ok(Some(Check::History { seconds: 600, seed: None })));
        assert_eq!(read("planted"), Ok(Some(Check::Planted { only: None, places: false, part: Part::ALL })));
    }

    #[test]
    fn options_are_parsed() {
        let only = Some("cap".to_string());
        assert_eq!(read("planted cap --places"), Ok(Some(Check::Planted { only, places: true, part: Part::ALL })));
        let part = Part { first: 2, each: 5 };
        assert_eq!(read("planted --part 2/5"), Ok(Some(Check::Planted { only: None, places: false, part })));
        assert_eq!(read("history --seed=7"), Ok(Some(Check::History { seconds: 600, seed: Some(7) })));
        assert_eq!(read("fuzz shard --seconds 9"), Ok(Some(Check::Fuzz { target: "shard".into(), seconds: 9 })));
        assert_eq!(read("soak --seconds 30"), Ok(Some(Check::Soak { seconds: 30 })));
    }

    #[test]
    fn help_is_recognised_anywhere() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("--help"), Ok(None));
        assert_eq!(read("soak -h"), Ok(None));
    }

    #[test]
    fn invalid_arguments_are_rejected() {
        for line in [
            "modle",
            "model --bless",
            "soak --seconds 29",
            "fuzz",
            "fuzz shards",
            "history --seed x",
            "mutants --part 6/5",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}

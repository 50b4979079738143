//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, value_parser};

/// Less gives too few rests to compare.
const LEAST_SECONDS: u64 = 30;
const WEEK: u64 = 7 * 24 * 60 * 60;

/// Loads coalescers for a given time, and fails if anything grows.
#[derive(Debug, Parser)]
#[command(name = "soak")]
pub(crate) struct Arguments {
    /// How long to run, from half a minute to a week
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = value_parser!(u64).range(LEAST_SECONDS..=WEEK))]
    seconds: u64,
    /// Concurrent callers
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) callers: u32,
    /// Seed of the callers' random actions; their timing still depends on the machine
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to draw the curves
    #[arg(long, value_name = "PATH", default_value = "target/soak.svg")]
    pub(crate) output: PathBuf,
}

impl Arguments {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// A fifteenth of the time, from 2 to 20 s: enough rests to compare, and long enough to see on the curves.
    pub(crate) fn load(&self) -> Duration {
        Duration::from_secs((self.seconds / 15).clamp(2, 20))
    }

    /// A quarter of the load before it.
    pub(crate) fn rest(&self) -> Duration {
        self.load() / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::try_parse_from([&["soak"], arguments].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_minute_is_the_default_and_has_a_dozen_rests() {
        let arguments = parse(&[]).unwrap();
        let cycle = arguments.load() + arguments.rest();
        assert_eq!(arguments.duration().as_secs() / cycle.as_secs(), 12);
    }

    #[test]
    fn an_error_names_the_value_and_its_limits() {
        let error = parse(&["--seconds", "5"]).unwrap_err();
        assert!(error.contains('5') && error.contains("30..=604800"), "{error}");
        let error = parse(&["--callers", "0"]).unwrap_err();
        assert!(error.contains("--callers") && error.contains("1..=100000"), "{error}");
    }
}

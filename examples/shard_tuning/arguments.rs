//! The command line.

use std::{iter, ops::RangeInclusive, thread, time::Duration};

use clap::{Parser, value_parser};
use shardflight::Builder;

use crate::{Fallible, shapes::Shape};

/// The crate's limit, which is the same for all types.
const MOST_SHARDS: usize = Builder::<u64, u64>::MAX_SHARDS;
const SHARDS: RangeInclusive<u64> = 1..=MOST_SHARDS as u64;
/// The least upper bound, so that a sweep on a small machine still compares several counts.
const LEAST_BOUND: usize = 16;
/// Long enough for the largest batch of calls, on most machines.
const LEAST_SAMPLE: Duration = Duration::from_millis(10);

/// Finds the count of shards that suits this machine.
#[derive(Debug, Parser)]
#[command(name = "shard_tuning")]
pub(crate) struct Arguments {
    /// One shape of load instead of all
    #[arg(long, value_enum)]
    pub(crate) shape: Option<Shape>,
    /// Worker threads of the runtime, as in your service; by default one per core
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=4_096))]
    workers: Option<u32>,
    /// The greatest count to try; by default eight per core, and at least 16
    #[arg(long, value_name = "SHARDS", value_parser = value_parser!(u64).range(SHARDS))]
    up_to: Option<u64>,
    /// How often each count runs each shape; the table shows the medians
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// The time for all samples
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value_parser!(u32).range(1..=3_600))]
    seconds: u32,
}

impl Arguments {
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(cores, |workers| workers as usize)
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.shape.map_or(Shape::ALL.to_vec(), |shape| vec![shape])
    }

    /// Powers of two, and the crate's default.
    pub(crate) fn counts(&self, default: usize) -> Vec<usize> {
        let bound = (8 * cores()).clamp(LEAST_BOUND, MOST_SHARDS);
        let bound = self.up_to.map_or(bound, |bound| usize::try_from(bound).unwrap_or(MOST_SHARDS));
        let powers = iter::successors(Some(1_usize), |count| count.checked_mul(2));
        let mut counts: Vec<_> = powers.take_while(|count| *count <= bound).collect();
        counts.push(default);
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// The duration of each sample.
    pub(crate) fn sample(&self, samples: usize) -> Fallible<Duration> {
        let sample = Duration::from_secs(self.seconds.into()).div_f64(samples as f64);
        if sample < LEAST_SAMPLE {
            let enough = LEAST_SAMPLE.mul_f64(samples as f64).as_secs_f64().ceil();
            return Err(format!(
                "--seconds {} leaves {sample:.1?} for each of {samples} samples ({} rounds), and the least is \
                 {LEAST_SAMPLE:?}: take at least --seconds {enough}, or fewer --rounds",
                self.seconds, self.rounds
            )
            .into());
        }
        Ok(sample)
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::try_parse_from([&["shard_tuning"], arguments].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_is_among_the_counts_once() {
        let arguments = parse(&["--up-to", "9"]).unwrap();
        assert_eq!(arguments.counts(6), [1, 2, 4, 6, 8]);
        assert_eq!(arguments.counts(4), [1, 2, 4, 8]);
        assert_eq!(arguments.counts(16), [1, 2, 4, 8, 16]);
        assert!(parse(&[]).unwrap().counts(1).ends_with(&[16]) || cores() > 2);
    }

    #[test]
    fn an_error_names_the_value_and_its_limits() {
        let error = parse(&["--up-to", "5000"]).unwrap_err();
        assert!(error.contains("5000") && error.contains("1..=4096"), "{error}");
        let error = parse(&["--shape", "square"]).unwrap_err();
        assert!(error.contains("square") && error.contains("burst"), "{error}");
        let error = parse(&["--seconds", "1"]).unwrap().sample(140).unwrap_err().to_string();
        assert!(error.contains("--seconds 1 ") && error.contains("10ms") && error.contains("--seconds 2"), "{error}");
    }
}

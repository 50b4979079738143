//! Runs each count of shards under each shape of load, in rounds.

use std::time::Duration;

use shardflight::Coalescer;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Fallible,
    arguments::Arguments,
    shapes::{self, Shape},
};

pub(crate) struct Sweep {
    pub(crate) workers: usize,
    /// The crate's default on this machine.
    pub(crate) default: usize,
    pub(crate) counts: Vec<usize>,
    pub(crate) shapes: Vec<Shape>,
    /// Nanoseconds per join: by count, by shape, by round.
    samples: Vec<Vec<Vec<f64>>>,
}

impl Sweep {
    pub(crate) fn run(arguments: &Arguments) -> Fallible<Self> {
        let workers = arguments.workers();
        let default = runtime(workers)?.block_on(default())?;
        let (counts, shapes) = (arguments.counts(default), arguments.shapes());
        let long = arguments.sample(counts.len() * shapes.len() * arguments.rounds as usize)?;
        let mut samples = vec![vec![Vec::new(); shapes.len()]; counts.len()];
        for round in 0..arguments.rounds as usize {
            for (column, shape) in shapes.iter().enumerate() {
                for turn in 0..counts.len() {
                    let row = (turn + round) % counts.len();
                    samples[row][column].push(sample(workers, *shape, counts[row], long)?);
                }
            }
            eprintln!("round {} of {}", round + 1, arguments.rounds);
        }
        Ok(Self { workers, default, counts, shapes, samples })
    }

    pub(crate) fn medians(&self) -> Vec<Vec<f64>> {
        self.samples.iter().map(|row| row.iter().map(|samples| quantile(samples, 0.5)).collect()).collect()
    }

    /// The interquartile range of the rounds relative to their median; the greatest of all counts.
    pub(crate) fn spread(&self, column: usize) -> f64 {
        let spread = |samples: &[f64]| (quantile(samples, 0.75) - quantile(samples, 0.25)) / quantile(samples, 0.5);
        self.samples.iter().map(|row| spread(&row[column])).fold(0.0, f64::max)
    }
}

/// Uses a runtime of its own, so that no task of an earlier sample is left.
fn sample(workers: usize, shape: Shape, shards: usize, long: Duration) -> Fallible<f64> {
    let runtime = runtime(workers)?;
    let nanoseconds = runtime.block_on(shapes::sample(shape, shards, long))?;
    runtime.shutdown_timeout(Duration::from_secs(10));
    Ok(nanoseconds)
}

fn runtime(workers: usize) -> Fallible<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| format!("a runtime with --workers {workers}: {error}").into())
}

async fn default() -> Fallible<usize> {
    let coalescer = Coalescer::<u64, u64>::builder().build()?;
    Ok(coalescer.handle().stats().await?.per_shard().len())
}

/// Interpolates between samples.
fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = part * (sorted.len() - 1) as f64;
    let below = position.floor();
    // Not negative, and less than the length.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = below as usize;
    let above = sorted.get(index + 1).unwrap_or(&sorted[index]);
    sorted[index] + (above - sorted[index]) * (position - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        let near = |actual: f64, expected: f64| assert!((actual - expected).abs() < 1e-9, "{actual}, not {expected}");
        near(quantile(&[5.0], 0.75), 5.0);
        near(quantile(&[3.0, 1.0], 0.5), 2.0);
        near(quantile(&[4.0, 1.0, 2.0, 3.0, 5.0], 0.25), 2.0);
        near(quantile(&[4.0, 1.0, 2.0], 0.5), 2.0);
    }
}

//! The command line.

use std::{iter, path::PathBuf};

use clap::{Parser, value_parser};

/// As many waiters and flights as a coalescer allows unless told otherwise.
const LARGEST: u64 = 1_000_000;

/// What a call costs in crowds of one to a million, with ours and with the peers, side by side.
#[derive(Debug, Parser)]
#[command(name = "growth")]
pub(crate) struct Arguments {
    /// How often the small sizes are timed; the large ones less often, and the largest once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// No size beyond this one; the sizes are powers of ten
    #[arg(long, value_name = "N", default_value_t = LARGEST, value_parser = value_parser!(u64).range(1..=LARGEST))]
    pub(crate) largest: u64,
    /// Contenders by name, or by a part of their names; unless said ours and each peer as it is
    #[arg(long, value_name = "CONTENDER,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Writes every sample there
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draws the curves there; relative paths are relative to this crate
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let powers = iter::successors(Some(1_usize), |size| size.checked_mul(10));
        powers.take_while(|size| *size as u64 <= self.largest).collect()
    }

    /// A crowd of many evens out what a few would not.
    pub(crate) fn rounds_of(&self, size: usize) -> usize {
        let rounds = self.rounds as usize;
        match size {
            0..=10_000 => rounds,
            10_001..=100_000 => rounds.min(3),
            _ => 1,
        }
    }
}

//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, value_parser};
use tokio::runtime::{Builder, Runtime};

/// Ours and the peers' cost per call, side by side in one run.
#[derive(Debug, Parser)]
#[command(name = "race")]
pub(crate) struct Arguments {
    /// How often everybody runs everything; the tables hold the medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// Contenders by name, or by a part of their names
    #[arg(long, value_name = "CONTENDER,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Workloads by name, or by a part of their names
    #[arg(long, value_name = "WORKLOAD,...", value_delimiter = ',')]
    pub(crate) workload: Vec<String>,
    /// One flavour of runtime instead of both
    #[arg(long, value_enum)]
    pub(crate) flavour: Option<Flavour>,
    /// A tenth of the repetitions, and without the largest workloads unless they are named
    #[arg(long)]
    pub(crate) quick: bool,
    /// Writes every sample, the medians and the bars there
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavour {
    Multi,
    Current,
}

impl Flavour {
    pub(crate) const ALL: [Self; 2] = [Self::Multi, Self::Current];

    pub(crate) fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::Multi => Builder::new_multi_thread(),
            Self::Current => Builder::new_current_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Multi => "multi-thread, 2 workers",
            Self::Current => "current_thread",
        }
    }
}

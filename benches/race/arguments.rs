//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, value_parser};
use tokio::runtime::{Builder, Runtime};

/// The bars hold for as many workers. More of them run oversubscribed on two cores.
const WORKERS: u64 = 2;

/// Ours and the peers' cost per call, side by side in one run.
#[derive(Debug, Parser)]
#[command(name = "race")]
pub(crate) struct Arguments {
    /// How often every contender runs every workload; the tables hold the medians
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
    flavour: Option<Kind>,
    /// Workers of the multi-thread runtime, which is then the only flavour; above 2, every bar is raised by 30 %
    #[arg(long, value_name = "N", conflicts_with = "flavour", value_parser = value_parser!(u64).range(1..=64))]
    workers: Option<u64>,
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

impl Arguments {
    pub(crate) fn flavours(&self) -> Vec<Flavour> {
        let multi = Flavour::Multi { workers: self.workers.unwrap_or(WORKERS) };
        match (self.workers, self.flavour) {
            (Some(_), _) | (None, Some(Kind::Multi)) => vec![multi],
            (None, Some(Kind::Current)) => vec![Flavour::Current],
            (None, None) => vec![multi, Flavour::Current],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Multi,
    Current,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Multi { workers: u64 },
    Current,
}

impl Flavour {
    pub(crate) fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::Multi { .. } => Builder::new_multi_thread(),
            Self::Current => Builder::new_current_thread(),
        };
        if let Self::Multi { workers } = self {
            builder.worker_threads(usize::try_from(workers).expect("at most 64"));
        }
        builder.enable_all().build().expect("a runtime")
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Multi { workers } => format!("multi-thread, {workers} workers"),
            Self::Current => "current_thread".into(),
        }
    }

    /// What every bar is multiplied by. With more workers than cores, a thread may be preempted while it has a shard, which
    /// must not stall the others.
    pub(crate) fn tolerance(self) -> f64 {
        match self {
            Self::Multi { workers } if workers > WORKERS => 1.3,
            _ => 1.0,
        }
    }
}

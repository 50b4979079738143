//! The scenarios.

mod hang;
mod overload;
mod reentrancy;
mod rollout;
mod shutdown;
mod threads;
mod traffic;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;

use crate::Fallible;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// More callers and more keys than the caps allow
    Overload,
    /// Work that never ends, and callers with a wait timeout
    Hang,
    /// Work that joins its own key
    Reentrancy,
    /// From 1 % of the keys to all of them, and switching coalescing off
    Rollout,
    /// Threads and tasks on one key
    Threads,
    /// A clean shutdown under traffic
    Shutdown,
}

impl Scenario {
    pub(crate) const ALL: [Self; 6] =
        [Self::Overload, Self::Hang, Self::Reentrancy, Self::Rollout, Self::Threads, Self::Shutdown];

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overload => "overload: more callers and more keys than the caps allow",
            Self::Hang => "hang: the backend doesn't answer",
            Self::Reentrancy => "reentrancy: work that joins its own key",
            Self::Rollout => "rollout: from 1 % of the keys to all of them, under steady traffic",
            Self::Threads => "threads: threads and tasks on one key",
            Self::Shutdown => "shutdown: a clean end under traffic",
        }
    }

    /// The level of the log. With thousands of requests a second, a line for each would hide all others.
    pub(crate) fn level(self) -> LevelFilter {
        match self {
            Self::Rollout | Self::Shutdown => LevelFilter::WARN,
            Self::Overload | Self::Hang | Self::Reentrancy | Self::Threads => LevelFilter::DEBUG,
        }
    }

    pub(crate) async fn run(self) -> Fallible<()> {
        match self {
            Self::Overload => overload::run().await,
            Self::Hang => hang::run().await,
            Self::Reentrancy => reentrancy::run().await,
            Self::Rollout => rollout::run().await,
            Self::Threads => threads::run().await,
            Self::Shutdown => shutdown::run().await,
        }
    }
}

//! What there is to play.

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
pub(crate) enum Act {
    /// More callers and more keys than the caps allow
    Overload,
    /// Work that never ends, and callers that won't wait that long
    Hang,
    /// Work that joins its own key
    Reentrancy,
    /// From 1 % of the keys to all of them, and the switch
    Rollout,
    /// Threads and tasks on one key
    Threads,
    /// A clean end under traffic
    Shutdown,
}

impl Act {
    pub(crate) const ALL: [Self; 6] =
        [Self::Overload, Self::Hang, Self::Reentrancy, Self::Rollout, Self::Threads, Self::Shutdown];

    /// As on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overload => "overload: more callers and more keys than the caps allow",
            Self::Hang => "hang: the backend answers nobody",
            Self::Reentrancy => "reentrancy: work that joins its own key",
            Self::Rollout => "rollout: from 1 % of the keys to all of them, under steady traffic",
            Self::Threads => "threads: threads and tasks on one key",
            Self::Shutdown => "shutdown: a clean end under traffic",
        }
    }

    /// Acts with thousands of requests a second would drown in a line for each.
    pub(crate) fn level(self) -> LevelFilter {
        match self {
            Self::Rollout | Self::Shutdown => LevelFilter::WARN,
            Self::Overload | Self::Hang | Self::Reentrancy | Self::Threads => LevelFilter::DEBUG,
        }
    }

    pub(crate) async fn play(self) -> Fallible<()> {
        match self {
            Self::Overload => overload::play().await,
            Self::Hang => hang::play().await,
            Self::Reentrancy => reentrancy::play().await,
            Self::Rollout => rollout::play().await,
            Self::Threads => threads::play().await,
            Self::Shutdown => shutdown::play().await,
        }
    }
}

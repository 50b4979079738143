//! The acts, in their order.

use std::time::Duration;

use crate::protocol::Ask;

pub(crate) const REPLICAS: u32 = 4;
pub(crate) const PAGES: u32 = 5;

/// How long a leader that has died keeps the others waiting.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// How long Redis may take; much longer than it does, so that a busy machine is no failing Redis.
pub(crate) const OP_TIMEOUT: Duration = Duration::from_secs(1);

/// Of the backend, once it answers.
pub(crate) const QUERY: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Alone,
    Together,
    Killed,
    Stopped,
    Open,
    Back,
}

impl Act {
    pub(crate) const ALL: [Self; 6] =
        [Self::Alone, Self::Together, Self::Killed, Self::Stopped, Self::Open, Self::Back];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alone => "each by itself",
            Self::Together => "across the cluster",
            Self::Killed => "leader killed",
            Self::Stopped => "Redis stopped",
            Self::Open => "breaker open",
            Self::Back => "Redis back",
        }
    }

    pub(crate) fn what_happens(self) -> &'static str {
        match self {
            Self::Alone => "A stampede. Each replica coalesces its own callers, and knows nothing of the others.",
            Self::Together => "The same stampede, on handles that were taken across the cluster.",
            Self::Killed => "All ask for one page. When the backend is at it, the replica that leads gets a kill -9.",
            Self::Stopped => {
                "Another replica has taken the dead one's place. Redis is stopped (SIGSTOP): it accepts, and never answers."
            }
            Self::Open => "Redis is still stopped, and the breakers are open.",
            Self::Back => "Redis goes on (SIGCONT), and the breakers have found out.",
        }
    }

    pub(crate) fn pages(self) -> u32 {
        if self == Self::Killed { 1 } else { PAGES }
    }

    /// Whether flights wait for those of other replicas.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::Together | Self::Killed | Self::Back)
    }

    /// What each replica is told.
    pub(crate) fn ask(self, callers: u32) -> Ask {
        Ask {
            act: self.name().to_owned(),
            pages: self.pages(),
            callers,
            milliseconds: u64::try_from(QUERY.as_millis()).unwrap_or(u64::MAX),
            across: self != Self::Alone,
        }
    }
}

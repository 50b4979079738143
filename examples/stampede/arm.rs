//! The sides of a comparison.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Arm {
    /// Every request does its own work.
    Direct,
    /// Requests for the same key share one flight.
    Coalesced,
    /// Requests are answered by a cache, whose loads are flights.
    Cached,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Coalesced => "coalesced",
            Self::Cached => "cached",
        })
    }
}

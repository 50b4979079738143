//! The two sides of each comparison.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Arm {
    /// Every request does its own work.
    Direct,
    /// Requests for the same key share one flight.
    Coalesced,
}

impl Arm {
    pub(crate) const BOTH: [Self; 2] = [Self::Direct, Self::Coalesced];
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Coalesced => "coalesced",
        })
    }
}

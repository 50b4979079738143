//! A flight whose deadline stays where it is.

use std::{error::Error, fmt};

/// Why [`Flight::extend`](crate::Flight::extend) gave a flight no more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotExtended {
    /// The flight is over or past its deadline, or its coalescer has closed.
    Over,
    /// The coalescer was built without [`Builder::max_extended_duration`](crate::Builder::max_extended_duration).
    NotAllowed,
}

impl fmt::Display for NotExtended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over => "the flight is over or past its deadline",
            Self::NotAllowed => "the coalescer was built without max_extended_duration, so no flight gets more time",
        })
    }
}

impl Error for NotExtended {}

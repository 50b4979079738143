//! What is said of options that make no sense.

use std::{error::Error, fmt, time::Duration};

/// Why there is no [`Dashboard`](crate::dashboard::Dashboard).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DashboardBuildError {
    /// It has nothing to show: no coalescer was added.
    Empty,
    /// A coalescer was added under an empty name.
    Unnamed,
    /// Two coalescers were added under one name.
    NameTaken {
        /// The name.
        name: String,
    },
    /// [`every`](crate::dashboard::DashboardBuilder::every) is out of bounds.
    Interval {
        /// What was asked for.
        every: Duration,
        /// The shortest there can be.
        least: Duration,
        /// The longest there can be.
        most: Duration,
    },
    /// `max_viewers(0)`: no page could be opened.
    ZeroViewers,
    /// [`record_always`](crate::dashboard::DashboardBuilder::record_always) outside of a Tokio runtime, which would record.
    NoRuntime,
}

impl fmt::Display for DashboardBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the dashboard has 0 coalescers; the least is 1"),
            Self::Unnamed => {
                f.write_str("a coalescer was given an empty name; the least is 1 character that isn't blank")
            }
            Self::NameTaken { name } => write!(f, "two coalescers were given the name {name:?}; the most is one"),
            Self::Interval { every, least, most } => {
                write!(f, "every is {every:?}; the least is {least:?}, the most {most:?}")
            }
            Self::ZeroViewers => f.write_str("max_viewers is 0; the least is 1"),
            Self::NoRuntime => {
                f.write_str("no Tokio runtime to record on; build inside one, or leave out record_always")
            }
        }
    }
}

impl Error for DashboardBuildError {}

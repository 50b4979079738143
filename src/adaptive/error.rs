//! Options that make no sense together.

use std::{error::Error, fmt, time::Duration};

/// Why an [`Adaptive`](crate::Adaptive) was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidAdaptive {
    /// A quantile that isn't between 0.0 and 1.0, both excluded.
    Quantile {
        /// What was asked for.
        quantile: f64,
    },
    /// A factor that isn't finite, or below [`Adaptive::LEAST_FACTOR`](crate::Adaptive::LEAST_FACTOR).
    Factor {
        /// What was asked for.
        factor: f64,
        /// The least there can be.
        least: f64,
    },
    /// `between` from zero: every flight could be late. The least is 1 ns.
    ZeroFloor,
    /// `between` with a floor above its ceiling.
    EmptyRange {
        /// The least limit that was asked for.
        floor: Duration,
        /// The greatest limit that was asked for.
        ceiling: Duration,
    },
    /// A ceiling above [`Builder::max_flight_duration`](crate::Builder::max_flight_duration).
    CeilingAboveLimit {
        /// The ceiling that was asked for.
        ceiling: Duration,
        /// `max_flight_duration`, which is the most.
        limit: Duration,
    },
    /// A ceiling above [`Builder::max_extended_duration`](crate::Builder::max_extended_duration).
    CeilingAboveExtended {
        /// The ceiling that was asked for.
        ceiling: Duration,
        /// `max_extended_duration`, which is the most.
        extended: Duration,
    },
    /// `min_samples(0)`: nothing can be learned of no flight; the least is 1.
    ZeroSamples,
    /// `window(0)`: everything would be forgotten at once; the least is 1 ns.
    ZeroWindow,
}

impl fmt::Display for InvalidAdaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("adaptive_flight_duration: ")?;
        match self {
            Self::Quantile { quantile } => {
                write!(f, "the quantile is {quantile}; it has to be above 0.0 and below 1.0")
            }
            Self::Factor { factor, least } => {
                write!(f, "the factor of `times` is {factor}; it has to be finite, and the least is {least:?}")
            }
            Self::ZeroFloor => f.write_str("the floor of `between` is 0; the least is 1 ns"),
            Self::EmptyRange { floor, ceiling } => {
                write!(f, "the floor of `between` is {floor:?}; the most is its ceiling, {ceiling:?}")
            }
            Self::CeilingAboveLimit { ceiling, limit } => write!(
                f,
                "the ceiling is {ceiling:?}; the most is max_flight_duration, {limit:?}, which may be set, too, or taken \
                 away by no_flight_deadline"
            ),
            Self::CeilingAboveExtended { ceiling, extended } => {
                write!(f, "the ceiling is {ceiling:?}; the most is max_extended_duration, {extended:?}")
            }
            Self::ZeroSamples => f.write_str("min_samples is 0; the least is 1"),
            Self::ZeroWindow => f.write_str("the window is 0; the least is 1 ns"),
        }
    }
}

impl Error for InvalidAdaptive {}

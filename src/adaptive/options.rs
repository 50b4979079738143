//! The options of a learned limit, and what they come to.

use std::{ops::RangeInclusive, time::Duration};

use super::InvalidAdaptive;
use crate::config::Config;

/// The floor without `between`, where the ceiling isn't below it.
const FLOOR: Duration = Duration::from_millis(50);

/// The ceiling without `between` and without a `max_flight_duration`.
const CEILING: Duration = Duration::from_secs(30);

/// How a coalescer learns its flights' time limit: the argument of
/// [`Builder::adaptive_flight_duration`](crate::Builder::adaptive_flight_duration).
///
/// The limit is a quantile of the time that flights took lately, times a factor, between a floor and a ceiling. A flight gets the
/// limit that holds when its first caller joins, also where its work has to wait for that of another flight.
///
/// # What is measured
///
/// The time from a flight's start to its end. The time in which its task waits for a worker is in it. The time in the queue of
/// [`max_executions`](crate::Builder::max_executions) isn't, though it counts for the limit itself; nor is a flight whose work was
/// never called.
///
/// - Work that returns has taken its time, whatever it returns. An `Err` is a value, so a backend that fails fast makes the limit
///   shorter, down to the floor at the least: choose a floor that a healthy call needs.
/// - A flight that is cut short would have taken longer than it did. That is known of it and no more: where its time is up, its last
///   caller leaves under [`OnAbandon::Abort`](crate::OnAbandon::Abort), its work panics, or the coalescer closes. Such times are
///   *censored*, and the quantile is that of the Kaplan-Meier estimator, which takes them for what they are. So a limit that is
///   too short is corrected, callers that leave at once don't shorten it, and those that leave slow work don't hide how slow it is.
/// - Under [`OnExpiry::Detach`](crate::OnExpiry::Detach) work goes on past its limit, and counts with all of its time when it
///   returns. Work that never does is not counted.
/// - All flights count, also those under a limit of their handle's own, and those that their work
///   [extends](crate::Flight::extend). Joins that bypass the shards have no flight, and don't.
///
/// # When it changes
///
/// The limit is computed anew as flights end, at most ten times a second. It is the ceiling while fewer than
/// [`min_samples`](Self::min_samples) works have returned lately, at the beginning as after a pause.
///
/// If work suddenly takes longer than the limit, flights time out until they are more than the share that the quantile leaves out:
/// under `p99`, one in a hundred of all flights of the last two windows, and from then on the limit grows by the factor at each
/// computation. If work gets faster, the limit follows when its slow time is out of the window.
///
/// # Costs
///
/// A flight reads the limit by two loads when it starts; it is sorted among the flights of its shard, as those of
/// [`with_max_flight_duration`](crate::Handle::with_max_flight_duration) are; and when it ends, it reads the clock once more and
/// records one value. Joins that follow pay nothing. A shard that has had flights has four histograms, of 6 KB together where the
/// ceiling is 30 s. The flight that finds the limit due reads those of all shards before its callers are woken.
///
/// # Examples
///
/// ```
/// use shardflight::{Adaptive, Coalescer};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
/// let limits = Duration::from_millis(50)..=Duration::from_secs(30);
/// let coalescer = Coalescer::<String, u64>::builder()
///     .adaptive_flight_duration(Adaptive::p99().times(3.0).between(limits))
///     .build()?;
/// let handle = coalescer.handle();
/// assert_eq!(handle.flight_duration_limit(), Some(Duration::from_secs(30)), "nothing is known yet");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "nothing is learned unless a builder gets it"]
pub struct Adaptive {
    quantile: f64,
    factor: f64,
    range: Option<(Duration, Duration)>,
    min_samples: u64,
    window: Duration,
}

impl Adaptive {
    /// The least factor that [`times`](Self::times) takes.
    ///
    /// By a factor of 1.0 or less, a limit that is too short would never grow, as what is known of a flight that it cut is only that
    /// it took at least that long. Near 1.0 it would grow slowly, and flights that are hardly slower than most would time out.
    pub const LEAST_FACTOR: f64 = 1.5;

    /// From the median. It reacts late: half of all flights of two windows have to time out before the limit grows.
    pub const fn p50() -> Self {
        Self::quantile(0.5)
    }

    /// From the time that 90 % of the flights don't exceed.
    pub const fn p90() -> Self {
        Self::quantile(0.9)
    }

    /// From the time that 95 % of the flights don't exceed.
    pub const fn p95() -> Self {
        Self::quantile(0.95)
    }

    /// From the time that 99 % of the flights don't exceed.
    pub const fn p99() -> Self {
        Self::quantile(0.99)
    }

    /// From any quantile, above 0.0 and below 1.0: 0.999 is the time that all flights but one in a thousand don't exceed.
    pub const fn quantile(quantile: f64) -> Self {
        Self { quantile, factor: 3.0, range: None, min_samples: 100, window: Duration::from_secs(30) }
    }

    /// How many times the quantile a flight may take; at least [`LEAST_FACTOR`](Self::LEAST_FACTOR).
    ///
    /// # Default
    ///
    /// 3.0.
    pub const fn times(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The least and the greatest limit. The greatest also holds while too little is known.
    ///
    /// # Default
    ///
    /// From 50 ms to the coalescer's [`max_flight_duration`](crate::Builder::max_flight_duration), which is 30 s by default; to
    /// 30 s without one.
    pub const fn between(mut self, range: RangeInclusive<Duration>) -> Self {
        self.range = Some((*range.start(), *range.end()));
        self
    }

    /// How many works have to have returned lately before the limit is learned from them; until then it is the ceiling.
    ///
    /// # Default
    ///
    /// 100. Under `p99`, that is one flight above the quantile.
    pub const fn min_samples(mut self, flights: u64) -> Self {
        self.min_samples = flights;
        self
    }

    /// For how long a flight counts: at least this long, and at most twice as long. There are two histograms, of this window of time
    /// and of the one before, and the older is thrown away whole.
    ///
    /// A shorter window follows a change faster, and needs more flights per second to know as much.
    ///
    /// # Default
    ///
    /// 30 seconds.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// What the options come to, together with those of the coalescer.
    pub(super) fn plan(&self, config: &Config) -> Result<Plan, InvalidAdaptive> {
        let &Self { quantile, factor, range, min_samples, window } = self;
        if !(quantile > 0.0 && quantile < 1.0) {
            return Err(InvalidAdaptive::Quantile { quantile });
        }
        if !factor.is_finite() || factor < Self::LEAST_FACTOR {
            return Err(InvalidAdaptive::Factor { factor, least: Self::LEAST_FACTOR });
        }
        if min_samples == 0 {
            return Err(InvalidAdaptive::ZeroSamples);
        }
        if window.is_zero() {
            return Err(InvalidAdaptive::ZeroWindow);
        }
        let (floor, ceiling) = range.unwrap_or_else(|| {
            let ceiling = config.max_flight_duration.unwrap_or(CEILING);
            (FLOOR.min(ceiling), ceiling)
        });
        if floor.is_zero() {
            return Err(InvalidAdaptive::ZeroFloor);
        }
        if floor > ceiling {
            return Err(InvalidAdaptive::EmptyRange { floor, ceiling });
        }
        if let Some(limit) = config.max_flight_duration.filter(|limit| ceiling > *limit) {
            return Err(InvalidAdaptive::CeilingAboveLimit { ceiling, limit });
        }
        if let Some(extended) = config.max_extended_duration.filter(|extended| ceiling > *extended) {
            return Err(InvalidAdaptive::CeilingAboveExtended { ceiling, extended });
        }
        Ok(Plan { quantile, factor, floor, ceiling, min_samples, window })
    }
}

/// Options that were checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) quantile: f64,
    pub(super) factor: f64,
    pub(super) floor: Duration,
    pub(super) ceiling: Duration,
    pub(super) min_samples: u64,
    pub(super) window: Duration,
}

impl Plan {
    /// The limit where flights took so long, at the quantile.
    pub(super) fn limit(&self, quantile: Duration) -> Duration {
        // Seconds that no `Duration` can express are beyond the ceiling.
        let limit = Duration::try_from_secs_f64(quantile.as_secs_f64() * self.factor).unwrap_or(Duration::MAX);
        limit.clamp(self.floor, self.ceiling)
    }
}

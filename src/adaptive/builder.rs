//! The builder's option, and the limit that is made of it.

use std::sync::Arc;

use super::{Adaptive, learner::Learner};
use crate::{builder::Builder, config::Config, error::BuildError, flight_limit::FlightLimit, sync::now};

impl<K, V, S> Builder<K, V, S> {
    /// Lets the coalescer learn its flights' time limit from how long they take: see [`Adaptive`].
    ///
    /// A limit of a handle's own goes first ([`Handle::with_max_flight_duration`](crate::Handle::with_max_flight_duration)).
    /// [`max_flight_duration`](Self::max_flight_duration) stays the most that a flight may take: it is the ceiling, or a lower one is
    /// given with [`Adaptive::between`]. What happens at the limit is [`on_expiry`](Self::on_expiry)'s to say, and work may still
    /// [extend](crate::Flight::extend) its time, up to [`max_extended_duration`](Self::max_extended_duration).
    ///
    /// A flight is [taken over](crate::OnStall::Takeover) only if its limit is above the takeover's `after`: keep that below the floor.
    ///
    /// The current limit is [`Handle::flight_duration_limit`](crate::Handle::flight_duration_limit). The tracing event `flight limit
    /// moved` tells when it has moved by more than a factor of two, or to its floor or ceiling; the feature `metrics` exports it.
    ///
    /// # Default
    ///
    /// Nothing is learned: the limit is `max_flight_duration`.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails with [`InvalidAdaptive`](crate::InvalidAdaptive) where the options make no sense, among them a
    /// ceiling above `max_flight_duration`.
    ///
    /// # Examples
    ///
    /// ```
    /// use shardflight::{Adaptive, Coalescer};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), shardflight::BuildError> {
    /// // Up to three times what 99 % of the flights took lately, but at least 50 ms and at most 30 s.
    /// let limits = Duration::from_millis(50)..=Duration::from_secs(30);
    /// let coalescer = Coalescer::<String, u64>::builder()
    ///     .adaptive_flight_duration(Adaptive::p99().times(3.0).between(limits))
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn adaptive_flight_duration(mut self, adaptive: Adaptive) -> Self {
        self.config.adaptive = Some(adaptive);
        self
    }
}

impl Config {
    pub(crate) fn check_adaptive(&self) -> Result<(), BuildError> {
        self.adaptive.map_or(Ok(()), |adaptive| adaptive.plan(self).map(drop).map_err(BuildError::InvalidAdaptive))
    }

    /// The ceiling, if the options make sense.
    #[cfg(feature = "cache")]
    pub(crate) fn greatest_learned(&self) -> Option<std::time::Duration> {
        Some(self.adaptive?.plan(self).ok()?.ceiling)
    }

    /// For a configuration that was checked.
    pub(crate) fn learner(&self, shards: usize) -> Option<Arc<dyn FlightLimit>> {
        let plan = self.adaptive?.plan(self).ok()?;
        Some(Arc::new(Learner::new(plan, shards, now())))
    }
}

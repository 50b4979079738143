//! The coalescers that exist for the whole soak. Together they use every policy, and reach their caps.

use std::time::Duration;

use shardflight::{Coalescer, Handle, OnAbandon, OnExpiry, Stats};

use crate::{Fallible, payload::Answered};

pub(crate) type Flights = Handle<u64, Answered>;

/// Ends work that never ends, and so bounds how long it takes until all flights have ended.
pub(crate) const DEADLINE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    /// Finishes abandoned flights.
    finishing: Flights,
    /// Aborts abandoned flights, and has low caps.
    capped: Flights,
    /// Detaches expired flights.
    detaching: Flights,
    /// Bypasses the shards for a part of the keys.
    partial: Flights,
}

impl Fleet {
    pub(crate) fn launch() -> Fallible<Self> {
        let builder = || Coalescer::builder().max_flight_duration(DEADLINE);
        Ok(Self {
            finishing: builder().build()?.handle(),
            capped: builder().max_waiters_per_flight(8).max_flights(64).on_abandon(OnAbandon::Abort).build()?.handle(),
            detaching: builder().on_expiry(OnExpiry::Detach).on_abandon(OnAbandon::Abort).build()?.handle(),
            partial: builder().rollout(0.5).shards(1).build()?.handle(),
        })
    }

    pub(crate) fn any(&self, random: &mut fastrand::Rng) -> &Flights {
        match random.u32(0..8) {
            0..4 => &self.finishing,
            4..6 => &self.capped,
            6 => &self.detaching,
            _ => &self.partial,
        }
    }

    pub(crate) async fn stats(&self) -> Fallible<Vec<(&'static str, Stats)>> {
        Ok(vec![
            ("finishing", self.finishing.stats().await?),
            ("capped", self.capped.stats().await?),
            ("detaching", self.detaching.stats().await?),
            ("partial", self.partial.stats().await?),
        ])
    }
}

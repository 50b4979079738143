//! Single flights, as an operator sees them.

use std::{cmp::Reverse, time::Duration};

use crate::shard::Sighting;

/// What [`Handle::inspect`](crate::Handle::inspect) found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inspection {
    /// The flights with the most waiters, the most crowded first.
    pub crowded: Vec<FlightInfo>,
    /// The oldest flights, the oldest first.
    pub oldest: Vec<FlightInfo>,
}

/// One flight under way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlightInfo {
    /// Its number, as in the tracing events; other coalescers have flights of the same numbers.
    pub flight: u64,
    /// The shard that has it, as in [`Stats::per_shard`](crate::Stats::per_shard).
    pub shard: usize,
    /// How long its work has been under way.
    pub age: Duration,
    /// How many callers wait for it. Some may have left and not been missed yet.
    pub waiters: usize,
    /// What the builder's [`describe`](crate::Builder::describe) says of its key; keys may be secrets, so nothing is
    /// said by default.
    pub description: Option<String>,
}

impl Inspection {
    pub(crate) fn new(mut crowded: Vec<Sighting>, mut oldest: Vec<Sighting>, most: usize) -> Self {
        crowded.sort_by_key(|flight| Reverse(flight.waiters));
        oldest.sort_by_key(|flight| Reverse(flight.age));
        let show = |flights: Vec<Sighting>| flights.into_iter().take(most).map(FlightInfo::from).collect();
        Self { crowded: show(crowded), oldest: show(oldest) }
    }
}

impl From<Sighting> for FlightInfo {
    fn from(sighting: Sighting) -> Self {
        let Sighting { flight, age, waiters, description } = sighting;
        Self { flight: flight.number(), shard: flight.shard(), age, waiters, description }
    }
}

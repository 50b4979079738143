//! Samples of memory, tasks, flights and waiters.

use std::time::{Duration, Instant};

use crate::{ALLOCATOR, Fallible, fleet::Fleet, memory, payload::Payload};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Load,
    /// No caller is left.
    Rest,
    /// The last sample of a rest, which the verdict compares.
    EndOfRest,
}

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) phase: Phase,
    /// `None` if the system has no `/proc`.
    pub(crate) resident: Option<u64>,
    /// Bytes that were allocated and not freed yet.
    pub(crate) live: u64,
    pub(crate) tasks: usize,
    pub(crate) flights: usize,
    pub(crate) waiters: usize,
    pub(crate) values: usize,
    /// Calls answered or left since the start.
    pub(crate) calls: u64,
}

impl Sample {
    pub(crate) async fn take(fleet: &Fleet, started: Instant, phase: Phase, calls: u64) -> Fallible<Self> {
        // Before reading the stats, which runs tasks and allocates memory.
        let (resident, live) = (memory::resident_bytes(), ALLOCATOR.current_usage() as u64);
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let stats = fleet.stats().await?;
        Ok(Self {
            at: started.elapsed(),
            phase,
            resident,
            live,
            tasks,
            flights: stats.iter().map(|(_, stats)| stats.flights).sum(),
            waiters: stats.iter().map(|(_, stats)| stats.waiters).sum(),
            values: Payload::alive(),
            calls,
        })
    }
}

//! What is looked at every second.

use std::time::{Duration, Instant};

use crate::{ALLOCATOR, Fallible, fleet::Fleet, memory, payload::Payload};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Load,
    /// Everyone has gone home; the last sample of each rest is what is compared.
    Rest,
    EndOfRest,
}

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) phase: Phase,
    /// Where the system has no `/proc`: `None`.
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
        // Before the question, which is answered by tasks and takes memory itself.
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

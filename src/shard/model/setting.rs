//! What there is in a world.

use std::time::Duration;

use super::super::{Limits, Permits};
use crate::config::{OnAbandon, OnExpiry};

/// What there is in a world, and how often what can be repeated for ever may happen.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that a world has or hasn't")]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) callers: u8,
    pub(super) keys: u8,
    pub(super) one_hash: bool,
    /// A message may find the shard out, and waits in the queue.
    pub(super) queues: bool,
    /// Other steps may come between the end of a flight and the publication of its outcome.
    pub(super) delays: bool,
    pub(super) max_waiters: usize,
    pub(super) max_flights: usize,
    /// The flights' deadline, in ticks.
    pub(super) deadline: Option<u32>,
    pub(super) ticks: u32,
    pub(super) on_expiry: OnExpiry,
    pub(super) on_abandon: OnAbandon,
    /// In ticks. With none, no flight waits for aborted work.
    pub(super) grace: u32,
    /// Joins may ask for a flight that begins after them.
    pub(super) fresh: bool,
    pub(super) forgets: u8,
    /// How often work asks for more time, and how many its flight may have in all.
    pub(super) extensions: u8,
    pub(super) longest: u32,
    /// How often a caller is polled that was not woken.
    pub(super) renewals: u8,
    /// Leaders poll their work themselves.
    pub(super) in_place: bool,
    /// Work joins other keys, or its own.
    pub(super) nested: bool,
    /// Work panics, fails, or is dropped by its runtime.
    pub(super) fails: bool,
    /// There is a drain, and an end.
    pub(super) ends: bool,
    /// Executions have a limit: work may have to wait, and callers are of several classes.
    pub(super) admits: bool,
}

impl Setting {
    pub(super) const fn new(name: &'static str, callers: u8, keys: u8) -> Self {
        Self {
            name,
            callers,
            keys,
            one_hash: false,
            queues: false,
            delays: false,
            max_waiters: usize::MAX,
            max_flights: usize::MAX,
            deadline: None,
            ticks: 0,
            on_expiry: OnExpiry::Fail,
            on_abandon: OnAbandon::Finish,
            grace: 1,
            fresh: false,
            forgets: 0,
            extensions: 0,
            longest: 0,
            renewals: 0,
            in_place: false,
            nested: false,
            fails: false,
            ends: false,
            admits: false,
        }
    }

    pub(super) fn hash_of(&self, key: u8) -> u64 {
        if self.one_hash { 0 } else { key.into() }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_waiters: self.max_waiters,
            permits: Permits::new(self.max_flights),
            max_extended_duration: Some(Duration::from_secs(self.longest.into())),
            max_flight_duration: self.deadline.map(|ticks| Duration::from_secs(ticks.into())),
            on_expiry: self.on_expiry,
            on_abandon: self.on_abandon,
            abort_grace: Duration::from_secs(self.grace.into()),
            admits: self.admits,
            crowd: usize::MAX,
            takeovers: 0,
        }
    }
}

//! What a caller that asks for a report learns of its join.

use std::sync::Arc;

use super::{Key, Live, State, Value};
use crate::{
    report::{CallerRole, FlightReport},
    shard::{Joined, Times},
    sync::{OnceLock, now},
};

/// Of one caller. Filled in by the turn that takes its join, wherever that runs.
pub(crate) struct Watch(OnceLock<Seen>);

struct Seen {
    role: CallerRole,
    times: Arc<Times>,
}

impl Watch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(OnceLock::new()))
    }

    /// In the turn that took the join.
    #[cold]
    pub(super) fn joined<K: Key, V: Value>(&self, joined: &Joined<Live<K, V>>, state: &mut State<K, V>) {
        let (slot, role) = match joined {
            Joined::Leads { slot, .. } => (slot, CallerRole::Leader),
            Joined::Follows { slot, .. } => (slot, CallerRole::Follower),
            Joined::Refused { .. } => return,
        };
        if let Some(times) = state.shard.times(slot.flight) {
            let _ = self.0.set(Seen { role, times });
        }
    }

    pub(crate) fn bypass(&self) {
        let times = Times::new();
        times.begin(now());
        let _ = self.0.set(Seen { role: CallerRole::Bypassed, times });
    }

    /// When the caller has its answer.
    pub(crate) fn report(&self) -> FlightReport {
        let Some(Seen { role, times }) = self.0.get() else {
            return FlightReport { role: CallerRole::Refused, started: None, ran: None };
        };
        if *role == CallerRole::Bypassed {
            // It ran its work itself, and has just ended it.
            times.end(now());
        }
        FlightReport { role: *role, started: times.began(), ran: times.ran() }
    }
}

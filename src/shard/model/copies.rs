//! A state goes on in many ways, so it has to be copied.

use super::{
    super::{Permits, Profile, Shard},
    Numbers, Setting, Trial,
};

impl Clone for Trial<'_> {
    fn clone(&self) -> Self {
        Self {
            setting: self.setting,
            shard: copy(&self.shard, self.setting),
            queue: self.queue.clone(),
            callers: self.callers.clone(),
            flights: self.flights.clone(),
            now: self.now,
            forgets: self.forgets,
            extensions: self.extensions,
            renewals: self.renewals,
            called: self.called,
            alarm: self.alarm,
            draining: self.draining,
            closed: self.closed,
            lingering: self.lingering,
            counts: self.counts,
        }
    }
}

/// A shard in the same state, with permits of its own.
fn copy(shard: &Shard<Numbers>, setting: &Setting) -> Shard<Numbers> {
    let mut limits = shard.limits.clone();
    limits.permits = Permits::new(setting.max_flights);
    for _ in 0..shard.flights.len() + shard.lingering {
        assert!(limits.permits.take(), "the executions there are have their permits");
    }
    Shard {
        flights: shard.flights.clone(),
        limits,
        next_id: shard.next_id,
        waiters: shard.waiters,
        lingering: shard.lingering,
        deadlines: shard.deadlines.clone(),
        own_deadlines: shard.own_deadlines.clone(),
        overdue: shard.overdue.clone(),
        endings: shard.endings.clone(),
        next_expiry: shard.next_expiry,
        alarm: shard.alarm,
        phase: shard.phase,
        led: shard.led,
        uncalled: shard.uncalled,
        counters: shard.counters.clone(),
        before: shard.before.clone(),
        profile: Profile::default(),
    }
}

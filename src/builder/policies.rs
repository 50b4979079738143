//! What happens to flights that end in another way than by an answer, where work runs, and which keys are coalesced at all.

use std::time::Duration;

use super::Builder;
use crate::{
    config::{OnAbandon, OnExpiry, RunWork},
    stall::OnStall,
};

impl<K, V, S> Builder<K, V, S> {
    /// What happens to a flight that outlives [`max_flight_duration`](Self::max_flight_duration) (G11).
    ///
    /// # Default
    ///
    /// [`OnExpiry::Fail`].
    pub fn on_expiry(mut self, on_expiry: OnExpiry) -> Self {
        self.config.on_expiry = on_expiry;
        self
    }

    /// What happens to work whose last caller has left (G10).
    ///
    /// # Default
    ///
    /// [`OnAbandon::Finish`].
    pub fn on_abandon(mut self, on_abandon: OnAbandon) -> Self {
        self.config.on_abandon = on_abandon;
        self
    }

    /// What happens to a flight whose work takes suspiciously long: its callers wait, or it gets another execution, for which
    /// **a follower's closure is called** beside the leader's. See [`OnStall::Takeover`] for all that this means, above all that
    /// work may run twice at the same time.
    ///
    /// # Default
    ///
    /// [`OnStall::Wait`].
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses an `after` that is zero or not below [`max_flight_duration`](Self::max_flight_duration), an
    /// `at_most` that is zero or above [`OnStall::MAX_TAKEOVERS`], and [`RunWork::InPlace`] beside a takeover.
    pub fn on_stall(mut self, on_stall: OnStall) -> Self {
        self.config.on_stall = on_stall;
        self
    }

    /// How long a key's next flight waits for aborted work of the key to be gone, before it begins all the same.
    ///
    /// Work is aborted when its last caller leaves under [`OnAbandon::Abort`], and when its flight's time is up under
    /// [`OnExpiry::Fail`]; async work is then dropped at its next await point. A join that comes before
    /// that leads or shares a flight whose work waits, so two executions of one key don't overlap. If the grace passes first, a
    /// `flight overlaps` warning tells of it, and [`Stats::overlaps`](crate::Stats::overlaps) counts it: work blocks its thread,
    /// or is blocking work, which can't be interrupted. Zero has no flight wait.
    ///
    /// Aborted blocking work that joins its own key is refused as `Reentrant`. If it joins another key whose work waits for this one, it
    /// waits for itself until the grace is over: such a cycle is not detected.
    ///
    /// # Default
    ///
    /// 1 s.
    pub fn abort_grace(mut self, abort_grace: Duration) -> Self {
        self.config.abort_grace = abort_grace;
        self
    }

    /// Where a flight's work runs: as a task of its own from the start, or polled by its leader until a second caller
    /// joins.
    ///
    /// [`RunWork::InPlace`] saves the task where no other caller joins. Its price: work sees its leader's task-locals
    /// and cooperative budget until it is moved, works that are awaited in one task don't run in parallel, a leader
    /// that isn't polled holds up its own work, and the future is boxed. No other caller is affected (G2).
    ///
    /// # Default
    ///
    /// [`RunWork::Detached`].
    pub fn run_work(mut self, run_work: RunWork) -> Self {
        self.config.run_work = run_work;
        self
    }

    /// A flight with this many waiters causes one warning: the tracing event [`flight crowded`](crate#observing).
    ///
    /// # Default
    ///
    /// 1,000.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses 0.
    pub fn crowd_threshold(mut self, waiters: usize) -> Self {
        self.config.crowd_threshold = waiters;
        self
    }

    /// The fraction of the keys that is coalesced at first, from 0.0 to 1.0; changed later with
    /// [`Handle::set_rollout`](crate::Handle::set_rollout).
    ///
    /// # Default
    ///
    /// 1.0: all of them.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) refuses what is not from 0.0 to 1.0.
    pub fn rollout(mut self, fraction: f64) -> Self {
        self.config.rollout = fraction;
        self
    }
}

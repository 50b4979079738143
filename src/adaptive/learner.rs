//! The limit that is learned, and what it is learned from.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    durations::{Durations, Range, Rotating},
    options::Plan,
};
use crate::{
    flight_limit::{FlightEnd, FlightLimit},
    sync::{AtomicU64, Cell},
    trace,
};

/// The least time between two computations of the limit, unless the window is short.
const PAUSE: Duration = Duration::from_millis(100);

/// The least number of computations within a window.
const PER_WINDOW: u32 = 10;

/// The limit of one coalescer. All times in it are nanoseconds since it was made.
pub(crate) struct Learner {
    plan: Plan,
    range: Range,
    began: Instant,
    shards: Box<[Recorded]>,
    // Relaxed, all of them: they order nothing but themselves. A flight beside a computation may get the limit of before, or one of
    // before under the time of after; both have held.
    limit: AtomicU64,
    /// From then on, what it was learned from is no longer in the window.
    known_until: AtomicU64,
    /// It isn't computed anew before.
    due: AtomicU64,
    /// The last that tracing was told of.
    told: AtomicU64,
}

/// What a shard's flights took, on a cache line of its own. Empty where none has ended, or a thread has it.
#[repr(align(128))]
struct Recorded(Cell<Rotating>);

impl Learner {
    pub(super) fn new(plan: Plan, shards: usize, now: Instant) -> Self {
        let ceiling = nanos(plan.ceiling);
        Self {
            range: Range::up_to(plan.ceiling),
            plan,
            began: now,
            shards: (0..shards).map(|_| Recorded(Cell::empty())).collect(),
            limit: AtomicU64::new(ceiling),
            known_until: AtomicU64::new(0),
            due: AtomicU64::new(0),
            told: AtomicU64::new(ceiling),
        }
    }

    fn window(&self, time: u64) -> u64 {
        time / nanos(self.plan.window)
    }

    fn record(&self, shard: usize, end: FlightEnd, window: u64) {
        let Recorded(cell) = &self.shards[shard];
        // Where another thread has them, the flight begins new ones, which are merged: no thread waits, and no flight is lost.
        let mut durations = cell.take().unwrap_or_else(|| Box::new(Rotating::new(window, self.range)));
        durations.turn_to(window);
        durations.record(end);
        put_back(cell, durations);
    }

    /// Of all shards. What a thread is recording just now is in the next.
    fn all(&self, window: u64) -> Durations {
        let mut all = Durations::new(self.range);
        for Recorded(cell) in &self.shards {
            if let Some(mut durations) = cell.take() {
                durations.turn_to(window);
                durations.add_to(&mut all);
                put_back(cell, durations);
            }
        }
        all
    }

    /// For one of the threads that find it due.
    fn compute(&self, time: u64) {
        let window = self.window(time);
        let durations = self.all(window);
        let flights = durations.returned();
        let quantile = if flights < self.plan.min_samples { None } else { durations.quantile(self.plan.quantile) };
        let limit = quantile.map_or(self.plan.ceiling, |quantile| self.plan.limit(quantile));
        self.limit.store(nanos(limit), Ordering::Relaxed);
        self.known_until.store((window + 2).saturating_mul(nanos(self.plan.window)), Ordering::Relaxed);
        self.tell(limit, flights);
    }

    /// Tells tracing of a limit that has moved far, or to an end of its range.
    fn tell(&self, limit: Duration, flights: u64) {
        let before = Duration::from_nanos(self.told.load(Ordering::Relaxed));
        let is_at_end = limit == self.plan.floor || limit == self.plan.ceiling;
        let has_moved_far = limit > before.saturating_mul(2) || limit < before / 2;
        if limit != before && (is_at_end || has_moved_far) {
            self.told.store(nanos(limit), Ordering::Relaxed);
            trace::limit_moved(limit, before, flights);
        }
    }
}

impl FlightLimit for Learner {
    fn current(&self, now: Instant) -> Duration {
        let is_known = nanos(now.saturating_duration_since(self.began)) < self.known_until.load(Ordering::Relaxed);
        if is_known { Duration::from_nanos(self.limit.load(Ordering::Relaxed)) } else { self.plan.ceiling }
    }

    fn ended(&self, shard: usize, end: FlightEnd, now: Instant) {
        let time = nanos(now.saturating_duration_since(self.began));
        self.record(shard, end, self.window(time));
        let due = self.due.load(Ordering::Relaxed);
        if time < due {
            return;
        }
        let next = time.saturating_add(nanos(PAUSE.min(self.plan.window / PER_WINDOW)));
        // Of all threads that find it due, one computes it. The others' flights are recorded, and in it or in the next.
        if self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.compute(time);
        }
    }
}

/// Puts durations back that were taken out, or begun beside those that were. If another thread has put its own back meanwhile, both
/// are merged: each round takes what some thread has put there since, so one of them gets on.
pub(super) fn put_back(cell: &Cell<Rotating>, durations: Box<Rotating>) {
    let mut second = cell.put(durations);
    while let Some(mut ours) = second {
        if let Some(theirs) = cell.take() {
            ours.merge(*theirs);
        }
        second = cell.put(ours);
    }
}

/// 584 years at most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

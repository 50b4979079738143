//! What is counted where no shard's turn is: calls of work, joins that bypass the shards, and followers that call for themselves.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{shard::FlightId, stats::Stats};

/// One shard's, on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Tally {
    /// Works that were called for flights which started since the last reset.
    called: AtomicU64,
    /// The same for flights of before.
    called_of_before: AtomicU64,
    /// All that were called until the last reset.
    called_before: AtomicU64,
    /// The first flight since the last reset.
    first_flight: AtomicU64,
    /// Flights that had started until the last reset.
    led_before: AtomicU64,
    bypasses: AtomicU64,
    bypasses_before: AtomicU64,
    /// Calls of followers' works, beside those of their flights.
    pub(crate) takeovers: Count,
    /// Second calls of hedged works: those made, those whose value was the flight's, and those that the budget has denied.
    pub(crate) hedges: Count,
    pub(crate) hedges_won: Count,
    pub(crate) hedges_denied: Count,
    /// Followers that called for themselves, of flights which started since the last reset.
    recalls: AtomicU64,
    /// All that there have been, resets or not.
    all_recalls: AtomicU64,
    queued: AtomicU64,
    queued_before: AtomicU64,
    /// Gauges.
    executing: AtomicUsize,
    queue_len: AtomicUsize,
}

/// Counts for all time, and since the last reset.
#[derive(Default)]
pub(crate) struct Count {
    all: AtomicU64,
    before: AtomicU64,
}

impl Count {
    pub(crate) fn up(&self) {
        self.all.fetch_add(1, Ordering::Relaxed);
    }

    fn reset(&self) {
        self.before.store(get(&self.all), Ordering::Relaxed);
    }

    fn since_reset(&self) -> u64 {
        get(&self.all).saturating_sub(get(&self.before))
    }

    fn all(&self) -> u64 {
        get(&self.all)
    }
}

/// What a shard knows of the flights that it started.
#[derive(Clone, Copy)]
pub(crate) struct Led {
    /// All of them, but for those whose work was dropped before it was called.
    pub(crate) flights: u64,
    pub(crate) next: FlightId,
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

// Relaxed: the counts order nothing but themselves.
impl Tally {
    pub(crate) fn call(&self, flight: FlightId) {
        let count = if flight.number() < get(&self.first_flight) { &self.called_of_before } else { &self.called };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// By shard, as the key would have had one.
    pub(crate) fn bypass(&self) {
        self.bypasses.fetch_add(1, Ordering::Relaxed);
    }

    /// A follower of this flight makes a call of its own after all. The shard has counted it as coalesced.
    #[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "every answer is shared"))]
    pub(crate) fn recall(&self, flight: FlightId) {
        if flight.number() >= get(&self.first_flight) {
            self.recalls.fetch_add(1, Ordering::Relaxed);
        }
        self.all_recalls.fetch_add(1, Ordering::Relaxed);
    }

    /// A flight has to wait for a permit.
    pub(crate) fn enter_queue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.queue_len.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave_queue(&self) {
        self.queue_len.fetch_sub(1, Ordering::Relaxed);
    }

    /// An execution has a permit.
    pub(crate) fn begin_execution(&self) {
        self.executing.fetch_add(1, Ordering::Relaxed);
    }

    /// Or has lent it.
    pub(crate) fn end_execution(&self) {
        self.executing.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many executions have a permit, and how many flights wait for one.
    #[cfg(all(test, not(shardflight_shuttle)))]
    pub(crate) fn admitted(&self) -> (usize, usize) {
        (self.executing.load(Ordering::Relaxed), self.queue_len.load(Ordering::Relaxed))
    }

    /// The gauges. Of two counts that change together, one may be seen before the other.
    fn gauge(&self, stats: &mut Stats) {
        stats.executing = self.executing.load(Ordering::Relaxed);
        stats.queue_len = self.queue_len.load(Ordering::Relaxed);
    }

    fn all_called(&self) -> u64 {
        get(&self.called_before) + get(&self.called_of_before) + get(&self.called)
    }

    /// In a turn of the shard. Works of flights of before are not counted when they are called afterwards.
    pub(crate) fn reset(&self, led: Led) {
        let called = self.called.swap(0, Ordering::Relaxed) + self.called_of_before.swap(0, Ordering::Relaxed);
        self.called_before.fetch_add(called, Ordering::Relaxed);
        self.first_flight.store(led.next.number(), Ordering::Relaxed);
        self.led_before.store(led.flights, Ordering::Relaxed);
        self.bypasses_before.store(get(&self.bypasses), Ordering::Relaxed);
        [&self.takeovers, &self.hedges, &self.hedges_won, &self.hedges_denied].into_iter().for_each(Count::reset);
        self.recalls.store(0, Ordering::Relaxed);
        self.queued_before.store(get(&self.queued), Ordering::Relaxed);
    }

    fn fill_in(&self, stats: &mut Stats, get: fn(&Count) -> u64) {
        stats.takeovers = get(&self.takeovers);
        (stats.hedges, stats.hedges_won) = (get(&self.hedges), get(&self.hedges_won));
        stats.hedges_denied = get(&self.hedges_denied);
    }

    /// Completes a shard's statistics since the last reset.
    pub(crate) fn complete(&self, mut stats: Stats, led: Led) -> Stats {
        // A flight that is over is not pending, though its work may still be there, uncalled.
        let pending = led.flights.saturating_sub(self.all_called()).min(stats.flights as u64);
        stats.pending = usize::try_from(pending).unwrap_or(usize::MAX);
        stats.executions = get(&self.called);
        stats.bypasses = get(&self.bypasses).saturating_sub(get(&self.bypasses_before));
        self.fill_in(&mut stats, Count::since_reset);
        stats.queued = get(&self.queued).saturating_sub(get(&self.queued_before));
        self.gauge(&mut stats);
        call_for_themselves(&mut stats, get(&self.recalls));
        let led = led.flights.saturating_sub(get(&self.led_before));
        let waits_for_its_call = pending.min(led.saturating_sub(stats.executions));
        stats.joins = stats.executions + waits_for_its_call + stats.coalesced + stats.rejections + stats.bypasses;
        stats
    }

    /// Completes a shard's totals, resets or not. A leader counts when its work is called, so that they only grow.
    pub(crate) fn complete_totals(&self, mut totals: Stats) -> Stats {
        (totals.executions, totals.bypasses) = (self.all_called(), get(&self.bypasses));
        self.fill_in(&mut totals, Count::all);
        totals.queued = get(&self.queued);
        self.gauge(&mut totals);
        call_for_themselves(&mut totals, get(&self.all_recalls));
        totals.joins = totals.executions + totals.coalesced + totals.rejections + totals.bypasses;
        totals
    }
}

/// A follower that called for itself has shared nothing, and no shard had part in its call: it counts as a bypass.
fn call_for_themselves(stats: &mut Stats, recalls: u64) {
    // At most: a follower may have joined before a reset, which took it out of `coalesced`.
    let recalls = recalls.min(stats.coalesced);
    stats.coalesced -= recalls;
    stats.bypasses += recalls;
}

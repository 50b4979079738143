//! How many executions may begin, and how many flights wait for that.

use std::sync::{Arc, atomic::Ordering};

use crate::{shard::FlightId, sync::AtomicU64, tally::Tally};

/// Both counts are in one word, so that a flight which finds no permit is counted as waiting in the same step. From then on no
/// other flight takes a permit past the queue, and permits that are given back go to the scheduler, by message: so it hears of
/// a permit after all that was sent before the permit was free, as of callers that raised a flight. While permits are left in
/// here, no flight waits.
///
/// Relaxed throughout: the word orders nothing but itself, and it has one order of its own.
pub(super) struct Permits {
    counts: AtomicU64,
    /// Where the gauges are, by shard.
    tallies: Arc<[Tally]>,
}

#[derive(Clone, Copy)]
struct Counts {
    /// Flights that wait, or are about to get into the queue.
    waiting: u32,
    /// Permits that no execution has, and not the scheduler. Negative while more executions run than there are permits: see
    /// `loans`.
    left: i32,
}

impl Counts {
    #[expect(clippy::cast_possible_truncation, reason = "each is half of the word")]
    fn of(word: u64) -> Self {
        Self { waiting: (word >> 32) as u32, left: (word as u32).cast_signed() }
    }

    fn word(self) -> u64 {
        u64::from(self.waiting) << 32 | u64::from(self.left.cast_unsigned())
    }

    /// One execution may begin, and no flight was there before.
    fn has_spare(self) -> bool {
        self.waiting == 0 && self.left > 0
    }
}

impl Permits {
    pub(super) fn new(limit: usize, tallies: Arc<[Tally]>) -> Self {
        let left = i32::try_from(limit).unwrap_or(i32::MAX);
        Self { counts: AtomicU64::new(Counts { waiting: 0, left }.word()), tallies }
    }

    /// What the counts were before.
    fn update(&self, change: impl Fn(Counts) -> Option<Counts>) -> Result<Counts, Counts> {
        let update = |word| change(Counts::of(word)).map(Counts::word);
        self.counts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).map(Counts::of).map_err(Counts::of)
    }

    /// The gauges of a flight's shard.
    pub(super) fn tally(&self, flight: FlightId) -> &Tally {
        &self.tallies[flight.shard()]
    }

    /// For a flight that is new. False if it has to wait, as which it is counted from now on.
    pub(super) fn take_or_wait(&self, flight: FlightId) -> bool {
        let change = |counts: Counts| {
            Some(if counts.has_spare() {
                Counts { left: counts.left - 1, ..counts }
            } else {
                Counts { waiting: counts.waiting + 1, ..counts }
            })
        };
        let takes = self.update(change).is_ok_and(Counts::has_spare);
        if takes {
            self.tally(flight).begin_execution();
        } else {
            self.tally(flight).enter_queue();
        }
        takes
    }

    /// For an execution that needs not be.
    pub(super) fn take_spare(&self, flight: FlightId) -> bool {
        let change = |counts: Counts| counts.has_spare().then_some(Counts { left: counts.left - 1, ..counts });
        let takes = self.update(change).is_ok();
        if takes {
            self.tally(flight).begin_execution();
        }
        takes
    }

    /// A waiting flight begins under a permit that was given back.
    pub(super) fn grant(&self, flight: FlightId) {
        self.leave(flight);
        self.tally(flight).begin_execution();
    }

    /// A waiting flight begins under a permit of another.
    pub(super) fn lend(&self, lender: FlightId, borrower: FlightId) {
        self.grant(borrower);
        self.tally(lender).end_execution();
    }

    /// A waiting flight doesn't wait any longer.
    pub(super) fn leave(&self, flight: FlightId) {
        let _ = self.update(|counts| Some(Counts { waiting: counts.waiting.saturating_sub(1), ..counts }));
        self.tally(flight).leave_queue();
    }

    /// An execution is over. True if a flight waits, and the scheduler is to have its permit.
    #[must_use = "the permit would be lost"]
    pub(super) fn give_back(&self, flight: FlightId) -> bool {
        self.tally(flight).end_execution();
        !self.add(1)
    }

    /// Permits that the scheduler has no use for, or lacks. False if it is to keep them, as a flight is on its way to the queue.
    pub(super) fn add(&self, permits: i32) -> bool {
        let change = |counts: Counts| {
            (counts.waiting == 0 || permits < 0).then_some(Counts { left: counts.left + permits, ..counts })
        };
        self.update(change).is_ok()
    }

    /// Where more executions run than there are permits, one that is given back makes up for one of them: true.
    pub(super) fn make_up(&self) -> bool {
        self.update(|counts| (counts.left < 0).then_some(Counts { left: counts.left + 1, ..counts })).is_ok()
    }

    /// How many permits are left, and how many flights wait.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (i32, u32) {
        let Counts { waiting, left } = Counts::of(self.counts.load(Ordering::Relaxed));
        (left, waiting)
    }
}

//! How long flights took, in histograms, and a quantile of it.

use std::{iter, time::Duration};

use hdrhistogram::Histogram;

use crate::flight_limit::FlightEnd;

/// One significant digit: a time is known to a sixteenth of itself, which is little beside the least factor. Two would take eight
/// times the memory.
const SIGNIFICANT_DIGITS: u8 = 1;

/// In microseconds, 52 days: what takes longer counts as that.
const LONGEST: u64 = 1 << 42;

/// In microseconds. All of the same [`Range`] can be added.
#[derive(Debug)]
pub(super) struct Durations {
    returned: Histogram<u32>,
    /// Of flights that would have taken longer.
    cut: Histogram<u32>,
}

/// The greatest duration that is told from greater ones, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range(u64);

impl Range {
    pub(super) fn up_to(longest: Duration) -> Self {
        // A histogram has room for two values at least.
        Self(micros(longest).clamp(2, LONGEST))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Durations {
    pub(super) fn new(Range(longest): Range) -> Self {
        let histogram = || Histogram::new_with_bounds(1, longest, SIGNIFICANT_DIGITS).expect("bounds in order");
        Self { returned: histogram(), cut: histogram() }
    }

    pub(super) fn record(&mut self, end: FlightEnd) {
        match end {
            FlightEnd::Returned(after) => self.returned.saturating_record(micros(after)),
            FlightEnd::Cut(after) => self.cut.saturating_record(micros(after)),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.returned.add(&other.returned).expect("the same range");
        self.cut.add(&other.cut).expect("the same range");
    }

    pub(super) fn clear(&mut self) {
        self.returned.reset();
        self.cut.reset();
    }

    /// How many works have returned.
    pub(super) fn returned(&self) -> u64 {
        self.returned.len()
    }

    /// The time that this share of all flights doesn't exceed, by the estimator of Kaplan and Meier (1958): of the flights that are
    /// known to have taken up to some time, the share that returned then is the chance to return then.
    ///
    /// The end of the bucket, so not too little. Where so many were cut that the quantile is beyond all that returned, the longest
    /// time that is known of any. `None` without flights.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        // A sum of rounding errors must not take the place of a flight.
        let left_out = 1.0 - quantile + 1e-9;
        let mut at_risk = (self.returned.len() + self.cut.len()) as f64;
        let mut going_on = 1.0;
        let mut cut = buckets(&self.cut).peekable();
        for (end, returned) in buckets(&self.returned) {
            // One that was cut within a bucket may have been the longest of it.
            while let Some((_, cut)) = cut.next_if(|(cut_at, _)| *cut_at < end) {
                at_risk -= cut;
            }
            going_on *= 1.0 - returned / at_risk;
            at_risk -= returned;
            if going_on <= left_out {
                return Some(Duration::from_micros(end));
            }
        }
        let longest = self.returned.max().max(self.cut.max());
        (longest > 0).then(|| Duration::from_micros(self.returned.highest_equivalent(longest)))
    }
}

/// The end of each bucket that isn't empty, and how many are in it.
fn buckets(histogram: &Histogram<u32>) -> impl Iterator<Item = (u64, f64)> {
    let mut recorded = histogram.iter_recorded();
    iter::from_fn(move || {
        let bucket = recorded.next()?;
        Some((bucket.value_iterated_to(), f64::from(bucket.count_at_value())))
    })
}

/// The durations of a window of time and of the one before it.
#[derive(Debug)]
pub(super) struct Rotating {
    /// The number of the newer window.
    window: u64,
    newer: Durations,
    older: Durations,
}

impl Rotating {
    pub(super) fn new(window: u64, range: Range) -> Self {
        Self { window, newer: Durations::new(range), older: Durations::new(range) }
    }

    /// It is this window now, or a later one that another thread has seen before.
    pub(super) fn turn_to(&mut self, window: u64) {
        match window.saturating_sub(self.window) {
            0 => return,
            1 => std::mem::swap(&mut self.newer, &mut self.older),
            _ => self.older.clear(),
        }
        self.newer.clear();
        self.window = window;
    }

    pub(super) fn record(&mut self, end: FlightEnd) {
        self.newer.record(end);
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        self.turn_to(other.window);
        other.turn_to(self.window);
        self.newer.add(&other.newer);
        self.older.add(&other.older);
    }

    pub(super) fn add_to(&self, all: &mut Durations) {
        all.add(&self.newer);
        all.add(&self.older);
    }
}

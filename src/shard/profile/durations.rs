//! How long flights took, in buckets of which each is a fifth to a quarter wider than the one before it.

use std::time::Duration;

/// Buckets per doubling.
const STEPS: u64 = 4;
/// From a microsecond to more than an hour.
const BUCKETS: usize = 128;

#[derive(Clone)]
pub(crate) struct Durations(Box<[u64; BUCKETS]>);

impl Default for Durations {
    fn default() -> Self {
        Self(Box::new([0; BUCKETS]))
    }
}

impl Durations {
    pub(super) fn record(&mut self, took: Duration) {
        self.0[bucket(took)] += 1;
    }

    /// All of both.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(count, more)| *count += more);
    }

    /// What was recorded since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        since.0.iter_mut().zip(before.0.iter()).for_each(|(count, before)| *count = count.saturating_sub(*before));
        since
    }

    /// At most 13 % off; `None` if nothing was recorded.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Duration> {
        let recorded: u64 = self.0.iter().sum();
        let rank = (recorded * percent).div_ceil(100).max(1);
        let mut below = 0;
        let bucket = self.0.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(middle(bucket as u64))
    }
}

fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let doublings = u64::from(micros.ilog2());
    // The two bits below the highest.
    let step = if doublings < 2 { (micros << 2 >> doublings) & 3 } else { (micros >> (doublings - 2)) & 3 };
    usize::try_from(doublings * STEPS + step).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

fn middle(bucket: u64) -> Duration {
    let nanos = (1000_u64 << (bucket / STEPS)) / (2 * STEPS) * (2 * (STEPS + bucket % STEPS) + 1);
    Duration::from_nanos(nanos)
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn percentiles_are_close_to_the_exact_ones(
            mut micros in prop::collection::vec(8_u64..4_000_000_000, 1..200),
            percent in 1_u64..=100,
        ) {
            let mut durations = Durations::default();
            micros.iter().for_each(|&micros| durations.record(Duration::from_micros(micros)));
            micros.sort_unstable();
            let rank = (micros.len() * usize::try_from(percent).unwrap()).div_ceil(100).max(1);
            let exact = micros[rank - 1] as f64 / 1e6;
            let found = durations.percentile(percent).unwrap().as_secs_f64();
            prop_assert!((found / exact - 1.0).abs() < 0.13, "{found} s for {exact} s");
        }
    }

    #[test]
    fn extremes_have_a_bucket() {
        let mut durations = Durations::default();
        assert_eq!(durations.percentile(99), None);
        durations.record(Duration::ZERO);
        assert!(durations.percentile(50) < Some(Duration::from_micros(2)));
        let before = durations.clone();
        durations.record(Duration::MAX);
        assert!(durations.since(&before).percentile(1) > Some(Duration::from_secs(3600)));
    }
}

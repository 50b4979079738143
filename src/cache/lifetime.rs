//! How long an entry is fresh, and from when on a read has it refreshed. Both may differ a little from entry to entry.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{clock::Nanos, config::RefreshAhead, entry::Times};

/// Times for entries. Its random numbers (`SplitMix64`) are good enough to spread loads.
#[derive(Debug)]
pub(super) struct Lifetimes {
    random: AtomicU64,
    jitter: f64,
    ahead: RefreshAhead,
}

impl Lifetimes {
    pub(super) fn new(jitter: f64, ahead: RefreshAhead) -> Self {
        Self { random: AtomicU64::new(RandomState::new().hash_one(0)), jitter, ahead }
    }

    /// Of an entry that was loaded at `now`, in `load_time` if that was measured.
    pub(super) fn times(&self, now: Nanos, ttl: Nanos, load_time: Option<Nanos>) -> Times {
        let lifetime = self.shorten(ttl);
        let fresh_until = now.saturating_add(lifetime);
        let refresh_at = match self.ahead {
            RefreshAhead::Off => fresh_until,
            RefreshAhead::Fraction(fraction) => now.saturating_add(scale(lifetime, fraction)),
            RefreshAhead::XFetch(beta) => {
                // Drawn once per load rather than at each read: for a single reader it is the same chance, and hits stay cheap.
                fresh_until.saturating_sub(scale(load_time.unwrap_or(0), beta * self.exponential()))
            }
        };
        Times { loaded_at: now, refresh_at, fresh_until }
    }

    /// `ttl`, less up to the fraction of it.
    fn shorten(&self, ttl: Nanos) -> Nanos {
        if self.jitter <= 0.0 {
            return ttl;
        }
        ttl.saturating_sub(scale(ttl, self.jitter * self.uniform()))
    }

    /// At least 0, and 1 on average: `x` or more with probability `exp(-x)`.
    fn exponential(&self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// At least 0 and less than 1.
    fn uniform(&self) -> f64 {
        let mut mixed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time span; a cast saturates")]
fn scale(span: Nanos, factor: f64) -> Nanos {
    (span as f64 * factor) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;
    const DRAWS: usize = 10_000;

    #[test]
    fn refreshes_begin_as_early_as_xfetch_says() {
        let lifetimes = Lifetimes::new(0.0, RefreshAhead::XFetch(2.0));
        let before = |load_times: f64| {
            let span = scale(SECOND, load_times);
            let times = (0..DRAWS).map(|_| lifetimes.times(0, 100 * SECOND, Some(SECOND)));
            times.filter(|times| times.fresh_until - times.refresh_at >= span).count() as f64 / DRAWS as f64
        };
        // A share of exp(-x / beta) at x load times before the expiry. Six standard deviations are less than 0.03.
        for load_times in [0.5, 1.0, 2.0, 4.0] {
            let (share, expected) = (before(load_times), (-load_times / 2.0).exp());
            assert!((share - expected).abs() < 0.03, "{share} at {load_times} load times, not {expected}");
        }
    }

    #[test]
    fn a_refresh_is_due_at_the_fraction_of_the_shortened_lifetime() {
        let lifetimes = Lifetimes::new(0.9, RefreshAhead::Fraction(0.5));
        for times in (0..100).map(|_| lifetimes.times(SECOND, SECOND, None)) {
            let lifetime = times.fresh_until - SECOND;
            assert!((SECOND / 10..=SECOND).contains(&lifetime));
            assert_eq!(times.refresh_at - SECOND, lifetime / 2);
        }
    }

    #[test]
    fn extreme_spans_saturate() {
        for ahead in [RefreshAhead::Off, RefreshAhead::Fraction(0.5), RefreshAhead::XFetch(f64::MAX)] {
            let lifetimes = Lifetimes::new(1.0, ahead);
            let times = lifetimes.times(u64::MAX - 1, u64::MAX, Some(u64::MAX));
            assert!(times.loaded_at <= times.fresh_until);
        }
    }
}

//! How much of the traffic is coalesced, changeable while it flows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Read by every join, written by hardly anyone: the line stays shared between the cores.
#[derive(Debug)]
pub(crate) struct Rollout {
    on: AtomicBool,
    /// Keys whose spread hash is below are coalesced.
    threshold: AtomicU64,
}

impl Rollout {
    pub(crate) fn new(fraction: f64) -> Self {
        Self { on: AtomicBool::new(true), threshold: AtomicU64::new(threshold(fraction)) }
    }

    // Relaxed: a join beside the change may go either way, and nothing else hangs on it.
    pub(crate) fn includes(&self, hash: u64) -> bool {
        let threshold = self.threshold.load(Ordering::Relaxed);
        self.on.load(Ordering::Relaxed) && (threshold == u64::MAX || spread(hash) < threshold)
    }

    /// Without a look at a hash.
    #[cfg(feature = "tower")]
    pub(crate) fn includes_all(&self) -> bool {
        self.threshold.load(Ordering::Relaxed) == u64::MAX && self.on.load(Ordering::Relaxed)
    }

    /// Whether any keys are coalesced, and which fraction where they are.
    #[cfg(feature = "dashboard")]
    pub(crate) fn current(&self) -> (bool, f64) {
        let fraction = self.threshold.load(Ordering::Relaxed) as f64 / u64::MAX as f64;
        (self.on.load(Ordering::Relaxed), fraction)
    }

    pub(crate) fn set_fraction(&self, fraction: f64) {
        self.threshold.store(threshold(fraction), Ordering::Relaxed);
    }

    pub(crate) fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }
}

/// Mixes the hash once more, by a multiplication (Fibonacci hashing, Knuth 6.4), so that a part of the keys is not a
/// part of the shards.
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// 1.0 is exactly all, 0.0 exactly none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of u64::MAX, and saturating")]
fn threshold(fraction: f64) -> u64 {
    (fraction * u64::MAX as f64) as u64
}

/// Whether it is a fraction at all.
pub(crate) fn is_fraction(fraction: f64) -> bool {
    (0.0..=1.0).contains(&fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_none_and_one_is_all() {
        let rollout = Rollout::new(0.0);
        assert!((0..10_000).all(|hash| !rollout.includes(hash)) && !rollout.includes(u64::MAX));
        rollout.set_fraction(1.0);
        assert!((0..10_000).all(|hash| rollout.includes(hash)) && rollout.includes(u64::MAX));
    }

    #[test]
    fn a_tenth_is_about_a_tenth_of_the_keys_and_each_stays_in_as_it_grows() {
        let rollout = Rollout::new(0.1);
        let hashes = || (0..100_000_u64).map(|key| std::hash::BuildHasher::hash_one(&FIXED, key));
        let tenth: Vec<_> = hashes().filter(|&hash| rollout.includes(hash)).collect();
        assert!((8_000..12_000).contains(&tenth.len()), "{}", tenth.len());
        rollout.set_fraction(0.5);
        assert!(tenth.iter().all(|&hash| rollout.includes(hash)));
    }

    #[test]
    fn the_switch_keeps_the_fraction() {
        let rollout = Rollout::new(1.0);
        rollout.switch(false);
        assert!(!rollout.includes(7));
        rollout.switch(true);
        assert!(rollout.includes(7));
    }

    #[test]
    fn only_what_lies_between_nothing_and_one_is_a_fraction() {
        assert!(is_fraction(0.0) && is_fraction(0.5) && is_fraction(1.0));
        assert!(!is_fraction(-0.1) && !is_fraction(1.1) && !is_fraction(f64::NAN) && !is_fraction(f64::INFINITY));
    }

    const FIXED: std::hash::BuildHasherDefault<std::hash::DefaultHasher> = std::hash::BuildHasherDefault::new();
}

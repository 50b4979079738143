//! Lifetimes that differ a little, so that what was loaded together doesn't expire together.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use super::clock::Nanos;

/// A sequence of random numbers (`SplitMix64`), good enough to spread loads.
#[derive(Debug)]
pub(super) struct Jitter {
    state: AtomicU64,
    fraction: f64,
}

impl Jitter {
    pub(super) fn new(fraction: f64) -> Self {
        Self { state: AtomicU64::new(RandomState::new().hash_one(0)), fraction }
    }

    /// `ttl`, less up to the fraction of it.
    pub(super) fn shorten(&self, ttl: Nanos) -> Nanos {
        if self.fraction <= 0.0 {
            return ttl;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the time to live")]
        let less = (ttl as f64 * self.fraction * self.random()) as Nanos;
        ttl.saturating_sub(less)
    }

    /// At least 0 and less than 1.
    fn random(&self) -> f64 {
        let mut mixed = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

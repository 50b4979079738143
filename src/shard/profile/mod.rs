//! What a shard counts for the live page, if its builder was told to. Of the shard's logic, this module alone knows the feature;
//! without it, `Profile` is empty.

#[cfg(feature = "dashboard")]
mod counts;
#[cfg(feature = "dashboard")]
mod durations;
#[cfg(feature = "dashboard")]
mod questions;
#[cfg(feature = "dashboard")]
mod space_saving;

use std::time::Instant;

#[cfg(feature = "dashboard")]
pub(crate) use self::{
    counts::{HotKey, ProfileSnapshot, WINDOW, hottest_first, shortened},
    durations::Durations,
};
use super::{Flight, Types};
use crate::error::JoinError;

/// A null pointer unless it is asked for, and nothing at all without the feature.
#[derive(Default)]
pub(super) struct Profile {
    #[cfg(feature = "dashboard")]
    counts: Option<Box<counts::Counts>>,
}

#[cfg_attr(not(feature = "dashboard"), expect(clippy::unused_self, reason = "nothing is counted"))]
impl Profile {
    /// A flight is over. Once per flight, however many callers it had.
    #[inline]
    pub(super) fn ended<T: Types>(&mut self, flight: &Flight<T>, now: impl FnOnce() -> Instant) {
        #[cfg(feature = "dashboard")]
        if let Some(counts) = &mut self.counts {
            counts.ended(flight, now());
        }
        #[cfg(not(feature = "dashboard"))]
        let _ = (flight, now);
    }

    pub(super) fn refused(&mut self, error: &JoinError) {
        #[cfg(feature = "dashboard")]
        self.counts.iter_mut().for_each(|counts| counts.refused(error));
        #[cfg(not(feature = "dashboard"))]
        let _ = error;
    }
}

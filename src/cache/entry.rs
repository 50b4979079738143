//! What the cache keeps for a key, and how it stands at a moment.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{clock::Nanos, config::Windows, tags::Tags};
use crate::{
    sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64},
    unwind::drop_contained,
};

/// One load's or one insert's outcome. It is replaced rather than changed: whether an entry is still the same `Arc` tells a
/// refresh whether its key was invalidated meanwhile.
///
/// Laid out to be small, as there are many: what few entries have is in a box.
pub(super) struct Entry<V, E> {
    /// Empty only while it is dropped.
    held: Option<Held<V, E>>,
    loaded_at: Nanos,
    fresh_until: Nanos,
    /// No load before this, except where there is nothing to serve: from when on a read starts a refresh, or, with the bit
    /// [`FAILED`], the end of a failed load's backoff.
    load_at: AtomicU64,
}

/// In `load_at`, where a load has failed. A moment doesn't have it: it would be 292 years after the cache was built.
const FAILED: u64 = 1 << 63;

/// No larger than the content alone.
enum Held<V, E> {
    Plain(Content<V, E>),
    Rare(Box<Rare<V, E>>),
}

pub(super) enum Content<V, E> {
    Value(Kept<V>),
    Negative(Arc<E>),
}

/// A value, and what goes on about its key.
pub(super) struct Kept<V> {
    value: Arc<V>,
    /// Ended by `expire`: only a failing or slow load may still serve it.
    is_expired: bool,
    /// Held by the one background refresh of this entry.
    pub(super) is_refreshing: AtomicBool,
    /// Readers whose load has passed the soft timeout and goes on.
    pub(super) slow_loads: AtomicU32,
    /// Loads that have failed since this was loaded, up to 255.
    failures: AtomicU8,
}

/// A content with what most entries don't have: tags, or a weight other than 1.
struct Rare<V, E> {
    content: Content<V, E>,
    /// At least 1: the store never evicts what weighs nothing. Never changes, as the store sums it up.
    weight: u64,
    tags: Option<Tags>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) loaded_at: Nanos,
    /// From here on a read starts a refresh: at the latest when it has expired.
    pub(super) refresh_at: Nanos,
    pub(super) fresh_until: Nanos,
}

/// What a read may do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Serve it.
    Fresh,
    /// Serve it, and load in the background.
    RefreshDue,
    /// Expired: serve it, and load in the background.
    Revalidate,
    /// Expired: load, and serve it if that fails or takes too long.
    Fallback,
    /// Nothing may serve it any more.
    Over,
}

impl<V, E> Content<V, E> {
    pub(super) fn value(value: Arc<V>) -> Self {
        Self::Value(Kept::new(value, false, 0))
    }
}

impl<V> Kept<V> {
    fn new(value: Arc<V>, is_expired: bool, failures: u8) -> Self {
        let (is_refreshing, slow_loads) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { value, is_expired, is_refreshing, slow_loads, failures: AtomicU8::new(failures) }
    }

    pub(super) fn value(&self) -> &Arc<V> {
        &self.value
    }
}

impl<V, E> Entry<V, E> {
    pub(super) fn new(content: Content<V, E>, times: Times, weight: u64, tags: Option<Tags>) -> Self {
        let held = if weight > 1 || tags.is_some() {
            Held::Rare(Box::new(Rare { content, weight: weight.max(1), tags }))
        } else {
            Held::Plain(content)
        };
        let Times { loaded_at, refresh_at, fresh_until } = times;
        Self { held: Some(held), loaded_at, fresh_until, load_at: AtomicU64::new(refresh_at.min(!FAILED)) }
    }

    #[inline]
    fn held(&self) -> &Held<V, E> {
        self.held.as_ref().expect("it is taken in `drop` alone")
    }

    #[inline]
    pub(super) fn content(&self) -> &Content<V, E> {
        match self.held() {
            Held::Plain(content) => content,
            Held::Rare(rare) => &rare.content,
        }
    }

    #[inline]
    fn rare(&self) -> Option<&Rare<V, E>> {
        match self.held() {
            Held::Plain(_) => None,
            Held::Rare(rare) => Some(rare),
        }
    }

    #[inline]
    pub(super) fn kept(&self) -> Option<&Kept<V>> {
        match self.content() {
            Content::Value(kept) => Some(kept),
            Content::Negative(_) => None,
        }
    }

    #[inline]
    pub(super) fn value(&self) -> Option<&Arc<V>> {
        self.kept().map(Kept::value)
    }

    #[inline]
    pub(super) fn weight(&self) -> u64 {
        self.rare().map_or(1, |rare| rare.weight)
    }

    #[inline]
    pub(super) fn tags(&self) -> Option<&Tags> {
        self.rare()?.tags.as_ref()
    }

    /// The same value under a new identity, expired at `now`. A negative entry is not worth keeping.
    pub(super) fn expired(&self, now: Nanos) -> Option<Self> {
        let kept = self.kept()?;
        let content = Kept::new(Arc::clone(&kept.value), true, kept.failures.load(Ordering::Relaxed));
        let fresh_until = self.fresh_until.min(now);
        let times = Times { loaded_at: self.loaded_at, refresh_at: fresh_until, fresh_until };
        Some(Self::new(Content::Value(content), times, self.weight(), self.tags().cloned()))
    }

    pub(super) fn age(&self, now: Nanos) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.loaded_at))
    }

    /// Whether its value may be served, and nothing else is to be done.
    #[inline]
    pub(super) fn is_fresh(&self, now: Nanos) -> bool {
        now < self.fresh_until && now < self.load_at()
    }

    #[inline]
    fn load_at(&self) -> Nanos {
        self.load_at.load(Ordering::Acquire) & !FAILED
    }

    pub(super) fn has_expired(&self, now: Nanos) -> bool {
        now >= self.fresh_until
    }

    pub(super) fn standing(&self, now: Nanos, windows: &Windows) -> Standing {
        if !self.has_expired(now) {
            return if now < self.load_at() { Standing::Fresh } else { Standing::RefreshDue };
        }
        let Some(kept) = self.kept() else { return Standing::Over };
        let within = |window: Nanos| now < self.fresh_until.saturating_add(window);
        if !kept.is_expired && within(windows.stale_while_revalidate) {
            Standing::Revalidate
        } else if within(windows.stale_if_error.max(windows.stale_while_revalidate)) {
            Standing::Fallback
        } else {
            Standing::Over
        }
    }

    /// Whether a failed load's backoff is still on.
    pub(super) fn is_backing_off(&self, now: Nanos) -> bool {
        let load_at = self.load_at.load(Ordering::Acquire);
        load_at & FAILED != 0 && now < load_at & !FAILED
    }

    /// Starts the next backoff, and says how many loads have failed and how long it is. `None` if one is on already: of all
    /// that hear of one failed load, one counts it.
    pub(super) fn note_failure(&self, now: Nanos, windows: &Windows) -> Option<(u32, Duration)> {
        // Without a value there is nothing to serve meanwhile, and no backoff.
        let failures = &self.kept()?.failures;
        let load_at = self.load_at.load(Ordering::Acquire);
        if load_at & FAILED != 0 && now < load_at & !FAILED {
            return None;
        }
        let before = failures.load(Ordering::Relaxed);
        let (least, most) = windows.error_backoff;
        let backoff = least.saturating_mul(1 << before.min(63)).min(most);
        // A load that was asked for may have failed before one was due.
        let next = now.saturating_add(backoff).min(!FAILED).max(load_at & !FAILED) | FAILED;
        self.load_at.compare_exchange(load_at, next, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let failed = before.saturating_add(1);
        failures.store(failed, Ordering::Relaxed);
        Some((failed.into(), Duration::from_nanos(backoff)))
    }

    pub(super) fn is_slow(&self) -> bool {
        self.kept().is_some_and(|kept| kept.slow_loads.load(Ordering::Acquire) > 0)
    }

    /// For scenarios alone.
    #[cfg(all(test, shardflight_shuttle))]
    pub(super) fn is_at_rest(&self) -> bool {
        self.kept().is_none_or(|kept| !kept.is_refreshing.load(Ordering::Relaxed)) && !self.is_slow()
    }
}

impl<V, E> Drop for Entry<V, E> {
    fn drop(&mut self) {
        // The last reference may go in the store, under its lock: a panic must not get out of here.
        if let Some(held) = self.held.take() {
            drop_contained(held);
        }
    }
}

#[cfg(all(test, not(shardflight_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_plain_entry_takes_five_words() {
        assert_eq!(size_of::<Entry<String, String>>(), 5 * size_of::<u64>());
    }

    fn entry(refresh_at: Nanos, fresh_until: Nanos) -> Entry<u64, ()> {
        let times = Times { loaded_at: 0, refresh_at, fresh_until };
        Entry::new(Content::value(Arc::new(7)), times, 1, None)
    }

    fn backoff(least: Nanos, most: Nanos) -> Windows {
        Windows { error_backoff: (least, most), ..Windows::default() }
    }

    #[test]
    fn a_failure_before_a_refresh_is_due_brings_none_forward() {
        let entry = entry(50, 100);
        assert!(entry.note_failure(10, &backoff(1, 1)).is_some());
        assert!(entry.is_fresh(49));
        assert_eq!(entry.standing(50, &Windows::default()), Standing::RefreshDue);
    }

    #[test]
    fn a_backoff_puts_off_a_refresh() {
        let entry = entry(50, 100);
        assert!(entry.note_failure(60, &backoff(20, 20)).is_some());
        assert!(entry.note_failure(79, &backoff(20, 20)).is_none(), "one is on");
        assert!(entry.is_fresh(79) && entry.is_backing_off(79));
        assert!(!entry.is_fresh(80) && !entry.is_backing_off(80));
    }

    #[test]
    fn a_backoff_of_centuries_holds() {
        let entry = entry(50, 100);
        assert!(entry.note_failure(100, &backoff(FAILED + 1, u64::MAX)).is_some());
        assert!(entry.is_backing_off(FAILED - 2));
    }
}

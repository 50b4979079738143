//! When Redis is not asked any more, and when it is tried again.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Closed: Redis is asked. Open: it isn't, but for the one probe that the link's task makes when its time has come. So an open
/// breaker costs a call nothing but a look at a flag, and no caller waits for a probe.
///
/// Its atomics are relaxed: they order nothing, and a flight that sees them late asks once more or once less.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    is_open: AtomicBool,
    failures: AtomicU32,
}

impl Breaker {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Whether this failure has opened it.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES && !self.is_open.swap(true, Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.is_open.store(false, Ordering::Relaxed);
    }
}

/// For how long a breaker that has opened for the n-th time in a row stays open, 0 being the first: twice as long each time. `random`,
/// from 0.0 to 1.0, takes up to a fifth off it, so that a hundred replicas don't probe at once.
pub(super) fn open_for(times: u32, random: f64) -> Duration {
    let whole = SHORTEST.saturating_mul(1 << times.min(16)).min(LONGEST);
    whole.mul_f64(1.0 - random / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            assert!((1..FAILURES).all(|_| !breaker.failed()));
            assert!(!breaker.is_open());
            breaker.succeeded();
        }
        assert!((1..FAILURES).all(|_| !breaker.failed()));
        assert!(breaker.failed());
        assert!(breaker.is_open());
        assert!(!breaker.failed(), "it opens but once");
        breaker.close();
        assert!(!breaker.is_open() && !breaker.failed());
    }

    #[test]
    fn stays_open_longer_each_time() {
        let seconds: Vec<_> = (0..7).map(|times| open_for(times, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(open_for(0, 1.0), Duration::from_millis(800));
        assert_eq!(open_for(u32::MAX, 0.0), LONGEST);
    }
}

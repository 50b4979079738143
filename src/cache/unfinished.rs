//! A load that is under way, for counts and metrics.

use std::time::Duration;

use super::{
    clock::{Clock, Nanos},
    counters::Counters,
    observer::{CacheObserver, LoadEnd},
    state::{CacheState, Start},
};

/// Counts a load that fails, panics or is dropped, and tells the observer of every load's end.
pub(super) struct Unfinished<'a> {
    counters: &'a Counters,
    observed: Option<Observed<'a>>,
    end: LoadEnd,
}

struct Observed<'a> {
    observer: &'a dyn CacheObserver,
    clock: &'a Clock,
    since: Nanos,
}

impl<'a> Unfinished<'a> {
    pub(super) fn count<K, V, E>(state: &'a CacheState<K, V, E>, start: Start) -> Self {
        let CacheState { counters, clock, config, .. } = state;
        counters.loads.up();
        let observed =
            config.observer.as_deref().zip(start.at).map(|(observer, since)| Observed { observer, clock, since });
        Self { counters, observed, end: LoadEnd::Failed }
    }

    pub(super) fn end(mut self, end: LoadEnd) {
        self.end = end;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.end == LoadEnd::Failed {
            self.counters.load_errors.up();
        }
        if let Some(Observed { observer, clock, since }) = &self.observed {
            observer.loaded(Duration::from_nanos(clock.now().saturating_sub(*since)), self.end);
        }
    }
}

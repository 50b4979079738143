//! A cache's validated options.

use std::{fmt, sync::Arc, time::Duration};

use super::{clock::Nanos, observer::CacheObserver};

/// Decides which errors are kept as negative entries.
type NegativeIf<E> = Arc<dyn Fn(&E) -> bool + Send + Sync>;
/// What an entry weighs.
type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

pub(super) struct Config<K, V, E> {
    pub(super) ttl: Duration,
    pub(super) negative_ttl: Option<Duration>,
    pub(super) negative_if: Option<NegativeIf<E>>,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) is_weighed: bool,
    pub(super) jitter: f64,
    pub(super) refresh_ahead: RefreshAhead,
    pub(super) soft_timeout: Option<Duration>,
    /// How long a flight runs before new joins start another one and its callers wait on: under `OnExpiry::Detach`.
    pub(super) passed_over_after: Option<Duration>,
    pub(super) windows: Windows,
    pub(super) observer: Option<Arc<dyn CacheObserver>>,
}

/// From when on a read of a fresh entry has it refreshed.
#[derive(Clone, Copy, Debug)]
pub(super) enum RefreshAhead {
    Off,
    /// From this fraction of its time to live.
    Fraction(f64),
    /// At random before its expiry, by its load time and this factor.
    XFetch(f64),
}

/// What a hit looks at to find out how an entry stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    pub(super) stale_while_revalidate: Nanos,
    pub(super) stale_if_error: Nanos,
    pub(super) error_backoff: (Nanos, Nanos),
}

impl<K, V, E> Default for Config<K, V, E> {
    fn default() -> Self {
        Self {
            ttl: Duration::ZERO,
            negative_ttl: None,
            negative_if: None,
            weigher: None,
            is_weighed: false,
            jitter: 0.0,
            refresh_ahead: RefreshAhead::Off,
            soft_timeout: None,
            passed_over_after: None,
            windows: Windows::default(),
            observer: None,
        }
    }
}

impl<K, V, E> Config<K, V, E> {
    pub(super) fn is_negative(&self, error: &E) -> bool {
        self.negative_if.as_ref().is_some_and(|accepts| accepts(error))
    }

    /// For events.
    pub(super) fn name(&self) -> Option<&str> {
        Some(self.observer.as_ref()?.name())
    }

    /// What an entry weighs in the store: 1 where entries are counted.
    pub(super) fn weight(&self, key: &K, value: Option<&V>, given: Option<u64>) -> u64 {
        if !self.is_weighed {
            return 1;
        }
        given.or_else(|| Some(self.weigher.as_ref()?(key, value?))).unwrap_or(1)
    }
}

impl<K, V, E> fmt::Debug for Config<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("ttl", &self.ttl)
            .field("negative_ttl", &self.negative_ttl)
            .field("jitter", &self.jitter)
            .field("soft_timeout", &self.soft_timeout)
            .field("windows", &self.windows)
            .finish_non_exhaustive()
    }
}

//! Which options make no sense, by themselves or together.

use std::{sync::Arc, time::Duration};

use super::{
    builder::CacheBuilder,
    clock::nanos,
    config::{Config, RefreshAhead, Windows},
    error::CacheBuildError,
    observer::CacheObserver,
    outcome::LoadResult,
    store::Bound,
};
use crate::{builder::Builder, config::OnExpiry, stall::OnStall};

/// More than any machine has, and few enough that sums of them don't overflow.
const MOST: u64 = 1 << 60;

impl<K, V, E> CacheBuilder<K, V, E> {
    #[expect(clippy::type_complexity, reason = "the three parts of a cache")]
    pub(super) fn check(self) -> Result<(Config<K, V, E>, Bound, Builder<K, LoadResult<V, E>>), CacheBuildError> {
        let Self { ttl, bound, mut config, error_backoff, mut coalescer } = self;
        if let Some(observer) = &config.observer {
            coalescer.config.observer = Some(Arc::<dyn CacheObserver>::clone(observer));
        }
        config.passed_over_after =
            coalescer.config.longest_flight().filter(|_| coalescer.config.on_expiry == OnExpiry::Detach);
        if coalescer.config.on_stall != OnStall::Wait {
            return Err(CacheBuildError::Takeover);
        }
        config.ttl = ttl.ok_or(CacheBuildError::NoTtl)?;
        not_zero("ttl", Some(config.ttl))?;
        not_zero("negative_ttl", config.negative_ttl)?;
        not_zero("soft_timeout", config.soft_timeout)?;
        if !(0.0..=1.0).contains(&config.jitter) {
            return Err(CacheBuildError::Fraction {
                option: "jitter",
                value: config.jitter,
                allowed: "from 0.0 to 1.0",
            });
        }
        match config.refresh_ahead {
            RefreshAhead::Fraction(value) if !(value > 0.0 && value < 1.0) => {
                let allowed = "above 0.0 and below 1.0";
                return Err(CacheBuildError::Fraction { option: "refresh_ahead", value, allowed });
            }
            RefreshAhead::XFetch(value) if !(value > 0.0 && value.is_finite()) => {
                let allowed = "above 0.0 and finite";
                return Err(CacheBuildError::Fraction { option: "refresh_ahead_xfetch", value, allowed });
            }
            _ => {}
        }
        let (least, most) = error_backoff.into_inner();
        if least.is_zero() || most < least {
            return Err(CacheBuildError::ErrorBackoff { least, most });
        }
        config.windows.error_backoff = (nanos(least), nanos(most));
        let Windows { stale_while_revalidate, stale_if_error, .. } = config.windows;
        if config.soft_timeout.is_some() && stale_while_revalidate.max(stale_if_error) == 0 {
            return Err(CacheBuildError::Needs {
                option: "soft_timeout",
                needs: "stale_if_error or stale_while_revalidate",
            });
        }
        if config.negative_if.is_some() && config.negative_ttl.is_none() {
            return Err(CacheBuildError::Needs { option: "negative_if", needs: "negative_ttl" });
        }
        let (option, value) = match bound {
            Bound::Entries(entries) => ("max_entries", entries as u64),
            Bound::Weight(weight) => ("max_weight", weight),
        };
        if !(1..=MOST).contains(&value) {
            return Err(CacheBuildError::Bound { option, value, most: MOST });
        }
        config.is_weighed = matches!(bound, Bound::Weight(_));
        if config.weigher.is_some() && !config.is_weighed {
            return Err(CacheBuildError::Needs { option: "weigher", needs: "max_weight" });
        }
        Ok((config, bound, coalescer))
    }
}

fn not_zero(option: &'static str, time: Option<Duration>) -> Result<(), CacheBuildError> {
    match time {
        Some(Duration::ZERO) => Err(CacheBuildError::ZeroDuration { option }),
        _ => Ok(()),
    }
}

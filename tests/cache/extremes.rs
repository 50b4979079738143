//! The longest times and the widest bounds, and the shortest.

use std::time::Duration;

use shardflight::cache::Fill;

use crate::support::{Source, TICK, TTL, advance, limited, no_load, settle, users};

/// More than a paused clock can be moved by.
const AGES: Duration = Duration::from_hours(10 * 365 * 24);

#[tokio::test(start_paused = true)]
async fn times_without_end_never_end() {
    limited(async {
        let forever = Duration::MAX;
        let users = users(|cache| {
            let cache = cache.ttl(forever).jitter(0.5).refresh_ahead(0.9).stale_while_revalidate(forever);
            cache.stale_if_error(forever).error_backoff(forever..=forever).negative_ttl(forever)
        });
        let source = Source::of(8);
        users.insert("ada", 7).await;
        users.insert("bob", Fill::negative("gone".to_owned())).await;
        users.insert("eve", Fill::new(7).ttl(TICK)).await;
        advance(AGES).await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        assert!(users.get("bob", no_load).await.is_err());
        assert_eq!(users.get("eve", source.fail()).await, Ok(7));
        settle().await;
        advance(AGES).await;
        assert_eq!(users.get("eve", no_load).await, Ok(7), "its backoff is still on");
        assert_eq!(source.loads.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_without_any_lifetime_is_kept_for_loads_that_fail() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL));
        let source = Source::of(8);
        assert_eq!(users.get_with("ada", |_| async { Ok(Fill::new(7).ttl(Duration::ZERO)) }).await, Ok(7));
        assert_eq!(users.get("ada", source.fail()).await, Ok(7));
        assert_eq!(source.loads.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_widest_bounds_hold_what_is_put_in() {
    limited(async {
        for users in [users(|cache| cache.max_entries(1 << 60)), users(|cache| cache.max_weight(1 << 60))] {
            for key in 0..1_000 {
                users.insert(key.to_string(), Fill::new(key).weight(u64::MAX >> 20)).await;
            }
            assert_eq!((users.stats().entries, users.stats().evictions), (1_000, 0));
        }
    })
    .await;
}

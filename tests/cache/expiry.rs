//! `expire`: the value is old, and better than none.

use std::time::Duration;

use futures::poll;
use shardflight::cache::{Fill, Lookup, StaleReason};

use crate::support::{Gate, Source, TICK, TTL, advance, in_tasks, just_before, limited, no_load, settle, users};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_kept_for_loads_that_fail() {
    limited(async {
        let (users, source) = (users(|cache| cache.stale_while_revalidate(TTL).stale_if_error(TTL)), Source::of(8));
        users.insert("ada", 7).await;
        advance(SECOND).await;
        users.expire("ada").await;
        assert_eq!(users.peek("ada"), None);
        // No revalidation in the background: the caller said that it is old.
        let served = users.lookup("ada", source.fail()).await.unwrap();
        assert_eq!((served.value.clone(), served.is_stale(), source.loads.get()), (Ok(7), true, 1));
        // Its window counts from the call.
        advance(just_before(TTL)).await;
        assert_eq!(users.get("ada", source.fail()).await, Ok(7));
        advance(TICK).await;
        assert!(users.get("ada", source.fail()).await.is_err());
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_already_does_not_get_a_new_window() {
    limited(async {
        let (users, source) = (users(|cache| cache.stale_if_error(TTL)), Source::of(8));
        users.insert("ada", 7).await;
        advance(TTL + SECOND).await;
        users.expire("ada").await;
        users.expire("ada").await;
        advance(just_before(TTL.saturating_sub(SECOND))).await;
        assert_eq!(users.get("ada", source.fail()).await, Ok(7));
        advance(TICK).await;
        assert!(users.get("ada", source.fail()).await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_window_of_revalidation_is_one_for_failures_too() {
    limited(async {
        let (users, source) = (users(|cache| cache.stale_while_revalidate(TTL)), Source::of(8));
        users.insert("ada", 7).await;
        users.expire("ada").await;
        let served = users.lookup("ada", source.fail()).await.unwrap();
        assert!(matches!(served.state, Lookup::Stale { why: StaleReason::LoadFailed, .. }));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_error_is_removed() {
    limited(async {
        let (users, source) = (users(|cache| cache.stale_if_error(TTL).negative_ttl(TTL)), Source::of(8));
        users.insert("ada", Fill::negative("gone".to_owned())).await;
        users.expire("ada").await;
        assert_eq!(users.stats().entries, 0);
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
        users.expire("absent").await;
        assert_eq!(users.stats().entries, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_next_read_loads_whatever_failed_before_and_the_backoff_goes_on_from_there() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL).error_backoff(SECOND..=TTL));
        let source = Source::of(8);
        users.insert("ada", 7).await;
        advance(TTL).await;
        assert_eq!(users.get("ada", source.fail()).await, Ok(7));
        users.expire("ada").await;
        assert_eq!(users.get("ada", source.fail()).await, Ok(7));
        assert_eq!(source.loads.get(), 2, "no backoff");
        advance(just_before(2 * SECOND)).await;
        let served = users.lookup("ada", no_load).await.unwrap();
        assert!(matches!(served.state, Lookup::Stale { why: StaleReason::BackingOff, .. }));
        advance(TICK).await;
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tags_and_weight_stay() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL).max_weight(100));
        users.insert("ada", Fill::new(7).tag("red").weight(5)).await;
        users.expire("ada").await;
        assert_eq!((users.stats().entries, users.stats().weight), (1, 5));
        users.invalidate_tag("red").await;
        assert!(users.get("ada", Source::of(8).fail()).await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_background_load_that_was_under_way_is_not_kept() {
    limited(async {
        let users = users(|cache| in_tasks(cache.refresh_ahead(0.5).stale_if_error(TTL)));
        let (source, gate) = (Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL / 2).await;
        assert_eq!(users.get("ada", source.load_behind(&gate)).await, Ok(7));
        settle().await;
        users.expire("ada").await;
        source.set(9);
        let mut next = Box::pin(users.get("ada", source.load()));
        assert!(poll!(&mut next).is_pending());
        gate.open();
        assert_eq!(next.await, Ok(9));
        settle().await;
        assert_eq!(users.get("ada", no_load).await, Ok(9));
        assert_eq!((source.loads.get(), users.stats().rejected_fills), (2, 1));
    })
    .await;
}

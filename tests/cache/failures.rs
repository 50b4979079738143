//! Loads that panic, refreshes that fail, and kept errors.

use std::time::Duration;

use futures::{future::join_all, poll};
use shardflight::{
    TryJoinError,
    cache::{Fill, Lookup},
};

use crate::support::{Gate, Loading, Source, TTL, advance, in_tasks, limited, no_load, panic_quietly, settle, users};

const SECOND: Duration = Duration::from_secs(1);

/// A loader that panics when the gate is open.
fn panic_behind(gate: &Gate) -> impl FnOnce() -> Loading<u64> + Send + 'static + use<> {
    let passed = gate.pass();
    || {
        Box::pin(async {
            passed.await;
            panic_quietly("broken")
        })
    }
}

#[tokio::test(start_paused = true)]
async fn readers_that_share_a_load_that_panics_count_one_failure() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL).error_backoff(SECOND..=TTL));
        let (source, gate) = (Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        gate.open();
        for read in join_all((0..5).map(|_| users.get("ada", panic_behind(&gate)))).await {
            assert_eq!(read, Ok(7));
        }
        assert_eq!(users.stats().loads, 1);
        advance(SECOND).await;
        assert_eq!(users.get("ada", source.load()).await, Ok(8), "the first backoff is over");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_lost_its_tag_is_no_fallback_for_a_panic_or_a_slow_load() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL).soft_timeout(SECOND));
        let gate = Gate::new();
        users.insert("ada", Fill::new(7).tag("red")).await;
        advance(TTL).await;
        let mut read = Box::pin(users.get("ada", panic_behind(&gate)));
        assert!(poll!(&mut read).is_pending());
        settle().await;
        users.invalidate_tag("red").await;
        advance(2 * SECOND).await;
        settle().await;
        assert!(poll!(&mut read).is_pending(), "there is nothing to serve in place of a slow load");
        gate.open();
        assert!(matches!(read.await, Err(TryJoinError::Join(_))));
        assert_eq!(users.stats().fail_safe, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_read_that_joins_a_refresh_which_fails_gets_what_is_fresh_and_no_kept_error() {
    limited(async {
        let (users, source) = (users(|cache| in_tasks(cache.negative_ttl(TTL))), Source::of(9));
        let failed = Err(TryJoinError::Work("out of order".to_owned()));
        let fresh = Ok((Ok(8), Lookup::Fresh));
        for (kept, expected) in [(Fill::new(8), fresh), (Fill::negative("gone".to_owned()), failed.clone())] {
            let mut refresh = Box::pin(users.refresh("ada", source.fail()));
            assert!(poll!(&mut refresh).is_pending());
            let mut read = Box::pin(users.lookup("ada", no_load));
            assert!(poll!(&mut read).is_pending());
            // Before the load begins, so that it finds it.
            users.insert("ada", kept).await;
            assert_eq!(read.await.map(|served| (served.value, served.state)), expected);
            assert_eq!(refresh.await, failed.clone().map(|_: (Result<u64, String>, Lookup)| 0));
            users.invalidate("ada").await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_error_is_neither_served_when_it_has_expired_nor_refreshed_before() {
    limited(async {
        let users = users(|cache| {
            let cache = cache.refresh_ahead(0.5).stale_while_revalidate(TTL).stale_if_error(TTL);
            cache.negative_ttl(4 * SECOND)
        });
        users.insert("ada", Fill::negative("gone".to_owned())).await;
        advance(3 * SECOND).await;
        assert!(users.get("ada", no_load).await.is_err());
        settle().await;
        assert_eq!((users.stats().refreshes, users.stats().loads), (0, 0));
        advance(SECOND).await;
        assert_eq!(users.get("ada", Source::of(7).load()).await, Ok(7));
    })
    .await;
}

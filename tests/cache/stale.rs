//! Expired values, and background loads.

use std::time::Duration;

use futures::{future::join_all, poll};
use shardflight::{
    JoinError, OnAbandon, TryJoinError,
    cache::{Lookup, Served, StaleReason},
};

use crate::support::{Gate, Source, TICK, TTL, advance, just_before, limited, no_load, panic_quietly, settle, users};

const WINDOW: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

fn why(served: &Served<u64, String>) -> Option<StaleReason> {
    match served.state {
        Lookup::Stale { why, age } => {
            assert_eq!(age, served.age);
            Some(why)
        }
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn stale_hits_start_one_refresh() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache.stale_while_revalidate(WINDOW)), Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        for read in join_all((0..100).map(|_| users.lookup("ada", source.load_behind(&gate)))).await {
            let served = read.unwrap();
            assert_eq!((served.value.clone(), why(&served)), (Ok(7), Some(StaleReason::Revalidating)));
            assert_eq!(served.age, TTL);
        }
        settle().await;
        assert_eq!(source.loads.get(), 1);
        gate.open();
        settle().await;
        assert_eq!(users.get("ada", no_load).await, Ok(8));
        let stats = users.stats();
        assert_eq!((stats.stale_hits, stats.refreshes, stats.misses, stats.fail_safe), (100, 1, 0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_window_of_revalidation_ends_exactly() {
    limited(async {
        let (users, source) = (users(|cache| cache.stale_while_revalidate(WINDOW)), Source::of(8));
        for key in ["ada", "bob"] {
            users.insert(key, 7).await;
        }
        advance(just_before(TTL + WINDOW)).await;
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        advance(TICK).await;
        assert_eq!(users.get("bob", source.load()).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn misses_join_the_refresh() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache.stale_while_revalidate(WINDOW)), Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        assert_eq!(users.get("ada", source.load_behind(&gate)).await, Ok(7));
        advance(WINDOW).await;
        let mut miss = Box::pin(users.get("ada", no_load));
        assert!(poll!(&mut miss).is_pending());
        gate.open();
        assert_eq!(miss.await, Ok(8));
        assert_eq!(source.loads.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn refreshes_begin_at_the_fraction_and_only_when_read() {
    limited(async {
        let (users, source) = (users(|cache| cache.refresh_ahead(0.75)), Source::of(8));
        for key in ["ada", "bob"] {
            users.insert(key, 7).await;
        }
        advance(just_before(TTL * 3 / 4)).await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        advance(TICK).await;
        assert_eq!(users.peek("ada"), Some(7));
        let served = users.lookup("ada", source.load()).await.unwrap();
        assert_eq!((served.value, served.state), (Ok(7), Lookup::Fresh));
        settle().await;
        assert_eq!(source.loads.get(), 1);
        advance(TTL / 4).await;
        assert_eq!((users.get("ada", no_load).await, users.peek("bob")), (Ok(8), None));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn xfetch_refreshes_what_took_time_to_load() {
    limited(async {
        // So large a factor that the moment is drawn before the load's end, but for one draw in a billion.
        let (users, source) = (users(|cache| cache.refresh_ahead_xfetch(1e12)), Source::of(8));
        users.insert("bob", 7).await;
        let slow = || async {
            advance(SECOND).await;
            Ok(7)
        };
        assert_eq!(users.get("ada", slow).await, Ok(7));
        // What was inserted has no load time, nor has what was loaded at once.
        assert_eq!(users.get("bob", no_load).await, Ok(7));
        let served = users.lookup("ada", source.load()).await.unwrap();
        assert_eq!((served.value, served.state), (Ok(7), Lookup::Fresh));
        settle().await;
        advance(just_before(TTL)).await;
        assert_eq!((users.get("ada", no_load).await, source.loads.get()), (Ok(8), 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_outlives_its_reader_under_every_policy() {
    limited(async {
        let users = users(|cache| {
            cache.stale_while_revalidate(WINDOW).coalescer(|flights| flights.on_abandon(OnAbandon::Abort))
        });
        let (source, gate) = (Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        assert_eq!(users.get("ada", source.load_behind(&gate)).await, Ok(7));
        settle().await;
        // A reader that joins it and leaves takes nothing with it.
        advance(WINDOW).await;
        let mut miss = Box::pin(users.get("ada", no_load));
        assert!(poll!(&mut miss).is_pending());
        drop(miss);
        gate.open();
        settle().await;
        assert_eq!(users.get("ada", no_load).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_a_fallback_until_its_window_ends() {
    limited(async {
        let (users, source) = (users(|cache| cache.stale_if_error(WINDOW)), Source::of(8));
        users.insert("ada", 7).await;
        advance(TTL).await;
        let served = users.lookup("ada", source.fail()).await.unwrap();
        assert_eq!((served.value.clone(), why(&served)), (Ok(7), Some(StaleReason::LoadFailed)));
        advance(just_before(WINDOW)).await;
        assert_eq!(users.get("ada", source.fail()).await, Ok(7));
        advance(TICK).await;
        assert_eq!(users.get("ada", source.fail()).await, Err(TryJoinError::Work("out of order".to_owned())));
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
        assert_eq!((users.stats().fail_safe, users.stats().load_errors), (2, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn there_is_one_attempt_for_each_step_of_the_backoff() {
    for is_revalidated in [false, true] {
        limited(async {
            let users = users(|cache| {
                let cache = cache.error_backoff(SECOND..=4 * SECOND);
                if is_revalidated { cache.stale_while_revalidate(TTL) } else { cache.stale_if_error(TTL) }
            });
            let source = Source::of(8);
            users.insert("ada", 7).await;
            advance(TTL).await;
            for (failures, backoff) in [SECOND, 2 * SECOND, 4 * SECOND, 4 * SECOND].into_iter().enumerate() {
                // Many readers of the failing load count it once.
                for read in join_all((0..10).map(|_| users.get("ada", source.fail()))).await {
                    assert_eq!(read, Ok(7));
                }
                settle().await;
                assert_eq!(source.loads.get(), failures + 1);
                advance(just_before(backoff)).await;
                let served = users.lookup("ada", no_load).await.unwrap();
                assert_eq!((served.value.clone(), why(&served)), (Ok(7), Some(StaleReason::BackingOff)));
                advance(TICK).await;
            }
            // A success ends it.
            let _ = users.get("ada", source.load()).await;
            settle().await;
            assert_eq!(users.get("ada", no_load).await, Ok(8));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_or_is_late_or_refused_has_failed() {
    limited(async {
        let users = users(|cache| {
            cache
                .stale_if_error(TTL)
                .error_backoff(TICK..=TICK)
                .coalescer(|flights| flights.max_flight_duration(SECOND).max_flights(1))
        });
        users.insert("ada", 7).await;
        advance(TTL).await;
        let panics = || async { panic_quietly("broken") };
        assert_eq!(users.get("ada", panics).await, Ok(7));
        advance(TICK).await;
        assert_eq!(users.get("ada", std::future::pending).await, Ok(7));
        advance(TICK).await;
        let mut other = Box::pin(users.get("bob", std::future::pending));
        assert!(poll!(&mut other).is_pending());
        let served = users.lookup("ada", no_load).await.unwrap();
        assert_eq!(why(&served), Some(StaleReason::LoadFailed));
        assert_eq!(users.stats().fail_safe, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_refresh_was_for_is_served() {
    limited(async {
        let users = users(|cache| cache.stale_while_revalidate(WINDOW).coalescer(|flights| flights.max_flights(1)));
        let source = Source::of(8);
        users.insert("ada", 7).await;
        advance(TTL).await;
        let mut other = Box::pin(users.get("bob", std::future::pending));
        assert!(poll!(&mut other).is_pending());
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        settle().await;
        let served = users.lookup("ada", no_load).await.unwrap();
        assert_eq!(why(&served), Some(StaleReason::BackingOff));
        drop(other);
        assert_eq!(source.loads.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_load_has_a_fallback_and_fills_later() {
    limited(async {
        let users = users(|cache| {
            let cache = cache.stale_if_error(WINDOW).soft_timeout(SECOND);
            cache.coalescer(|flights| flights.on_abandon(OnAbandon::Abort))
        });
        let (source, gate) = (Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        let before = tokio::time::Instant::now();
        let served = users.lookup("ada", source.load_behind(&gate)).await.unwrap();
        assert_eq!((served.value.clone(), why(&served)), (Ok(7), Some(StaleReason::LoadSlow)));
        // Tokio's timers have a resolution of 1 ms.
        assert!((SECOND..SECOND + Duration::from_millis(2)).contains(&before.elapsed()));
        // The next one doesn't wait.
        let before = tokio::time::Instant::now();
        let served = users.lookup("ada", no_load).await.unwrap();
        assert_eq!((why(&served), before.elapsed()), (Some(StaleReason::LoadSlow), Duration::ZERO));
        gate.open();
        settle().await;
        assert_eq!(users.get("ada", no_load).await, Ok(8));
        assert_eq!((source.loads.get(), users.stats().fail_safe), (1, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_load_that_fails_gives_way_to_the_next() {
    limited(async {
        for panics in [false, true] {
            let users = users(|cache| cache.stale_if_error(WINDOW).soft_timeout(SECOND).error_backoff(SECOND..=SECOND));
            let (source, gate) = (Source::of(8), Gate::new());
            users.insert("ada", 7).await;
            advance(TTL).await;
            let passed = gate.pass();
            let fail = move || async move {
                passed.await;
                if panics { panic_quietly("broken") } else { Err("out of order".to_owned()) }
            };
            let served = users.lookup("ada", fail).await.unwrap();
            assert_eq!(why(&served), Some(StaleReason::LoadSlow));
            gate.open();
            settle().await;
            let served = users.lookup("ada", no_load).await.unwrap();
            assert_eq!(why(&served), Some(StaleReason::BackingOff), "panics: {panics}");
            advance(SECOND).await;
            assert_eq!(users.get("ada", source.load()).await, Ok(8));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_in_time_is_waited_for() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(WINDOW).soft_timeout(SECOND));
        let source = Source::of(8);
        users.insert("ada", 7).await;
        advance(TTL).await;
        let served = users.lookup("ada", source.load()).await.unwrap();
        assert_eq!((served.value, served.state), (Ok(8), Lookup::Loaded));
        // With nothing to serve there is no soft timeout.
        let load = || async {
            tokio::time::sleep(2 * SECOND).await;
            Ok(9)
        };
        assert_eq!(users.get("bob", load).await, Ok(9));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_is_no_fallback() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(WINDOW).stale_while_revalidate(SECOND).soft_timeout(SECOND));
        let (source, gate) = (Source::of(8), Gate::new());
        users.insert("ada", 7).await;
        advance(TTL).await;
        users.invalidate("ada").await;
        assert!(users.get("ada", source.fail()).await.is_err());

        // Nor one of a load that was under way: its readers began before, and get no old value all the same.
        users.insert("ada", 7).await;
        advance(TTL + SECOND).await;
        let passed = gate.pass();
        let mut read = Box::pin(users.get("ada", || async {
            passed.await;
            Err("out of order".to_owned())
        }));
        assert!(poll!(&mut read).is_pending());
        settle().await;
        users.invalidate("ada").await;
        advance(2 * SECOND).await;
        assert!(poll!(&mut read).is_pending(), "there is nothing to serve in place of a slow load");
        gate.open();
        assert_eq!(read.await, Err(TryJoinError::Work("out of order".to_owned())));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_cache_says_so_rather_than_serve_what_expired() {
    limited(async {
        let cache = crate::support::Users::builder().ttl(TTL).stale_if_error(WINDOW).build().unwrap();
        cache.handle().insert("ada", 7).await;
        advance(TTL).await;
        cache.shutdown(Duration::ZERO).await;
        let read = cache.handle().get("ada", no_load).await;
        assert_eq!(read, Err(TryJoinError::Join(JoinError::Closed)));
    })
    .await;
}

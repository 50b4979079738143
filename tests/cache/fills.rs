//! What a loader says of its value.

use std::time::Duration;

use shardflight::{
    JoinError, TryJoinError,
    cache::{Fill, Lookup},
};

use crate::support::{
    Count, Gate, Loading, Source, TICK, TTL, advance, just_before, limited, no_load, panic_quietly, settle, users,
};

type UserFill = Fill<u64, String>;

/// A loader that returns this.
fn load(
    fill: UserFill,
) -> impl FnOnce(Option<shardflight::cache::Previous<u64>>) -> Loading<UserFill> + Send + 'static {
    |_| Box::pin(async { Ok(fill) })
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_fill_has_a_ttl_of_its_own() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(8));
        assert_eq!(users.get_with("ada", load(Fill::new(7).ttl(SECOND))).await, Ok(7));
        users.insert("bob", Fill::new(7).ttl(2 * TTL)).await;
        advance(just_before(SECOND)).await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        advance(TICK).await;
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
        advance(TTL).await;
        assert_eq!(users.get("bob", no_load).await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fill_has_a_weight_of_its_own() {
    limited(async {
        let users = users(|cache| cache.max_weight(1_000).weigher(|_, _| 5));
        users.insert("ada", 7).await;
        assert_eq!(users.stats().weight, 5);
        users.insert("ada", Fill::new(7).weight(3)).await;
        assert_eq!(users.stats().weight, 3);
        users.insert("bob", Fill::new(7).weight(0)).await;
        assert_eq!(users.stats().weight, 4);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_uncached_is_returned_and_removes_what_was_there() {
    limited(async {
        let users = users(|cache| cache.stale_if_error(TTL));
        assert_eq!(users.get_with("ada", load(Fill::uncached(7))).await, Ok(7));
        assert_eq!(users.stats().entries, 0);
        users.insert("ada", 7).await;
        advance(TTL).await;
        assert_eq!(users.get_with("ada", load(Fill::uncached(8))).await, Ok(8));
        assert_eq!(users.stats().entries, 0);
        users.insert("ada", 7).await;
        users.insert("ada", Fill::uncached(8)).await;
        assert_eq!((users.stats().entries, users.stats().rejected_fills), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_uncached_is_not_weighed_and_removes_nothing_newer() {
    limited(async {
        let weigher = |_: &String, value: &u64| if *value > 100 { panic_quietly("weighed") } else { *value };
        let users = users(|cache| cache.max_weight(100).weigher(weigher));
        let (gate, uncached) = (Gate::new(), Fill::uncached(200));
        users.insert("ada", 7).await;
        advance(TTL).await;
        let passed = gate.pass();
        let mut read = Box::pin(users.get_with("ada", |_| async {
            passed.await;
            Ok(uncached)
        }));
        assert!(futures::poll!(&mut read).is_pending());
        settle().await;
        users.insert("ada", 5).await;
        gate.open();
        assert_eq!((read.await, users.peek("ada")), (Ok(200), Some(5)));
        assert_eq!(users.stats().rejected_fills, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_weight_counts_only_where_weight_is_bounded() {
    limited(async {
        let users = users(|cache| cache);
        users.insert("ada", Fill::new(7).weight(1_000_000)).await;
        assert_eq!((users.peek("ada"), users.stats().weight), (Some(7), 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_negative_fill_is_served_for_its_own_ttl() {
    limited(async {
        let (users, source) = (users(|cache| cache.negative_ttl(SECOND)), Source::of(7));
        let gone = || Fill::negative("gone".to_owned());
        let error = Err(TryJoinError::Work("gone".to_owned()));
        for (fill, ttl) in [(gone(), SECOND), (gone().ttl(3 * SECOND), 3 * SECOND)] {
            let loaded = users.lookup_with("ada", load(fill)).await.unwrap();
            assert_eq!((loaded.value, loaded.state), (Err("gone".to_owned()), Lookup::Loaded));
            advance(just_before(ttl)).await;
            assert_eq!(users.get("ada", no_load).await, error);
            let hit = users.lookup("ada", no_load).await.unwrap();
            assert_eq!((hit.value, hit.state, hit.age), (Err("gone".to_owned()), Lookup::Negative, just_before(ttl)));
            advance(TICK).await;
        }
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        assert_eq!((users.stats().negative_hits, users.stats().load_errors), (4, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_negative_fill_without_any_ttl_is_not_kept() {
    limited(async {
        let users = users(|cache| cache);
        let error = users.get_with("ada", load(Fill::negative("gone".to_owned()))).await;
        assert_eq!(error, Err(TryJoinError::Work("gone".to_owned())));
        assert_eq!(users.stats().entries, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn errors_that_the_predicate_accepts_are_kept_and_replace_a_value() {
    limited(async {
        let users =
            users(|cache| cache.stale_if_error(TTL).negative_ttl(SECOND).negative_if(|error| error.as_str() == "gone"));
        let fails = |with: &'static str| move || async move { Err(with.to_owned()) };
        assert!(users.get("ada", fails("out of order")).await.is_err());
        assert_eq!(users.stats().entries, 0);
        users.insert("ada", 7).await;
        advance(TTL).await;
        assert_eq!(users.get("ada", fails("gone")).await, Err(TryJoinError::Work("gone".to_owned())));
        assert_eq!(users.get("ada", no_load).await, Err(TryJoinError::Work("gone".to_owned())));
        advance(SECOND).await;
        // The value of before is not in reserve.
        assert_eq!(users.get("ada", fails("out of order")).await, Err(TryJoinError::Work("out of order".to_owned())));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_sees_what_it_replaces_and_may_confirm_it() {
    limited(async {
        let (users, asked) = (users(|cache| cache), Count::default());
        let load = || {
            let asked = asked.clone();
            move |previous: Option<shardflight::cache::Previous<u64>>| async move {
                asked.up();
                Ok(match previous {
                    Some(previous) if *previous.value() == 7 => {
                        assert_eq!(previous.age(), TTL);
                        Fill::not_modified()
                    }
                    _ => Fill::new(7).tag("team"),
                })
            }
        };
        assert_eq!(users.get_with("ada", load()).await, Ok(7));
        advance(TTL).await;
        assert_eq!(users.get_with("ada", load()).await, Ok(7));
        advance(just_before(TTL)).await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        assert_eq!(asked.get(), 2);
        // Confirmed under the tags of before.
        users.invalidate_tag("team").await;
        assert_eq!(users.peek("ada"), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_value_weighs_what_it_did() {
    limited(async {
        let users = users(|cache| cache.max_weight(1_000).weigher(|_, _| 5));
        let confirm = |fill: UserFill| move |_| async { Ok(fill) };
        users.insert("ada", Fill::new(7).weight(40)).await;
        advance(TTL).await;
        assert_eq!(users.get_with("ada", confirm(Fill::not_modified())).await, Ok(7));
        assert_eq!(users.stats().weight, 40);
        advance(TTL).await;
        assert_eq!(users.get_with("ada", confirm(Fill::not_modified().weight(50))).await, Ok(7));
        assert_eq!(users.stats().weight, 50);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_confirmed_where_nothing_was() {
    limited(async {
        let users = users(|cache| cache);
        let read = users.get_with("ada", load(Fill::not_modified())).await;
        assert!(matches!(read, Err(TryJoinError::Join(JoinError::Panicked(_)))));
        users.insert("ada", Fill::not_modified()).await;
        assert_eq!(users.stats().entries, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lookup_says_how_it_was_answered() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        let loaded = users.lookup("ada", source.load()).await.unwrap();
        assert_eq!((loaded.value.clone(), loaded.state, loaded.age), (Ok(7), Lookup::Loaded, Duration::ZERO));
        advance(SECOND).await;
        let hit = users.lookup("ada", no_load).await.unwrap();
        assert_eq!((hit.value.clone(), hit.state, hit.age), (Ok(7), Lookup::Fresh, SECOND));
        assert!(!hit.is_stale());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_explicit_refresh_replaces_a_fresh_value_and_joins_a_load_under_way() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        users.insert("ada", 6).await;
        assert_eq!(users.refresh("ada", source.load()).await, Ok(7));
        assert_eq!(users.get("ada", no_load).await, Ok(7));

        source.set(8);
        let refresh = || {
            let (users, load) = (users.clone(), source.load_behind(&gate));
            tokio::spawn(async move { users.refresh("ada", load).await })
        };
        let refreshes = [refresh(), refresh()];
        settle().await;
        assert_eq!(users.get("ada", no_load).await, Ok(7), "the old value is served meanwhile");
        gate.open();
        for refresh in refreshes {
            assert_eq!(refresh.await.unwrap(), Ok(8));
        }
        assert_eq!((source.loads.get(), users.peek("ada")), (2, Some(8)));
        let failed = users.refresh("ada", source.fail()).await;
        assert_eq!(failed, Err(TryJoinError::Work("out of order".to_owned())));
        assert_eq!(users.get("ada", no_load).await, Ok(8));
    })
    .await;
}

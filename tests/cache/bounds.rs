//! How much is kept.

use futures::poll;

use crate::support::{Gate, Source, TTL, limited, no_load, settle, users};

#[tokio::test(start_paused = true)]
async fn there_are_never_more_entries_than_allowed() {
    limited(async {
        let (users, source) = (users(|cache| cache.max_entries(100)), Source::of(7));
        for key in 0..1_000 {
            users.get(key.to_string(), source.load()).await.unwrap();
            assert!(users.stats().entries <= 100);
        }
        let stats = users.stats();
        assert!(stats.entries > 50, "{stats:?}");
        assert_eq!(stats.evictions, 1_000 - stats.entries as u64);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_replaced_is_not_thrown_out() {
    limited(async {
        let users = users(|cache| cache);
        for value in 0..3 {
            users.insert("ada", value).await;
            assert_eq!(users.refresh("ada", Source::of(value).load()).await, Ok(value));
        }
        assert_eq!((users.stats().entries, users.stats().evictions), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cache_of_few_entries_keeps_the_newest() {
    limited(async {
        for most in 1..=8 {
            for users in [users(|cache| cache.max_entries(most)), users(|cache| cache.max_weight(most as u64))] {
                let source = Source::of(7);
                for key in 0..2 * most {
                    let key = key.to_string();
                    assert_eq!(users.get(key.as_str(), source.load()).await, Ok(7));
                    assert_eq!(users.get(key.as_str(), no_load).await, Ok(7), "the newest of at most {most}");
                }
                let stats = users.stats();
                assert_eq!((stats.entries, stats.evictions), (most, most as u64));
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_heavy_value_takes_the_place_of_others_when_it_is_loaded_again() {
    limited(async {
        let (users, source) = (users(|cache| cache.max_weight(100).weigher(|_, weight| *weight)), Source::of(1));
        for key in 0..100 {
            users.get(key.to_string(), source.load()).await.unwrap();
        }
        source.set(40);
        assert_eq!(users.get("ada", source.load()).await, Ok(40));
        assert_eq!((users.peek("ada"), users.stats().rejected_fills), (None, 1));
        assert_eq!(users.get("ada", source.load()).await, Ok(40));
        assert_eq!((users.peek("ada"), users.stats().rejected_fills), (Some(40), 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bound_by_weight_holds() {
    limited(async {
        let users = users(|cache| cache.max_weight(1_000).weigher(|_, weight| *weight));
        for key in 0..100 {
            users.insert(key.to_string(), 1 + key % 20).await;
            assert!(users.stats().weight <= 1_000);
        }
        assert!(users.stats().weight > 500);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bound_by_weight_holds_when_values_grow() {
    limited(async {
        let (users, source) = (users(|cache| cache.max_weight(1_000).weigher(|_, weight| *weight)), Source::default());
        for weight in [5, 20, 30] {
            source.set(weight);
            for key in 0..100 {
                assert_eq!(users.refresh(key.to_string(), source.load()).await, Ok(weight));
                assert!(users.stats().weight <= 1_000, "{:?}", users.stats());
            }
        }
        assert!(users.stats().weight > 500);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_too_heavy_is_returned_and_not_kept() {
    limited(async {
        let (users, source) = (users(|cache| cache.max_weight(1_000).weigher(|_, weight| *weight)), Source::default());
        source.set(users.max_entry_weight());
        assert!(users.get("ada", source.load()).await.is_ok());
        assert_eq!(users.stats().entries, 1);
        let too_heavy = users.max_entry_weight() + 1;
        source.set(too_heavy);
        assert_eq!(users.get("bob", source.load()).await, Ok(too_heavy));
        let stats = users.stats();
        assert_eq!((stats.entries, stats.rejected_fills), (1, 1));
        // What it would have replaced is older.
        users.insert("ada", too_heavy).await;
        assert_eq!(users.stats().entries, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_of_before_an_insert_that_is_too_heavy_is_not_kept() {
    limited(async {
        let users = users(|cache| cache.max_weight(100).weigher(|_, weight| *weight));
        let (source, gate) = (Source::of(7), Gate::new());
        let mut read = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(futures::poll!(&mut read).is_pending());
        settle().await;
        users.insert("ada", 200).await;
        gate.open();
        assert_eq!((read.await, users.peek("ada"), users.stats().entries), (Ok(7), None, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_weighs_nothing_weighs_one() {
    limited(async {
        let users = users(|cache| cache.max_weight(1_000).weigher(|_, _| 0));
        for key in 0..5_000 {
            users.insert(key.to_string(), 7).await;
        }
        assert!(users.stats().entries <= 1_000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lifetimes_are_shorter_by_up_to_the_jitter() {
    limited(async {
        let users = users(|cache| cache.jitter(0.25));
        for key in 0..200 {
            users.insert(key.to_string(), key).await;
        }
        let left = || (0..200).filter(|key| users.peek(key.to_string().as_str()).is_some()).count();
        crate::support::advance(TTL * 3 / 4).await;
        assert_eq!(left(), 200);
        crate::support::advance(TTL / 8).await;
        assert!((50..150).contains(&left()), "{} of 200 in the middle", left());
        crate::support::advance(TTL / 8).await;
        assert_eq!(left(), 0);
        assert_eq!(users.get("7", || async { Ok(8) }).await, Ok(8));
        assert_eq!(users.get("7", no_load).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_during_a_load_stays_in_a_cache_of_one_entry() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache.max_entries(1)), Source::of(7), Gate::new());
        let mut old = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(poll!(&mut old).is_pending());
        users.insert("ada", 8).await;
        gate.open();
        assert_eq!((old.await, users.peek("ada")), (Ok(7), Some(8)));
    })
    .await;
}

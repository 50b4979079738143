//! Loads that find, when they begin, what was written after they were asked for.

use futures::poll;
use shardflight::cache::{Fill, Lookup};

use crate::support::{Source, TICK, TTL, advance, in_tasks, limited, no_load, settle, users};

#[tokio::test(start_paused = true)]
async fn a_load_that_finds_its_key_filled_calls_no_loader() {
    limited(async {
        let users = users(|cache| in_tasks(cache.refresh_ahead(0.5)));
        // The second one is due for a refresh as soon as it is there.
        for fill in [Fill::new(8), Fill::new(9).ttl(TICK)] {
            let mut read = Box::pin(users.lookup("ada", no_load));
            assert!(poll!(&mut read).is_pending());
            users.insert("ada", fill.clone()).await;
            let served = read.await.unwrap();
            assert_eq!((served.value.ok(), served.state), (users.peek("ada"), Lookup::Fresh));
            users.invalidate("ada").await;
        }
        assert_eq!(users.stats().loads, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_finds_a_kept_error_says_so() {
    limited(async {
        let users = users(|cache| in_tasks(cache.negative_ttl(TTL)));
        let mut read = Box::pin(users.lookup("ada", no_load));
        assert!(poll!(&mut read).is_pending());
        users.insert("ada", Fill::negative("gone".to_owned())).await;
        let served = read.await.unwrap();
        assert_eq!((served.value, served.state), (Err("gone".to_owned()), Lookup::Negative));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_what_was_replaced_before_it_began_calls_no_loader() {
    limited(async {
        let users = users(|cache| cache.refresh_ahead(0.5));
        for newer in [Fill::new(8), Fill::new(9).ttl(TICK)] {
            users.insert("ada", 7).await;
            advance(TTL / 2).await;
            assert_eq!(users.get("ada", no_load).await, Ok(7));
            users.insert("ada", newer).await;
            settle().await;
            assert!(users.peek("ada") > Some(7));
        }
        assert_eq!((users.stats().refreshes, users.stats().loads), (2, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_explicit_refresh_loads_whatever_it_finds() {
    limited(async {
        let (users, source) = (users(in_tasks), Source::of(9));
        let mut refresh = Box::pin(users.refresh("ada", source.load()));
        assert!(poll!(&mut refresh).is_pending());
        users.insert("ada", 8).await;
        assert_eq!((refresh.await, users.peek("ada")), (Ok(9), Some(9)));
    })
    .await;
}

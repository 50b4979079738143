//! Hits, misses and errors.

use std::sync::Arc;

use futures::{future::join_all, poll};
use shardflight::{
    JoinError, TryJoinError,
    cache::{Fill, Lookup},
};
use tokio::task::yield_now;

use crate::support::{Count, Gate, Source, TICK, TTL, advance, just_before, limited, no_load, settle, users};

#[tokio::test(start_paused = true)]
async fn a_hit_does_not_load() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        source.set(8);
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        assert_eq!(users.get("bob", source.load()).await, Ok(8));
        assert_eq!(source.loads.get(), 2);
        let stats = users.stats();
        assert_eq!((stats.hits, stats.misses, stats.loads, stats.entries), (1, 2, 2, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_expires_exactly_after_its_ttl() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        source.set(8);
        advance(just_before(TTL)).await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        advance(TICK).await;
        assert_eq!(users.peek("ada"), None);
        assert_eq!(users.get("ada", source.load()).await, Ok(8));
        assert_eq!(users.stats().entries, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_misses_share_one_load() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let reads = (0..100).map(|_| {
            let (users, load) = (users.clone(), source.load_behind(&gate));
            tokio::spawn(async move { users.lookup("ada", load).await })
        });
        let reads: Vec<_> = reads.collect();
        settle().await;
        gate.open();
        for read in join_all(reads).await {
            let served = read.unwrap().unwrap();
            assert_eq!((served.value, served.state), (Ok(7), Lookup::Loaded));
        }
        assert_eq!(source.loads.get(), 1);
        let stats = users.stats();
        assert_eq!((stats.hits, stats.misses, stats.loads), (0, 100, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn readers_in_one_task_share_a_load_that_never_waits() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        let reads = join_all((0..100).map(|_| users.get("ada", source.load()))).await;
        assert!(reads.into_iter().all(|read| read == Ok(7)));
        assert_eq!(source.loads.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_takes_no_load_from_others() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let mut leader = Box::pin(users.get("ada", source.load_behind(&gate)));
        assert!(futures::poll!(&mut leader).is_pending());
        let mut follower = Box::pin(users.get("ada", no_load));
        assert!(futures::poll!(&mut follower).is_pending());
        drop(leader);
        gate.open();
        assert_eq!(follower.await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_its_readers_and_is_not_kept() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        let error = users.get("ada", source.fail()).await;
        assert_eq!(error, Err(TryJoinError::Work("out of order".to_owned())));
        assert_eq!(users.stats().entries, 0);
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        let stats = users.stats();
        assert_eq!((stats.loads, stats.load_errors), (2, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn readers_share_one_arc() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        let loaded = users.get_shared("ada", source.load()).await.unwrap();
        let hit = users.get_shared("ada", no_load).await.unwrap();
        assert!(Arc::ptr_eq(&loaded, &hit));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_before_the_first_poll() {
    limited(async {
        let (users, source) = (users(|cache| cache), Source::of(7));
        drop(users.get("ada", source.load()));
        drop(users.insert("ada", 7));
        settle().await;
        assert_eq!((source.loads.get(), users.stats().misses, users.stats().entries), (0, 0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_reads_its_own_key_is_told_so() {
    limited(async {
        let users = users(|cache| cache);
        let inside = users.clone();
        let read = users.get("ada", move || async move {
            let error = inside.get("ada", no_load).await.unwrap_err();
            assert_eq!(error, TryJoinError::Join(JoinError::Reentrant));
            inside.get("bob", || async { Ok(7) }).await.map_err(|error| error.to_string())
        });
        assert_eq!(read.await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_refreshes_its_own_key_is_told_so() {
    limited(async {
        let users = users(|cache| cache);
        let inside = users.clone();
        let load = move || async move {
            let error = inside.refresh("ada", no_load).await.unwrap_err();
            assert_eq!(error, TryJoinError::Join(JoinError::Reentrant));
            Ok(7)
        };
        assert_eq!(users.refresh("ada", load).await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_reads_a_key_whose_load_refreshes_its_own_is_told_so() {
    limited(async {
        let users = users(|cache| cache);
        let (outer, inner) = (users.clone(), users.clone());
        let load_bob = move || async move {
            // So that the refresh is pending after its first poll.
            yield_now().await;
            assert_eq!(inner.get("ada", no_load).await, Err(TryJoinError::Join(JoinError::Reentrant)));
            Ok(8)
        };
        let load_ada = move || async move { outer.refresh("bob", load_bob).await.map_err(|error| error.to_string()) };
        assert_eq!(users.get("ada", load_ada).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn refreshes_of_a_loader_run_under_its_permit_one_after_the_other() {
    limited(async {
        let users = users(|cache| cache.coalescer(|flights| flights.max_executions(1)));
        let (inside, source, gate) = (users.clone(), Source::of(7), Gate::new());
        let loads: Vec<_> = ["ada", "bob", "eve"].map(|key| (key, source.load_behind(&gate))).into();
        let all = move || async move {
            let refreshed = join_all(loads.into_iter().map(|(key, load)| inside.refresh(key, load))).await;
            Ok(refreshed.into_iter().map(Result::unwrap).sum())
        };
        let mut read = Box::pin(users.get("all", all));
        assert!(poll!(&mut read).is_pending());
        for _ in 0..3 {
            settle().await;
            assert!(poll!(&mut read).is_pending());
        }
        assert_eq!(source.loads.get(), 1);
        gate.open();
        assert_eq!((read.await, source.loads.get()), (Ok(21), 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_invalidates_its_own_key_is_not_kept() {
    limited(async {
        let users = users(|cache| cache);
        let inside = users.clone();
        let read = users.get("ada", move || async move {
            inside.invalidate("ada").await;
            Ok(7)
        });
        assert_eq!(read.await, Ok(7));
        assert_eq!((users.stats().entries, users.stats().rejected_fills), (0, 1));
        let inside = users.clone();
        let read = users.get("ada", move || async move {
            inside.insert("ada", 8).await;
            Ok(7)
        });
        assert_eq!(read.await, Ok(7));
        assert_eq!(users.get("ada", no_load).await, Ok(8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn hits_are_served_after_a_shutdown_and_misses_are_refused() {
    limited(async {
        let cache = crate::support::Users::builder().ttl(TTL).stale_while_revalidate(TTL).build().unwrap();
        let (users, source) = (cache.handle(), Source::of(7));
        users.insert("eve", Fill::new(9).ttl(TICK)).await;
        advance(TICK).await;
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        cache.shutdown(TTL).await;
        for _ in 0..3 {
            assert_eq!(users.get("eve", source.load()).await, Ok(9), "it may be served, though nothing can replace it");
            settle().await;
        }
        assert_eq!(users.stats().refreshes, 0);
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        assert_eq!(users.get("bob", no_load).await, Err(TryJoinError::Join(JoinError::Closed)));
        users.invalidate("ada").await;
        assert_eq!(users.get("ada", no_load).await, Err(TryJoinError::Join(JoinError::Closed)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_too_long_leaves_its_load_to_others() {
    limited(async {
        let (users, source, gate) = (users(|cache| cache), Source::of(7), Gate::new());
        let error = users.with_max_wait(TTL / 2).get("ada", source.load_behind(&gate)).await;
        assert_eq!(error, Err(TryJoinError::Join(JoinError::TimedOut { after: TTL / 2 })));
        gate.open();
        settle().await;
        assert_eq!(users.get("ada", no_load).await, Ok(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn values_need_no_clone_and_are_dropped_with_their_entry() {
    limited(async {
        let drops = Count::default();
        let cache: shardflight::cache::Cache<u64, _, String> =
            shardflight::cache::Cache::builder().ttl(TTL).build().unwrap();
        let (handle, value) = (cache.handle(), drops.on_drop());
        drop(handle.get_shared(7_u64, || async { Ok(value) }).await.unwrap());
        settle().await;
        assert_eq!(drops.get(), 0);
        handle.invalidate(7_u64).await;
        assert_eq!(drops.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_coalesced_are_cached_all_the_same() {
    limited(async {
        let users = users(|cache| cache.coalescer(|flights| flights.rollout(0.0)));
        let (source, gate) = (Source::of(7), Gate::new());
        assert_eq!(users.get("ada", source.load()).await, Ok(7));
        assert_eq!(users.get("ada", no_load).await, Ok(7));
        let mut old = Box::pin(users.get("bob", source.load_behind(&gate)));
        assert!(futures::poll!(&mut old).is_pending());
        source.set(8);
        users.invalidate("bob").await;
        gate.open();
        assert_eq!(old.await, Ok(7));
        assert_eq!(users.get("bob", source.load()).await, Ok(8));
    })
    .await;
}

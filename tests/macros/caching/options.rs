//! What the options of a cache do, and those of its coalescer beside it.

use std::time::Duration;

use futures::{future::pending, poll};
use shardflight::{JoinError, cache::Fill, coalesce};
use tokio::{
    task::yield_now,
    time::{Instant, advance},
};

use super::{Source, TICK, advance_to_before};
use crate::{
    results::Failure,
    support::{Count, limited, settle},
};

#[tokio::test]
async fn values_may_be_written_as_they_are_or_in_strings() {
    const TTL: Duration = Duration::from_mins(1);

    #[coalesce(
        shards = 2,
        cache(
            ttl = TTL,
            max_weight = "1 << 20",
            weigher = |key: &u64, value: &u64| value / key,
            jitter = 0.1,
            refresh_ahead = "0.8",
            stale_while_revalidate = 10s,
            stale_if_error = "1.5h",
            error_backoff = Duration::from_secs(1)..=Duration::from_secs(30),
            soft_timeout = Duration::from_millis(100),
            negative_ttl = 5,
            negative_if = |error: &Failure| matches!(error, Failure::NoSuchUser),
            fill = Fill::new,
        ),
        max_flight_duration = "250ms",
        on_abandon = "Abort",
    )]
    async fn load(id: u64) -> Result<u64, Failure> {
        if id == 0 { Err(Failure::NoSuchUser) } else { Ok(id) }
    }

    limited(async {
        assert_eq!(load(7).await.unwrap(), 7);
        assert!(load(0).await.is_err() && load(0).await.is_err());
        let stats = load_cache_stats();
        assert_eq!((stats.entries, stats.weight, stats.negative_hits), (2, 2, 1));
        assert_eq!(load_stats().await.per_shard().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn entries_have_a_bound() {
    #[coalesce(cache(ttl = "60s", max_entries = 1))]
    async fn one(id: u64) -> u64 {
        id
    }
    #[coalesce(cache(ttl = "60s", max_weight = 100, weigher = "|key, value| key + value"), skip(count))]
    async fn weighed(id: u64, count: Count) -> u64 {
        count.up();
        id
    }

    limited(async {
        for id in 0..100 {
            one(id).await;
        }
        let stats = one_cache_stats();
        assert_eq!((stats.entries, stats.misses), (1, 100), "{stats:?}");
        let count = Count::default();
        for _ in 0..2 {
            weighed(5, count.clone()).await;
            weighed(1_000, count.clone()).await;
        }
        let stats = weighed_cache_stats();
        assert_eq!((count.get(), stats.weight, stats.rejected_fills), (3, 10, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fill_says_how_a_value_is_kept() {
    fn short_or_not_at_all<E>(value: u64) -> Fill<u64, E> {
        if value == 0 { Fill::uncached(value) } else { Fill::new(value).ttl(Duration::from_secs(value)) }
    }

    #[coalesce(cache(ttl = "60s", fill = "short_or_not_at_all"), skip(source))]
    async fn result(_id: u64, source: &Source) -> Result<u64, Failure> {
        Ok(source.load())
    }
    #[coalesce(
        cache(ttl = "60s", fill = "short_or_not_at_all", negative_if = "|value| *value == 1", negative_ttl = "2s"),
        skip(source)
    )]
    async fn plain(_id: u64, source: &Source) -> u64 {
        source.load()
    }

    limited(async {
        let source = Source::of(0);
        for load in [false, true, false, true] {
            let loads = source.loads.get();
            assert_eq!(if load { plain(7, &source).await } else { result(7, &source).await.unwrap() }, 0);
            assert_eq!(source.loads.get(), loads + 1);
        }
        source.set(10);
        assert_eq!((result(7, &source).await.unwrap(), plain(7, &source).await), (10, 10));
        source.set(1);
        advance_to_before(Duration::from_secs(10)).await;
        assert_eq!((result(7, &source).await.unwrap(), plain(7, &source).await), (10, 10));
        advance(TICK).await;
        assert_eq!((result(7, &source).await.unwrap(), plain(7, &source).await), (1, 1));
        source.set(2);
        advance(Duration::from_secs(1)).await;
        assert_eq!((result(7, &source).await.unwrap(), plain(7, &source).await), (2, 1), "the second is negative");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn options_of_the_coalescer_hold_for_loads() {
    #[coalesce(cache(ttl = "60s"), max_flight_duration = "250ms")]
    async fn late(_id: u64) -> Result<u64, Failure> {
        pending().await
    }
    #[coalesce(cache(ttl = "60s"), on_abandon = "Abort", skip(count))]
    async fn left(_id: u64, count: Count) -> u64 {
        yield_now().await;
        count.up();
        pending().await
    }

    limited(async {
        let before = Instant::now();
        let error = late(7).await.unwrap_err();
        let limit = Duration::from_millis(250);
        assert!(matches!(error, Failure::NoAnswer(JoinError::TimedOut { after }) if after == limit), "{error:?}");
        assert_eq!(before.elapsed(), limit);
        let count = Count::default();
        let mut call = Box::pin(left(7, count.clone()));
        assert!(poll!(&mut call).is_pending());
        drop(call);
        settle().await;
        assert_eq!((left_stats().await.aborts, count.get()), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn nothing_happens_before_the_first_poll() {
    #[coalesce(cache(ttl = "60s"))]
    async fn load(id: u64) -> u64 {
        id
    }

    drop(load(7));
    assert_eq!(limited(load_stats()).await.joins, 0);
    assert_eq!(load_cache_stats().misses, 0);
}

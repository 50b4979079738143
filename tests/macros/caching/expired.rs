//! Expired values that are served all the same.

use std::time::Duration;

use shardflight::coalesce;
use tokio::time::advance;

use super::Source;
use crate::{
    results::Failure,
    support::{Gate, limited, settle},
};

#[tokio::test(start_paused = true)]
async fn an_expired_value_stands_in_for_an_error() {
    #[coalesce(cache(ttl = "60s", stale_if_error = "1h", error_backoff = "1s..=30s"), skip(source))]
    async fn load(id: u64, source: &Source) -> Result<u64, Failure> {
        match source.load() {
            0 => Err(Failure::NoSuchUser),
            value => Ok(id + value),
        }
    }

    limited(async {
        let source = Source::of(10);
        assert_eq!(load(7, &source).await.unwrap(), 17);
        source.set(0);
        advance(Duration::from_mins(1)).await;
        assert_eq!(load(7, &source).await.unwrap(), 17);
        assert_eq!(load(7, &source).await.unwrap(), 17);
        assert_eq!(source.loads.get(), 2, "the second call is within the backoff");
        assert!(load_refresh(7, &source).await.is_err(), "who asks for a load gets its error");
        load_invalidate(7, &source).await;
        assert!(load(7, &source).await.is_err(), "not after an invalidation");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_served_while_it_is_loaded_anew() {
    #[coalesce(cache(ttl = "60s", stale_while_revalidate = "10s"), skip(source))]
    async fn load(id: u64, source: &Source) -> u64 {
        id + source.load()
    }

    limited(async {
        let source = Source::of(10);
        assert_eq!(load(7, &source).await, 17);
        source.set(20);
        advance(Duration::from_mins(1)).await;
        assert_eq!(load(7, &source).await, 17);
        settle().await;
        assert_eq!((load(7, &source).await, source.loads.get()), (27, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn values_that_are_read_are_loaded_before_they_expire() {
    #[coalesce(cache(ttl = "60s", refresh_ahead = 0.8), skip(source))]
    async fn load(id: u64, source: &Source) -> u64 {
        id + source.load()
    }

    limited(async {
        let source = Source::of(10);
        assert_eq!(load(7, &source).await, 17);
        source.set(20);
        advance(Duration::from_secs(48)).await;
        assert_eq!(load(7, &source).await, 17);
        settle().await;
        assert_eq!(load_peek(7, &source), Some(27));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_load_gives_way_to_an_expired_value() {
    #[coalesce(
        cache(ttl = "60s", stale_if_error = "1h", soft_timeout = "100ms"),
        no_flight_deadline,
        skip(source, gate)
    )]
    async fn load(id: u64, source: &Source, gate: &Gate) -> Result<u64, Failure> {
        let read = id + source.load();
        gate.pass().await;
        Ok(read)
    }

    limited(async {
        let (source, open, gate) = (Source::of(10), Gate::new(), Gate::new());
        open.open();
        assert_eq!(load(7, &source, &open).await.unwrap(), 17);
        source.set(20);
        advance(Duration::from_mins(1)).await;
        assert_eq!(load(7, &source, &gate).await.unwrap(), 17);
        gate.open();
        settle().await;
        assert_eq!(load(7, &source, &gate).await.unwrap(), 27);
    })
    .await;
}

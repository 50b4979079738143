//! The cap on flights, over all shards.

use std::future::pending;

use shardflight::JoinError;

use super::{flight_cap, has_too_many_flights};
use crate::support::{assert_pending, limited, panic_quietly, settle, until};

#[tokio::test]
async fn flights_are_counted_over_all_shards() {
    limited(async {
        let handle = flight_cap(50, 8);
        let mut callers: Vec<_> = (0..50).map(|key| handle.join(key, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        let stats = until(&handle, |stats| stats.flights == 50).await;
        assert!(stats.per_shard().iter().filter(|shard| shard.flights > 0).count() > 1);
        for key in 50..100 {
            let refused = handle.join(key, pending).await;
            assert!(matches!(refused, Err(JoinError::TooManyFlights { limit: 50 })), "{refused:?}");
        }
        let mut followers: Vec<_> = (0..50).map(|key| handle.join(key, pending)).collect();
        followers.iter_mut().for_each(assert_pending);
        assert_eq!(handle.stats().await.unwrap().waiters, 100);
    })
    .await;
}

#[tokio::test]
async fn every_end_of_a_flight_makes_room() {
    limited(async {
        let handle = flight_cap(1, 1);
        for round in 0..100 {
            match round % 4 {
                0 => drop(handle.join(1, || async { 7 }).await.unwrap()),
                1 => drop(handle.join(1, || async { panic_quietly("broken") }).await.unwrap_err()),
                2 => {
                    let mut abandoned = handle.join(1, pending);
                    assert_pending(&mut abandoned);
                    settle().await;
                }
                _ => {
                    let mut forgotten = handle.join(1, pending);
                    assert_pending(&mut forgotten);
                    handle.forget(1).await.unwrap();
                }
            }
            until(&handle, |stats| stats.flights == 0).await;
        }
        assert_eq!(handle.join(1, || async { 7 }).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_flight_counts_until_it_ends() {
    limited(async {
        let handle = flight_cap(1, 1);
        let mut old = handle.join(1, pending);
        assert_pending(&mut old);
        handle.forget(1).await.unwrap();
        assert!(has_too_many_flights(&handle.join(1, pending).await));
        drop(old);
        assert_eq!(handle.join(1, || async { 7 }).await.unwrap(), 7);
    })
    .await;
}

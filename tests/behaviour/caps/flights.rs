//! The cap on flights, over all shards.

use std::{future::pending, time::Duration};

use shardflight::{Coalescer, JoinError};

use super::{flight_cap, has_too_many_flights};
use crate::support::{
    Count, Wall, assert_pending, at_rest, inside, limited, panic_quietly, returning, settle, two_workers, until,
    watched,
};

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
                0 => drop(handle.join(1, returning(7)).await.unwrap()),
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
            at_rest(&handle).await;
        }
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
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
        at_rest(&handle).await;
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
    })
    .await;
}

#[test]
fn expired_work_that_holds_its_thread_keeps_its_place_in_the_budget() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().max_flights(2).max_flight_duration(Duration::from_millis(1));
        let handle = inside(&runtime, || builder.build().unwrap().handle());
        let mut openers = Vec::new();
        for key in 0..2 {
            let begun = Count::default();
            // Work that no thread has begun by then is dropped, and holds nothing.
            while begun.get() == 0 {
                let ((wall, opener), begun) = (Wall::new(), begun.clone());
                openers.push(opener);
                let hung = handle.blocking_join(key, move || {
                    begun.up();
                    wall.block();
                    7
                });
                // Or refused, as what was dropped has not been counted out yet.
                assert!(hung.is_err(), "{hung:?}");
            }
        }
        let healthy = handle.blocking_join(9, || 7);
        assert!(matches!(healthy, Err(JoinError::TooManyFlights { limit: 2 })), "{healthy:?}");
        let stats = runtime.block_on(handle.stats()).unwrap();
        assert_eq!((stats.flights, stats.lingering), (0, 2));
        drop(openers);
        runtime.block_on(at_rest(&handle));
        let patient = handle.with_max_flight_duration(Duration::from_mins(1)).unwrap();
        assert!(runtime.block_on(patient.join(9, returning(7))).is_ok());
    });
}

//! What is under way right now (G14).

use std::time::Duration;

use futures::future::pending;
use tokio::time::advance;

use crate::support::{Gate, assert_pending, at_rest, limited, one_shard, settle};

#[tokio::test]
async fn waiters_count_live_callers_leaders_included() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut leader = handle.join(1, pending);
        assert_pending(&mut leader);
        assert_eq!(handle.stats().await.unwrap().waiters, 1);
        let mut followers: Vec<_> = (0..99).map(|_| handle.join(1, pending)).collect();
        followers.iter_mut().for_each(assert_pending);
        assert_eq!(handle.stats().await.unwrap().waiters, 100);
        // Too few for the shard to look for them before it is asked.
        followers.truncate(90);
        assert_eq!(handle.stats().await.unwrap().waiters, 91);
        drop(leader);
        assert_eq!(handle.stats().await.unwrap().waiters, 90);
        drop(followers);
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.waiters, stats.flights), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn flights_count_keys_and_detached_flights() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let join = |key| {
            let gate = gate.clone();
            handle.join(key, move || async move {
                gate.pass().await;
                key
            })
        };
        let mut callers = vec![join(1), join(1), join(2)];
        callers.iter_mut().for_each(assert_pending);
        assert_eq!(handle.stats().await.unwrap().flights, 2);
        handle.forget(1).await.unwrap();
        assert_eq!(handle.stats().await.unwrap().flights, 2);
        callers.push(join(1));
        assert_pending(callers.last_mut().unwrap());
        assert_eq!(handle.stats().await.unwrap().flights, 3);
        gate.open();
        for caller in callers {
            caller.await.unwrap();
        }
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_flight_has_the_age_of_its_launch() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let mut old = {
            let gate = gate.clone();
            handle.join(1, move || async move {
                gate.pass().await;
                1
            })
        };
        assert_pending(&mut old);
        assert_eq!(handle.stats().await.unwrap().oldest_flight, Some(Duration::ZERO));
        advance(Duration::from_secs(3)).await;
        let mut young = handle.join(2, pending);
        assert_pending(&mut young);
        assert_eq!(handle.stats().await.unwrap().oldest_flight, Some(Duration::from_secs(3)));
        advance(Duration::from_secs(2)).await;
        assert_eq!(handle.stats().await.unwrap().oldest_flight, Some(Duration::from_secs(5)));
        gate.open();
        old.await.unwrap();
        settle().await;
        assert_eq!(handle.stats().await.unwrap().oldest_flight, Some(Duration::from_secs(2)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_makes_no_flight_younger() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut leader = handle.join(1, pending);
        assert_pending(&mut leader);
        settle().await;
        advance(Duration::from_secs(3)).await;
        let mut follower = handle.join(1, pending);
        assert_pending(&mut follower);
        drop(leader);
        assert_eq!(handle.stats().await.unwrap().oldest_flight, Some(Duration::from_secs(3)));
    })
    .await;
}

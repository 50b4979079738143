//! The cap on the callers of one flight.

use std::{future::pending, time::Duration};

use shardflight::JoinError;
use tokio::time::Instant;

use super::{has_too_many_waiters, waiter_cap};
use crate::support::{Gate, assert_pending, at_rest, limited, returning, settle};

#[tokio::test]
async fn one_caller_too_many_is_refused() {
    limited(async {
        let handle = waiter_cap(3);
        let gate = Gate::new();
        let mut leader = handle.join(1, gate.then(7));
        assert_pending(&mut leader);
        let mut followers = [handle.join(1, pending), handle.join(1, pending)];
        followers.iter_mut().for_each(assert_pending);
        let refused = handle.join(1, pending).await;
        assert!(matches!(refused, Err(JoinError::TooManyWaiters { limit: 3 })), "{refused:?}");
        gate.open();
        assert_eq!(leader.await.unwrap(), 7);
        for follower in followers {
            assert_eq!(follower.await.unwrap(), 7);
        }
        assert_eq!(at_rest(&handle).await.rejections, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cap_of_one_admits_the_leader() {
    limited(async {
        let handle = waiter_cap(1);
        let mut leader = handle.join(1, pending);
        assert_pending(&mut leader);
        let begun = Instant::now();
        assert!(has_too_many_waiters(&handle.join(1, pending).await));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let other_key = handle.join(2, returning(7)).await;
        assert_eq!(other_key.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_departure_makes_room_at_once() {
    limited(async {
        let handle = waiter_cap(100);
        let mut callers: Vec<_> = (0..100).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        for _ in 0..100 {
            // One of many, so few that only the cap makes the shard look for it.
            drop(callers.remove(0));
            let mut next = handle.join(1, pending);
            assert_pending(&mut next);
            assert!(has_too_many_waiters(&handle.join(1, pending).await));
            callers.push(next);
        }
        assert_eq!(handle.stats().await.unwrap().waiters, 100);
    })
    .await;
}

#[tokio::test]
async fn a_departed_leader_does_not_count() {
    limited(async {
        let handle = waiter_cap(1);
        let gate = Gate::new();
        let mut leader = handle.join(1, gate.then(7));
        assert_pending(&mut leader);
        settle().await;
        drop(leader);
        let mut follower = handle.join(1, pending);
        assert_pending(&mut follower);
        settle().await;
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn callers_of_a_forgotten_flight_do_not_count() {
    limited(async {
        let handle = waiter_cap(2);
        let mut old = [handle.join(1, pending), handle.join(1, pending)];
        old.iter_mut().for_each(assert_pending);
        handle.forget(1).await.unwrap();
        let mut new = [handle.join(1, pending), handle.join(1, pending)];
        new.iter_mut().for_each(assert_pending);
        assert!(has_too_many_waiters(&handle.join(1, pending).await));
        assert_eq!(handle.stats().await.unwrap().waiters, 4);
    })
    .await;
}

#[test]
fn an_error_names_its_limit() {
    let waiters = JoinError::TooManyWaiters { limit: 4_711 }.to_string();
    assert!(waiters.contains("4711") && waiters.contains("max_waiters_per_flight"), "{waiters}");
    let flights = JoinError::TooManyFlights { limit: 815 }.to_string();
    assert!(flights.contains("815") && flights.contains("max_flights"), "{flights}");
}

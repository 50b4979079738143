//! What is bounded is bounded exactly, counts the living alone, and says no at once (G7).

use std::{future::pending, sync::Arc};

use futures::future::join_all;
use shardflight::{Coalescer, Handle, JoinError, OnAbandon};
use tokio::sync::Barrier;

use crate::support::{Count, Gate, at_rest, embark, eventually, limited, poll_once, settle, until};

fn seats(limit: usize) -> Handle<i32, i32> {
    Coalescer::builder().shards(1).max_waiters_per_flight(limit).build().unwrap().handle()
}

fn flights(limit: usize, shards: usize) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(shards).max_flights(limit).on_abandon(OnAbandon::Abort);
    builder.build().unwrap().handle()
}

fn is_crowded(answer: &Result<i32, JoinError>) -> bool {
    matches!(answer, Err(JoinError::TooManyWaiters { .. }))
}

fn is_busy(answer: &Result<i32, JoinError>) -> bool {
    matches!(answer, Err(JoinError::TooManyFlights { .. }))
}

#[tokio::test]
async fn a_flight_takes_as_many_callers_as_it_may_and_not_one_more() {
    limited(async {
        let handle = seats(3);
        let gate = Gate::new();
        let mut leader = handle.join(1, gate.then(7));
        embark(&mut leader);
        let mut followers = [handle.join(1, pending), handle.join(1, pending)];
        followers.iter_mut().for_each(embark);
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

#[tokio::test]
async fn a_seat_for_one_is_the_leaders() {
    limited(async {
        let handle = seats(1);
        let mut leader = handle.join(1, pending);
        embark(&mut leader);
        assert!(is_crowded(&handle.join(1, pending).await));
        let other_key = handle.join(2, || async { 7 }).await;
        assert_eq!(other_key.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_seat_is_free_as_soon_as_its_caller_has_left() {
    limited(async {
        let handle = seats(100);
        let mut callers: Vec<_> = (0..100).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(embark);
        for _ in 0..100 {
            // One of many: nobody would look for it yet, if it weren't for the cap.
            drop(callers.remove(0));
            let mut next = handle.join(1, pending);
            embark(&mut next);
            assert!(is_crowded(&handle.join(1, pending).await));
            callers.push(next);
        }
        assert_eq!(handle.stats().await.unwrap().waiters, 100);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_has_left_takes_no_seat() {
    limited(async {
        let handle = seats(1);
        let gate = Gate::new();
        let mut leader = handle.join(1, gate.then(7));
        embark(&mut leader);
        settle().await;
        drop(leader);
        let mut follower = handle.join(1, pending);
        embark(&mut follower);
        settle().await;
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn the_callers_of_a_forgotten_flight_take_no_seats_of_the_next_one() {
    limited(async {
        let handle = seats(2);
        let mut old = [handle.join(1, pending), handle.join(1, pending)];
        old.iter_mut().for_each(embark);
        handle.forget(1).await.unwrap();
        let mut new = [handle.join(1, pending), handle.join(1, pending)];
        new.iter_mut().for_each(embark);
        assert!(is_crowded(&handle.join(1, pending).await));
        assert_eq!(handle.stats().await.unwrap().waiters, 4);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_that_join_and_leave_at_once_leave_no_seat_taken() {
    limited(async {
        let handle = seats(10_000);
        let mut stays = handle.join(1, pending);
        embark(&mut stays);
        for _ in 0..3 {
            let mut herd: Vec<_> = (1..10_000).map(|_| handle.join(1, pending)).collect();
            herd.iter_mut().for_each(embark);
            assert!(is_crowded(&handle.join(1, pending).await));
            drop(herd);
        }
        assert_eq!(handle.stats().await.unwrap().waiters, 1);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_flights_that_come_and_go_at_once_leave_the_whole_budget() {
    limited(async {
        let handle = flights(10_000, 4);
        for _ in 0..3 {
            let mut herd: Vec<_> = (0..10_000).map(|key| handle.join(key, pending)).collect();
            herd.iter_mut().for_each(embark);
            until(&handle, |stats| stats.flights == 10_000).await;
            assert!(is_busy(&handle.join(10_000, pending).await));
            drop(herd);
            until(&handle, |stats| stats.flights == 0).await;
        }
    })
    .await;
}

#[tokio::test]
async fn flights_are_counted_over_all_shards() {
    limited(async {
        let handle = flights(50, 8);
        let mut callers: Vec<_> = (0..50).map(|key| handle.join(key, pending)).collect();
        callers.iter_mut().for_each(embark);
        let stats = until(&handle, |stats| stats.flights == 50).await;
        assert!(stats.per_shard().iter().filter(|shard| shard.flights > 0).count() > 1);
        for key in 50..100 {
            let refused = handle.join(key, pending).await;
            assert!(matches!(refused, Err(JoinError::TooManyFlights { limit: 50 })), "{refused:?}");
        }
        let mut followers: Vec<_> = (0..50).map(|key| handle.join(key, pending)).collect();
        followers.iter_mut().for_each(embark);
        assert_eq!(handle.stats().await.unwrap().waiters, 100);
    })
    .await;
}

#[tokio::test]
async fn every_way_in_which_a_flight_ends_gives_its_place_back() {
    limited(async {
        let handle = flights(1, 1);
        for round in 0..100 {
            match round % 4 {
                0 => drop(handle.join(1, || async { 7 }).await.unwrap()),
                1 => drop(handle.join(1, || async { crate::support::panic_quietly("broken") }).await.unwrap_err()),
                2 => {
                    let mut abandoned = handle.join(1, pending);
                    embark(&mut abandoned);
                    settle().await;
                }
                _ => {
                    let mut forgotten = handle.join(1, pending);
                    embark(&mut forgotten);
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
async fn a_forgotten_flight_keeps_its_place_until_it_ends() {
    limited(async {
        let handle = flights(1, 1);
        let mut old = handle.join(1, pending);
        embark(&mut old);
        handle.forget(1).await.unwrap();
        assert!(is_busy(&handle.join(1, pending).await));
        drop(old);
        assert_eq!(handle.join(1, || async { 7 }).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_comes_at_once() {
    limited(async {
        let handle = seats(1);
        let mut leader = handle.join(1, pending);
        embark(&mut leader);
        let mut refused = handle.join(1, pending);
        embark(&mut refused);
        settle().await;
        assert!(matches!(poll_once(&mut refused), std::task::Poll::Ready(answer) if is_crowded(&answer)));
    })
    .await;
}

#[test]
fn the_errors_say_which_limit_was_met() {
    let crowded = JoinError::TooManyWaiters { limit: 4_711 }.to_string();
    assert!(crowded.contains("4711") && crowded.contains("max_waiters_per_flight"), "{crowded}");
    let busy = JoinError::TooManyFlights { limit: 815 }.to_string();
    assert!(busy.contains("815") && busy.contains("max_flights"), "{busy}");
}

/// Everybody at once, from both threads; those who get in stay until all have their answer.
async fn storm(handle: Handle<i32, i32>, callers: i32, same_key: bool) -> (usize, usize) {
    let (gate, start, refused) =
        (Gate::new(), Arc::new(Barrier::new(usize::try_from(callers).unwrap())), Count::default());
    let tasks: Vec<_> = (0..callers)
        .map(|n| {
            let (handle, gate, start, refused) = (handle.clone(), gate.clone(), Arc::clone(&start), refused.clone());
            tokio::spawn(async move {
                start.wait().await;
                let key = if same_key { 1 } else { n };
                let answer = handle.join(key, move || async move {
                    gate.pass().await;
                    n
                });
                let answer = answer.await;
                if answer.is_err() {
                    refused.up();
                }
                answer.is_ok()
            })
        })
        .collect();
    until(&handle, |stats| stats.joins == u64::try_from(callers).unwrap()).await;
    let stats = handle.stats().await.unwrap();
    eventually(|| refused.get() == usize::try_from(stats.rejections).unwrap()).await;
    gate.open();
    let admitted = join_all(tasks).await.into_iter().filter(|admitted| *admitted.as_ref().unwrap()).count();
    at_rest(&handle).await;
    (admitted, refused.get())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_waiters_than_the_cap_get_in_from_many_threads() {
    limited(async {
        for _ in 0..10 {
            assert_eq!(storm(seats(100), 500, true).await, (100, 400));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_flights_than_the_cap_start_on_many_shards() {
    limited(async {
        for _ in 0..10 {
            assert_eq!(storm(flights(100, 4), 500, false).await, (100, 400));
        }
    })
    .await;
}

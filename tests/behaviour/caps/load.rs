//! Caps under many callers at once.

use std::{future::pending, sync::Arc};

use futures::future::join_all;
use shardflight::{Coalescer, Handle, JoinError, OnAbandon};
use tokio::{sync::Barrier, task::yield_now};

use super::{flight_cap, has_too_many_flights, has_too_many_waiters, waiter_cap};
use crate::support::{Count, Gate, assert_pending, at_rest, eventually, limited, poll_once, until};

#[tokio::test]
async fn bursts_of_callers_that_leave_make_room_again() {
    limited(async {
        let handle = waiter_cap(10_000);
        let mut stays = handle.join(1, pending);
        assert_pending(&mut stays);
        for _ in 0..3 {
            let mut burst: Vec<_> = (1..10_000).map(|_| handle.join(1, pending)).collect();
            burst.iter_mut().for_each(assert_pending);
            assert!(has_too_many_waiters(&handle.join(1, pending).await));
            drop(burst);
        }
        assert_eq!(handle.stats().await.unwrap().waiters, 1);
    })
    .await;
}

#[tokio::test]
async fn bursts_of_flights_make_room_again() {
    limited(async {
        let handle = flight_cap(10_000, 4);
        for _ in 0..3 {
            let mut burst: Vec<_> = (0..10_000).map(|key| handle.join(key, pending)).collect();
            burst.iter_mut().for_each(assert_pending);
            until(&handle, |stats| stats.flights == 10_000).await;
            assert!(has_too_many_flights(&handle.join(10_000, pending).await));
            drop(burst);
            at_rest(&handle).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_come_and_go_leave_all_caps_free() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(4).max_waiters_per_flight(100).max_flights(5);
        let handle = builder.on_abandon(OnAbandon::Abort).build().unwrap().handle();
        let callers = (0..10_000).map(|number| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let mut join = handle.join(number % 10, pending);
                for _ in 0..number % 4 {
                    if poll_once(&mut join).is_ready() {
                        return;
                    }
                    yield_now().await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        at_rest(&handle).await;
        // There is room again for as many callers of as many flights.
        let gate = Gate::new();
        let mut joins = Vec::new();
        for key in 0..5 {
            for _ in 0..100 {
                let mut join = handle.join(key, gate.then(7));
                assert_pending(&mut join);
                joins.push(join);
            }
        }
        let stats = until(&handle, |stats| stats.waiters == 500).await;
        assert_eq!(stats.flights, 5);
        gate.open();
        assert!(join_all(joins).await.into_iter().all(|answer| answer.unwrap() == 7));
    })
    .await;
}

/// Joins from both threads at once; admitted callers stay until all refusals are out. How many were admitted, and how
/// many refused with that error.
async fn admitted_and_refused(
    handle: Handle<i32, i32>,
    callers: i32,
    same_key: bool,
    has_expected_error: fn(&Result<i32, JoinError>) -> bool,
) -> (usize, usize) {
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
                if has_expected_error(&answer) {
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
async fn the_waiter_cap_holds_exactly_on_two_threads() {
    limited(async {
        for _ in 0..10 {
            assert_eq!(admitted_and_refused(waiter_cap(100), 500, true, has_too_many_waiters).await, (100, 400));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flight_cap_holds_exactly_on_several_shards() {
    limited(async {
        for _ in 0..10 {
            assert_eq!(admitted_and_refused(flight_cap(100, 4), 500, false, has_too_many_flights).await, (100, 400));
        }
    })
    .await;
}

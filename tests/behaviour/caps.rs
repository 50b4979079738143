//! Bounded: caps hold exactly, over live callers alone, and answer at once (G7).

use std::future::pending;

use futures::future::join_all;
use shardflight::{Coalescer, Handle, JoinError, OnAbandon};

use crate::support::{Gate, at_rest, embark, limited, until};

fn capped(waiters: usize, flights: usize, on_abandon: OnAbandon) -> Handle<u32, u32> {
    let builder = Coalescer::builder().shards(4).max_waiters_per_flight(waiters).max_flights(flights);
    builder.on_abandon(on_abandon).build().unwrap().handle()
}

#[tokio::test]
async fn one_caller_too_many_is_refused_with_the_limit() {
    limited(async {
        let handle = capped(3, 10, OnAbandon::Finish);
        let gate = Gate::new();
        let mut joins: Vec<_> = (0..3)
            .map(|_| {
                let passed = gate.pass();
                handle.join(1_u32, || async move {
                    passed.await;
                    7
                })
            })
            .collect();
        joins.iter_mut().for_each(embark);
        let refused = handle.join(1_u32, || async { 8 }).await.unwrap_err();
        assert!(matches!(refused, JoinError::TooManyWaiters { limit: 3 }));
        assert!(refused.to_string().contains('3'), "{refused}");
        gate.open();
        assert!(join_all(joins).await.into_iter().all(|answer| answer.unwrap() == 7));
        assert_eq!(at_rest(&handle).await.rejections, 1);
    })
    .await;
}

#[tokio::test]
async fn one_flight_too_many_is_refused_whichever_shard_it_is_on() {
    limited(async {
        let handle = capped(10, 50, OnAbandon::Abort);
        let mut joins: Vec<_> = (0..200_u32).map(|key| handle.join(key, pending)).collect();
        for join in &mut joins {
            let _ = crate::support::poll_once(join);
        }
        let stats = until(&handle, |stats| stats.joins == 200).await;
        assert_eq!((stats.flights, stats.rejections), (50, 150));
        let refused = handle.join(1_000_u32, || async { 7 }).await.unwrap_err();
        assert!(matches!(refused, JoinError::TooManyFlights { limit: 50 }));
        assert!(refused.to_string().contains("50"), "{refused}");
        drop(joins);
        until(&handle, |stats| stats.flights == 0).await;
        assert_eq!(handle.join(1_u32, || async { 7 }).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_seat_is_free_as_soon_as_its_caller_has_left() {
    limited(async {
        let handle = capped(2, 10, OnAbandon::Finish);
        let mut stays = handle.join(1_u32, pending);
        embark(&mut stays);
        // Each one leaves before the next one comes, so none of them is one too many.
        for _ in 0..1_000 {
            let mut passes = handle.join(1_u32, pending);
            embark(&mut passes);
            until(&handle, |stats| stats.waiters == 2).await;
            drop(passes);
        }
        assert_eq!(until(&handle, |stats| stats.waiters == 1).await.rejections, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_coming_and_going_leave_no_seat_and_no_flight_occupied() {
    limited(async {
        let handle = capped(100, 5, OnAbandon::Abort);
        let callers = (0..10_000_u32).map(|number| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let mut join = handle.join(number % 10, pending);
                for _ in 0..number % 4 {
                    if crate::support::poll_once(&mut join).is_ready() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        let stats = until(&handle, |stats| stats.flights == 0).await;
        assert_eq!((stats.waiters, stats.joins), (0, stats.executions + stats.coalesced + stats.rejections));
        // Everything is free again, to the last seat of the last flight.
        let gate = Gate::new();
        let mut joins = Vec::new();
        for key in 0..5_u32 {
            for _ in 0..100 {
                let mut join = handle.join(key, gate.then(7));
                embark(&mut join);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_at_once_never_exceed_the_cap() {
    limited(async {
        let handle = capped(10, 10, OnAbandon::Finish);
        let gate = Gate::new();
        let callers: Vec<_> = (0..1_000)
            .map(|_| {
                let (handle, passed) = (handle.clone(), gate.pass());
                tokio::spawn(async move {
                    let work = || async move {
                        passed.await;
                        7
                    };
                    handle.join(1_u32, work).await
                })
            })
            .collect();
        until(&handle, |stats| stats.joins == 1_000).await;
        gate.open();
        let answers: Vec<_> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
        assert!(answers.into_iter().filter_map(Result::err).all(|e| matches!(e, JoinError::TooManyWaiters { .. })));
    })
    .await;
}

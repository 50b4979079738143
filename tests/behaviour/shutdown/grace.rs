//! Which flights a shutdown waits for, and how long.

use std::{future::pending, time::Duration};

use futures::{executor::block_on, future::join_all};
use shardflight::{Coalescer, JoinError};
use tokio::{
    runtime,
    time::{Instant, sleep, timeout},
};

use super::{SECOND, coalescer, is_closed};
use crate::support::{
    Count, Gate, assert_pending, eventually, inside, limited, poll_once, settle, two_workers, until, watched,
};

#[tokio::test(start_paused = true)]
async fn flights_end_in_time_or_are_cut() {
    limited(async {
        let (coalescer, drops) = (coalescer(4), Count::default());
        let handle = coalescer.handle();
        let mut quick: Vec<_> = (0..10)
            .map(|key| {
                let held = drops.on_drop();
                handle.join(key, move || async move {
                    let _held = held;
                    sleep(SECOND).await;
                    key
                })
            })
            .collect();
        let mut hung: Vec<_> = (10..15)
            .map(|key| {
                let held = drops.on_drop();
                handle.join(key, move || async move {
                    let _held = held;
                    pending().await
                })
            })
            .collect();
        quick.iter_mut().for_each(assert_pending);
        hung.iter_mut().for_each(assert_pending);
        until(&handle, |stats| stats.flights == 15).await;
        let begun = Instant::now();
        let (shutdown, quick, hung) = tokio::join!(coalescer.shutdown(3 * SECOND), join_all(quick), join_all(hung));
        assert_eq!((shutdown.finished, shutdown.cut), (10, 5));
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert!(quick.into_iter().zip(0..).all(|(answer, key)| answer.unwrap() == key));
        assert!(hung.iter().all(is_closed));
        eventually(|| drops.get() == 15).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_with_the_last_flight() {
    limited(async {
        let coalescer = coalescer(4);
        let handle = coalescer.handle();
        let flights: Vec<_> = (0..20)
            .map(|key| {
                tokio::spawn(handle.join(key, move || async move {
                    sleep(SECOND).await;
                    key
                }))
            })
            .collect();
        until(&handle, |stats| stats.flights == 20).await;
        let begun = Instant::now();
        let shutdown = coalescer.shutdown(Duration::from_hours(1)).await;
        assert_eq!((shutdown.finished, shutdown.cut), (20, 0));
        assert_eq!(begun.elapsed().as_secs(), 1);
        assert!(join_all(flights).await.into_iter().zip(0..).all(|(answer, key)| answer.unwrap().unwrap() == key));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_grace_beyond_the_clock_lets_every_flight_finish() {
    for grace in [Duration::MAX, Duration::from_secs(1 << 40)] {
        let coalescer = coalescer(2);
        let flight = tokio::spawn(coalescer.handle().join(1, || async {
            sleep(100_000 * SECOND).await;
            7
        }));
        until(&coalescer.handle(), |stats| stats.flights == 1).await;
        let shutdown = timeout(200_000 * SECOND, coalescer.shutdown(grace)).await.unwrap();
        assert_eq!(shutdown.finished, 1);
        assert_eq!(flight.await.unwrap().unwrap(), 7);
    }
}

#[test]
fn the_grace_needs_no_timers() {
    watched(|| {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let coalescer = inside(&runtime, || coalescer(1));
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        assert_eq!(block_on(coalescer.shutdown(Duration::from_millis(10))).cut, 1);
    });
}

#[test]
fn another_runtime_may_shut_down() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let coalescer = inside(&home, || coalescer(2));
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        let shutdown = abroad.block_on(coalescer.shutdown(Duration::from_millis(10)));
        assert_eq!((shutdown.finished, shutdown.cut), (0, 1));
        assert!(is_closed(&abroad.block_on(join)));
    });
}

#[tokio::test(start_paused = true)]
async fn a_flights_own_deadline_still_counts() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(2 * SECOND);
        let coalescer = builder.build().unwrap();
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        assert_eq!(coalescer.shutdown(9 * SECOND).await.finished, 1);
        assert!(matches!(join.await, Err(JoinError::TimedOut { .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn forgotten_flights_are_cut_like_others() {
    limited(async {
        let coalescer = coalescer(1);
        let handle = coalescer.handle();
        let mut joins = [handle.join(1, pending), handle.join(2, pending)];
        joins.iter_mut().for_each(assert_pending);
        handle.forget(1).await.unwrap();
        assert_eq!(coalescer.shutdown(SECOND).await.cut, 2);
        assert!(join_all(joins).await.iter().all(is_closed));
    })
    .await;
}

#[tokio::test]
async fn abandoned_flights_have_their_grace() {
    limited(async {
        let coalescer = coalescer(4);
        let (handle, gate, ends) = (coalescer.handle(), Gate::new(), Count::default());
        let (passed, ended) = (gate.pass(), ends.clone());
        let mut leader = handle.join(1, || async move {
            passed.await;
            ended.up();
            7
        });
        assert_pending(&mut leader);
        until(&handle, |stats| stats.flights == 1).await;
        drop(leader);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::MAX));
        assert_pending(&mut shutdown);
        settle().await;
        assert!(poll_once(&mut shutdown).is_pending());
        gate.open();
        assert_eq!(shutdown.await.finished, 1);
        assert_eq!(ends.get(), 1);
    })
    .await;
}

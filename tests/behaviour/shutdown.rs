//! An orderly end.

use std::{future::pending, time::Duration};

use futures::future::join_all;
use shardflight::{Closed, Coalescer, Handle, JoinError};
use tokio::{runtime::Handle as Runtime, task::yield_now, time::Instant};

use crate::support::{Count, Gate, embark, eventually, limited, poll_once, settle, until};

fn coalescer() -> Coalescer<u32, u32> {
    Coalescer::builder().shards(4).no_flight_deadline().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn flights_that_land_in_time_are_finished_and_the_rest_is_cut() {
    let (coalescer, drops) = (coalescer(), Count::default());
    let handle = coalescer.handle();
    let mut quick: Vec<_> = (0..10_u32)
        .map(|key| {
            handle.join(key, move || async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                key
            })
        })
        .collect();
    let mut hung: Vec<_> = (10..15_u32)
        .map(|key| {
            let held = drops.on_drop();
            handle.join(key, move || async move {
                let _held = held;
                pending().await
            })
        })
        .collect();
    quick.iter_mut().chain([]).for_each(embark);
    hung.iter_mut().for_each(embark);
    until(&handle, |stats| stats.flights == 15).await;
    let start = Instant::now();
    let (shutdown, quick, hung) =
        tokio::join!(coalescer.shutdown(Duration::from_secs(3)), join_all(quick), join_all(hung));
    assert_eq!((shutdown.finished, shutdown.cut), (10, 5));
    assert!(start.elapsed() >= Duration::from_secs(3));
    assert!(quick.into_iter().zip(0..).all(|(answer, key)| answer.unwrap() == key));
    assert!(hung.into_iter().all(|answer| matches!(answer, Err(JoinError::Closed))));
    eventually(|| drops.get() == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_when_the_last_flight_has_landed() {
    let coalescer = coalescer();
    let handle = coalescer.handle();
    let mut join = handle.join(1_u32, || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        7
    });
    embark(&mut join);
    let start = Instant::now();
    let (shutdown, answer) = tokio::join!(coalescer.shutdown(Duration::from_hours(1)), join);
    assert_eq!((shutdown.finished, shutdown.cut, answer.unwrap()), (1, 0, 7));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn joins_are_refused_while_flights_still_land_and_afterwards() {
    limited(async {
        let coalescer = coalescer();
        let (handle, gate) = (coalescer.handle(), Gate::new());
        let mut last = handle.join(1_u32, gate.then(7));
        embark(&mut last);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::MAX));
        embark(&mut shutdown);
        for key in [1_u32, 2] {
            assert!(matches!(handle.join(key, || async { 8 }).await, Err(JoinError::Closed)));
        }
        gate.open();
        assert_eq!(last.await.unwrap(), 7);
        shutdown.await;
        assert!(matches!(handle.join(1_u32, || async { 8 }).await, Err(JoinError::Closed)));
        assert_eq!(handle.stats().await.unwrap_err(), Closed);
        assert_eq!(handle.forget(1_u32).await.unwrap_err(), Closed);
        assert_eq!(handle.forget_all().await.unwrap_err(), Closed);
        assert_eq!(handle.reset_stats().await.unwrap_err(), Closed);
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_of_zero_cuts_at_once() {
    limited(async {
        let coalescer = coalescer();
        let mut join = coalescer.handle().join(1_u32, pending);
        embark(&mut join);
        let shutdown = coalescer.shutdown(Duration::ZERO).await;
        assert_eq!((shutdown.finished, shutdown.cut), (0, 1));
        assert!(matches!(join.await, Err(JoinError::Closed)));
    })
    .await;
}

#[tokio::test]
async fn shutting_down_twice_finds_nothing_left() {
    limited(async {
        let coalescer = coalescer();
        let mut join = coalescer.handle().join(1_u32, pending);
        embark(&mut join);
        assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 1);
        assert_eq!(coalescer.shutdown(Duration::MAX).await, shardflight::Shutdown::default());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_several_shutdowns_at_once_the_earliest_deadline_counts_and_all_are_told_the_same() {
    let coalescer = coalescer();
    let mut join = coalescer.handle().join(1_u32, pending);
    embark(&mut join);
    let start = Instant::now();
    let (patient, hasty, _) =
        tokio::join!(coalescer.shutdown(Duration::from_mins(1)), coalescer.shutdown(Duration::from_secs(1)), join);
    assert_eq!((patient.cut, hasty.cut), (1, 1));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_shutdown_goes_on_when_nobody_waits_for_it() {
    limited(async {
        let coalescer = coalescer();
        let handle = coalescer.handle();
        let mut join = handle.join(1_u32, pending);
        embark(&mut join);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::from_millis(1)));
        embark(&mut shutdown);
        drop(shutdown);
        assert!(matches!(join.await, Err(JoinError::Closed)));
        assert!(matches!(handle.join(2_u32, || async { 7 }).await, Err(JoinError::Closed)));
    })
    .await;
}

#[tokio::test]
async fn what_a_shutdown_still_gives_time_is_cut_when_the_last_handle_goes() {
    limited(async {
        let (coalescer, dropped) = (coalescer(), Count::default());
        let token = dropped.on_drop();
        let mut join = coalescer.handle().join(1_u32, move || async move {
            let _token = token;
            pending().await
        });
        embark(&mut join);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::MAX));
        embark(&mut shutdown);
        settle().await;
        drop((shutdown, join));
        settle().await;
        assert_eq!(dropped.get(), 0);
        // Nobody would be left to cut it at the shutdown's deadline.
        drop(coalescer);
        eventually(|| dropped.get() == 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_left_after_a_shutdown_though_handles_are() {
    limited(async {
        let before = Runtime::current().metrics().num_alive_tasks();
        let coalescer = coalescer();
        let handle = coalescer.handle();
        let mut join = handle.join(1_u32, pending);
        embark(&mut join);
        coalescer.shutdown(Duration::ZERO).await;
        eventually(|| Runtime::current().metrics().num_alive_tasks() == before).await;
        drop(handle);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_is_answered_who_joins_while_it_shuts_down() {
    limited(async {
        for _ in 0..20 {
            let coalescer = coalescer();
            let callers: Vec<_> = (0..500_u32)
                .map(|number| {
                    let handle = coalescer.handle();
                    tokio::spawn(async move {
                        let work = move || async move {
                            tokio::task::yield_now().await;
                            number % 7
                        };
                        handle.join(number % 7, work).await
                    })
                })
                .collect();
            let shutdown = coalescer.shutdown(Duration::from_secs(5));
            let (_, answers) = tokio::join!(shutdown, join_all(callers));
            for (answer, number) in answers.into_iter().zip(0_u32..) {
                match answer.unwrap() {
                    Ok(value) => assert_eq!(value, number % 7),
                    Err(error) => assert!(matches!(error, JoinError::Closed), "{error}"),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn abandoned_flights_are_given_time_too() {
    limited(async {
        let coalescer = coalescer();
        let (handle, gate, ends) = (coalescer.handle(), Gate::new(), Count::default());
        let (passed, ended) = (gate.pass(), ends.clone());
        let mut leader = handle.join(1_u32, || async move {
            passed.await;
            ended.up();
            7
        });
        embark(&mut leader);
        until(&handle, |stats| stats.flights == 1).await;
        drop(leader);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::MAX));
        embark(&mut shutdown);
        settle().await;
        assert!(poll_once(&mut shutdown).is_pending());
        gate.open();
        assert_eq!(shutdown.await.finished, 1);
        assert_eq!(ends.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_bypassed_join_is_refused_too() {
    limited(async {
        let coalescer = coalescer();
        let handle = coalescer.handle();
        handle.set_enabled(false);
        coalescer.shutdown(Duration::ZERO).await;
        assert!(matches!(handle.join(1_u32, || async { 7 }).await, Err(JoinError::Closed)));
    })
    .await;
}

/// A question may come into the mailbox beside its closing. Where in between is up to the threads, so there are many.
#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn questions_asked_beside_a_shutdown_are_answered() {
    async fn asks_until_closed(handle: Handle<u32, u32>, forgets: bool, asked: Count) {
        loop {
            asked.up();
            let closed = if forgets { handle.forget(7_u32).await.is_err() } else { handle.stats().await.is_err() };
            if closed {
                return;
            }
            yield_now().await;
        }
    }
    limited(async {
        for round in 0..300 {
            let (coalescer, asked) = (coalescer(), Count::default());
            let askers: Vec<_> = (0..12)
                .map(|n| tokio::spawn(asks_until_closed(coalescer.handle(), n % 2 == 0, asked.clone())))
                .collect();
            eventually(|| asked.get() > 30 + round % 100).await;
            coalescer.shutdown(Duration::ZERO).await;
            join_all(askers).await.into_iter().for_each(|asker| asker.expect("no panic reaches an asker"));
        }
    })
    .await;
}

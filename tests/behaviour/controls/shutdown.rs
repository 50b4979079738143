//! Shutting down: in peace while there is time, by force afterwards, and nobody is left without an answer (G5).

use std::{future::pending, time::Duration};

use futures::future::{join_all, ready};
use shardflight::{Coalescer, JoinError};
use tokio::{
    runtime::Handle as Runtime,
    time::{Instant, advance, sleep, timeout},
};

use crate::support::{Count, Gate, embark, eventually, inside, limited, poll_once, settle, two_workers, watched};

const SECOND: Duration = Duration::from_secs(1);

fn coalescer(shards: usize) -> Coalescer<i32, i32> {
    Coalescer::builder().shards(shards).no_flight_deadline().build().unwrap()
}

fn is_closed(answer: &Result<i32, JoinError>) -> bool {
    matches!(answer, Err(JoinError::Closed))
}

#[tokio::test(start_paused = true)]
async fn flights_that_end_in_time_are_finished() {
    limited(async {
        let coalescer = coalescer(4);
        let handle = coalescer.handle();
        let flying: Vec<_> = (0..20)
            .map(|key| {
                tokio::spawn(handle.join(key, move || async move {
                    sleep(SECOND).await;
                    key
                }))
            })
            .collect();
        settle().await;
        let begun = Instant::now();
        let shutdown = coalescer.shutdown(20 * SECOND).await;
        assert_eq!((shutdown.finished, shutdown.cut), (20, 0));
        assert_eq!(begun.elapsed().as_secs(), 1);
        for (key, answer) in join_all(flying).await.into_iter().enumerate() {
            assert_eq!(usize::try_from(answer.unwrap().unwrap()).unwrap(), key);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn flights_that_take_too_long_are_cut_and_their_work_is_dropped() {
    limited(async {
        let (coalescer, dropped) = (coalescer(4), Count::default());
        let handle = coalescer.handle();
        let mut flying: Vec<_> = (0..20)
            .map(|key| {
                let token = dropped.on_drop();
                handle.join(key, move || async move {
                    let _token = token;
                    if key % 4 == 0 { key } else { pending().await }
                })
            })
            .collect();
        flying.iter_mut().for_each(embark);
        let begun = Instant::now();
        let shutdown = coalescer.shutdown(3 * SECOND).await;
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert_eq!((shutdown.finished, shutdown.cut), (5, 15));
        for (key, answer) in join_all(flying).await.into_iter().enumerate() {
            assert!(if key % 4 == 0 { answer.is_ok() } else { is_closed(&answer) }, "{key}: {answer:?}");
        }
        eventually(|| dropped.get() == 20).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn joins_made_meanwhile_are_refused_even_for_keys_that_fly() {
    limited(async {
        let coalescer = coalescer(1);
        let handle = coalescer.handle();
        let gate = Gate::new();
        let mut flying = handle.join(1, gate.then(7));
        embark(&mut flying);
        let mut shutdown = Box::pin(coalescer.shutdown(20 * SECOND));
        assert!(poll_once(&mut shutdown).is_pending());
        settle().await;
        assert!(is_closed(&handle.join(1, || ready(8)).await));
        assert!(is_closed(&handle.join(2, || ready(8)).await));
        assert!(poll_once(&mut flying).is_pending());
        gate.open();
        assert_eq!(flying.await.unwrap(), 7);
        assert_eq!(shutdown.await.finished, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_books_balance_while_it_is_shutting_down() {
    limited(async {
        let coalescer = coalescer(1);
        let handle = coalescer.handle();
        let gate = Gate::new();
        let mut flying = handle.join(1, gate.then(7));
        embark(&mut flying);
        let mut shutdown = Box::pin(coalescer.shutdown(20 * SECOND));
        assert!(poll_once(&mut shutdown).is_pending());
        settle().await;
        assert!(is_closed(&handle.join(2, || ready(8)).await));
        // A join that begins after the shutdown did reaches no shard, and is in no book.
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.executions, stats.rejections, stats.flights), (1, 1, 0, 1));
        assert!(handle.forget(1).await.unwrap());
        gate.open();
        assert_eq!(flying.await.unwrap(), 7);
        assert_eq!(shutdown.await.finished, 1);
    })
    .await;
}

#[tokio::test]
async fn everything_is_closed_afterwards() {
    limited(async {
        let coalescer = coalescer(4);
        let handle = coalescer.handle();
        coalescer.shutdown(SECOND).await;
        for key in 0..50 {
            assert!(is_closed(&handle.join(key, || ready(7)).await));
        }
        assert!(handle.forget(1).await.is_err());
        assert!(handle.forget_all().await.is_err());
        assert!(handle.stats().await.is_err());
        assert!(handle.reset_stats().await.is_err());
        assert!(handle.inspect(1).await.is_err());
        assert!(coalescer.inspect(1).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn shutting_down_again_has_nothing_left_to_do() {
    limited(async {
        let coalescer = coalescer(4);
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 1);
        for again in [Duration::ZERO, SECOND, Duration::MAX] {
            let shutdown = coalescer.shutdown(again).await;
            assert_eq!((shutdown.finished, shutdown.cut), (0, 0));
        }
        assert!(is_closed(&flying.await));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_several_at_once_the_most_hurried_counts_and_all_are_told_the_same() {
    limited(async {
        let coalescer = coalescer(1);
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        let begun = Instant::now();
        let several = [9, 2, 5].map(|seconds| coalescer.shutdown(seconds * SECOND));
        for shutdown in join_all(several).await {
            assert_eq!((shutdown.finished, shutdown.cut), (0, 1));
        }
        assert_eq!(begun.elapsed().as_secs(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hurried_second_call_shortens_a_patient_first() {
    limited(async {
        let coalescer = coalescer(1);
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        let mut patient = Box::pin(coalescer.shutdown(Duration::MAX));
        assert!(poll_once(&mut patient).is_pending());
        settle().await;
        advance(SECOND).await;
        assert!(poll_once(&mut patient).is_pending());
        assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 1);
        assert_eq!(patient.await.cut, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn with_all_the_time_there_is_every_flight_finishes() {
    for time in [Duration::MAX, Duration::from_secs(1 << 40)] {
        let coalescer = coalescer(2);
        let flying = tokio::spawn(coalescer.handle().join(1, || async {
            sleep(100_000 * SECOND).await;
            7
        }));
        settle().await;
        let shutdown = timeout(200_000 * SECOND, coalescer.shutdown(time)).await.unwrap();
        assert_eq!(shutdown.finished, 1);
        assert_eq!(flying.await.unwrap().unwrap(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flights_own_deadline_goes_on_counting() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(2 * SECOND);
        let coalescer = builder.build().unwrap();
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        assert_eq!(coalescer.shutdown(9 * SECOND).await.finished, 1);
        assert!(matches!(flying.await, Err(JoinError::TimedOut { .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn forgotten_flights_are_waited_for_and_cut_like_others() {
    limited(async {
        let coalescer = coalescer(1);
        let handle = coalescer.handle();
        let mut flying = [handle.join(1, pending), handle.join(2, pending)];
        flying.iter_mut().for_each(embark);
        handle.forget(1).await.unwrap();
        assert_eq!(coalescer.shutdown(SECOND).await.cut, 2);
        for answer in join_all(flying).await {
            assert!(is_closed(&answer));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_does_not_stop_it() {
    limited(async {
        let coalescer = coalescer(4);
        let handle = coalescer.handle();
        let mut flying = handle.join(1, pending);
        embark(&mut flying);
        let mut shutdown = Box::pin(coalescer.shutdown(SECOND));
        assert!(poll_once(&mut shutdown).is_pending());
        drop(shutdown);
        let begun = Instant::now();
        assert!(is_closed(&flying.await));
        assert_eq!(begun.elapsed().as_secs(), 1);
        assert!(is_closed(&handle.join(2, || ready(7)).await));
    })
    .await;
}

#[tokio::test]
async fn an_unpolled_shutdown_does_nothing() {
    limited(async {
        let coalescer = coalescer(1);
        drop(coalescer.shutdown(Duration::ZERO));
        assert_eq!(coalescer.handle().join(1, || ready(7)).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn no_task_is_left_though_handles_are() {
    limited(async {
        let coalescer = coalescer(8);
        let handle = coalescer.handle();
        let mut flying: Vec<_> = (0..100).map(|key| handle.join(key, pending)).collect();
        flying.iter_mut().for_each(embark);
        settle().await;
        let metrics = Runtime::current().metrics();
        assert_eq!(metrics.num_alive_tasks(), 108);
        assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 100);
        eventually(|| metrics.num_alive_tasks() == 0).await;
        assert!(is_closed(&handle.join(1, || ready(7)).await));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_that_joins_meanwhile_is_refused_and_ends() {
    limited(async {
        let coalescer = coalescer(2);
        let (handle, gate) = (coalescer.handle(), Gate::new());
        let passed = gate.pass();
        let mut flying = coalescer.handle().join(1, move || async move {
            passed.await;
            i32::from(is_closed(&handle.join(2, || ready(7)).await))
        });
        embark(&mut flying);
        let mut shutdown = Box::pin(coalescer.shutdown(20 * SECOND));
        assert!(poll_once(&mut shutdown).is_pending());
        settle().await;
        gate.open();
        assert_eq!(flying.await.unwrap(), 1);
        assert_eq!(shutdown.await.finished, 1);
    })
    .await;
}

#[test]
fn everyone_is_answered_under_load() {
    watched(|| {
        let runtime = two_workers();
        runtime.block_on(async {
            for round in 0..10 {
                let coalescer = coalescer(4);
                let (answered, begun) = (Count::default(), Count::default());
                let callers: Vec<_> = (0..20)
                    .map(|n| {
                        let (handle, answered, begun) = (coalescer.handle(), answered.clone(), begun.clone());
                        tokio::spawn(async move {
                            for key in 1.. {
                                begun.up();
                                let work = async move || {
                                    if key % 7 == 0 { pending().await } else { n }
                                };
                                let shared = handle.join(key % 50, work).await;
                                answered.up();
                                if is_closed(&shared) {
                                    break;
                                }
                            }
                        })
                    })
                    .collect();
                eventually(|| begun.get() >= 20 + 10 * round).await;
                coalescer.shutdown(Duration::from_millis(round as u64)).await;
                for caller in callers {
                    caller.await.unwrap();
                }
                assert_eq!(answered.get(), begun.get());
            }
        });
    });
}

#[test]
fn it_may_be_called_from_another_runtime() {
    watched(|| {
        let (home, abroad) = (two_workers(), two_workers());
        let coalescer = inside(&home, || coalescer(2));
        let mut flying = coalescer.handle().join(1, pending);
        embark(&mut flying);
        let shutdown = abroad.block_on(coalescer.shutdown(Duration::from_millis(10)));
        assert_eq!((shutdown.finished, shutdown.cut), (0, 1));
        assert!(is_closed(&abroad.block_on(flying)));
    });
}

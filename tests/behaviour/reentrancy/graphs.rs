//! Cycles that are hard to see, and waits that only look like one.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all, pending};
use shardflight::{Builder, Coalescer, Freshness, Handle, OnExpiry};
use tokio::time::{sleep, timeout};

use super::{Joiner, chain, joiner, reentrant};
use crate::support::{Gate, assert_pending, at_rest, in_a_child_process, limited, returning, settle};

type Numbers = Handle<u64, u64>;

const SECOND: Duration = Duration::from_secs(1);

fn numbers(shards: usize) -> Numbers {
    Coalescer::builder().shards(shards).no_flight_deadline().build().unwrap().handle()
}

/// Joins the two numbers before at once, so that there are exponentially many ways from a number to the first.
fn fibonacci(handle: Numbers, n: u64) -> BoxFuture<'static, u64> {
    async move {
        if n < 2 {
            return n;
        }
        let (inner, again) = (handle.clone(), handle.clone());
        let one = handle.join(n - 1, move || fibonacci(inner, n - 1)).boxed();
        let two = handle.join(n - 2, move || fibonacci(again, n - 2)).boxed();
        let (one, two) = tokio::join!(one, two);
        one.unwrap().wrapping_add(two.unwrap())
    }
    .boxed()
}

#[tokio::test]
async fn exponentially_many_ways_take_no_longer_than_the_waits_that_they_are_made_of() {
    limited(async {
        let handle = numbers(2);
        let inner = handle.clone();
        assert_eq!(handle.join(90_u64, move || fibonacci(inner, 90)).await.unwrap(), 2_880_067_194_370_816_120);
        let inner = handle.clone();
        assert!(handle.join(2_000_u64, move || fibonacci(inner, 2_000)).await.is_ok());
        assert_eq!(at_rest(&handle).await.rejections, 0);
    })
    .await;
}

/// Each key of a layer joins all keys of the next.
fn layer(handle: Numbers, layers: u64) -> BoxFuture<'static, u64> {
    const WIDTH: u64 = 20;
    async move {
        if layers == 0 {
            return 1;
        }
        let mut joins = Vec::new();
        for key in 0..WIDTH {
            let inner = handle.clone();
            joins.push(handle.join(layers * WIDTH + key, move || layer(inner, layers - 1)).boxed());
        }
        join_all(joins).await.into_iter().map(|answer| answer.unwrap() % 1_000).sum()
    }
    .boxed()
}

#[tokio::test]
async fn layers_that_join_all_of_the_next_are_no_cycle() {
    limited(async {
        for shards in [1, 2, 16] {
            let handle = numbers(shards);
            layer(handle.clone(), 5).await;
            let stats = at_rest(&handle).await;
            assert_eq!((stats.executions, stats.rejections), (100, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn a_cycle_across_two_coalescers_is_found() {
    limited(async {
        let (one, two) = (joiner(1), joiner(2));
        let (again, inner) = (one.clone(), two.clone());
        let work = move || async move { inner.join(2, move || chain(again, vec![1])).await.unwrap() };
        assert_eq!(one.join(1, work).await.unwrap(), reentrant());
        assert_eq!((at_rest(&one).await.rejections, at_rest(&two).await.rejections), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_cycle_through_a_join_that_was_polled_before_its_work_is_found() {
    limited(async {
        let handle = joiner(2);
        let (gate, inner) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut early = handle.join(2, move || async move {
            passed.await;
            chain(inner, vec![1]).await
        });
        assert_pending(&mut early);
        let mut first = handle.join(1, move || async move { early.await.unwrap() });
        assert_pending(&mut first);
        settle().await;
        gate.open();
        assert_eq!(first.await.unwrap(), reentrant());
        at_rest(&handle).await;
    })
    .await;
}

/// By itself, as all tests of a process share a graph: where another one's thread has it, a join learns of its cycle some
/// turns later, and in here that would be too late to be refused.
#[test]
fn a_join_that_work_hands_to_a_task_is_no_longer_the_works() {
    in_a_child_process("reentrancy::graphs::a_join_that_work_hands_to_a_task_is_no_longer_the_works", || async {
        let handle = joiner(2);
        let (gate, inner) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut second = handle.join(2, {
            let inner = handle.clone();
            move || async move {
                passed.await;
                chain(inner, vec![1]).await
            }
        });
        assert_pending(&mut second);
        let first = handle.join(1, move || async move {
            let mut late = inner.join(2, pending);
            assert_pending(&mut late);
            // As after a timeout: the work goes on without it.
            let late = tokio::spawn(late);
            settle().await;
            gate.open();
            settle().await;
            drop(late);
            Ok(7)
        });
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(7), Ok(7)));
        assert_eq!(at_rest(&handle).await.rejections, 0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_pending_flight_that_has_begun_beside_the_one_before_waits_for_it_no_longer() {
    let without_limit: fn(Builder<_, _>) -> Builder<_, _> = |builder| builder;
    for configure in [without_limit, |builder| builder.max_executions(2)] {
        let builder = Coalescer::builder().shards(2).on_expiry(OnExpiry::Detach).max_flight_duration(SECOND);
        let handle: Joiner = configure(builder).build().unwrap().handle();
        let (patient, inner) = (handle.clone().with_max_flight_duration(60 * SECOND).unwrap(), handle.clone());
        let fresh = handle.clone().with_freshness(Freshness::StartedAfterCall);
        let mut overdue = handle.join(1, move || async move {
            sleep(2 * SECOND).await;
            chain(inner, vec![2]).await
        });
        assert_pending(&mut overdue);
        // Its work waits for a flight of key 1 that begins when the first one's time is over, and then not for that one any more.
        let begins_beside = || async {
            sleep(3 * SECOND).await;
            Ok(8)
        };
        let mut waits = patient.join(2, move || async move { fresh.join(1, begins_beside).await.unwrap() });
        assert_pending(&mut waits);
        let (overdue, waits) = limited(async { tokio::join!(overdue, waits) }).await;
        assert_eq!((overdue.unwrap(), waits.unwrap()), (Ok(8), Ok(8)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_work_of_a_flight_waits_for_outlasts_what_it_waited_for_while_it_was_pending() {
    limited(async {
        let builder = Coalescer::builder().shards(2).on_expiry(OnExpiry::Detach).max_flight_duration(SECOND);
        let handle: Joiner = builder.build().unwrap().handle();
        let patient = handle.clone().with_max_flight_duration(60 * SECOND).unwrap();
        let fresh = handle.clone().with_freshness(Freshness::StartedAfterCall);
        let inner = handle.clone();
        let mut first = handle.join(1, move || async move {
            sleep(SECOND * 9 / 5).await;
            chain(inner, vec![1]).await
        });
        assert_pending(&mut first);
        let mut follows = handle.join(1, returning(Ok(0)));
        assert_pending(&mut follows);
        // The work of the next flight of key 1 waits for the first. What it waited for before is over with the join that gives up.
        let mut gives_up = patient.join(2, move || async move {
            let next = fresh.join(1, move || async move { follows.await.unwrap() });
            timeout(SECOND * 3 / 2, next).await.map_or(Ok(8), Result::unwrap)
        });
        assert_pending(&mut gives_up);
        sleep(SECOND * 6 / 5).await;
        let mut stays = handle.join(1, returning(Ok(0)));
        assert_pending(&mut stays);
        let answers = tokio::join!(first, gives_up, stays);
        assert_eq!(answers, (Ok(reentrant()), Ok(Ok(8)), Ok(reentrant())));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cycle_through_a_permit_that_the_flight_before_a_pending_one_has_is_found() {
    limited(async {
        let builder = Coalescer::builder().shards(2).on_expiry(OnExpiry::Detach).max_flight_duration(SECOND);
        let handle: Joiner = builder.max_executions(1).build().unwrap().handle();
        let (patient, inner) = (handle.clone().with_max_flight_duration(60 * SECOND).unwrap(), handle.clone());
        let fresh = handle.clone().with_freshness(Freshness::StartedAfterCall);
        let mut waits = patient.join(2, move || async move { fresh.join(1, returning(Ok(8))).await.unwrap() });
        assert_pending(&mut waits);
        // Waits for the permit, which it is lent. The flight after it begins when its time is over, and waits for the permit in turn.
        let mut overdue = handle.join(1, move || async move {
            sleep(2 * SECOND).await;
            chain(inner, vec![2]).await
        });
        assert_pending(&mut overdue);
        let (overdue, waits) = tokio::join!(overdue, waits);
        assert_eq!((overdue.unwrap(), waits.unwrap()), (reentrant(), Ok(8)));
    })
    .await;
}

#[tokio::test]
async fn a_cycle_through_what_a_pending_flight_waits_for_is_found() {
    limited(async {
        let handle = joiner(2);
        let fresh = handle.clone().with_freshness(Freshness::StartedAfterCall);
        let (gate, inner) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut running = handle.join(2, move || async move {
            passed.await;
            chain(inner, vec![1]).await
        });
        assert_pending(&mut running);
        // Its work waits for the one that is running, and so for a flight that joins it.
        let mut first = handle.join(1, move || async move { fresh.join(2, returning(Ok(8))).await.unwrap() });
        assert_pending(&mut first);
        settle().await;
        gate.open();
        assert_eq!((first.await.unwrap(), running.await.unwrap()), (Ok(8), reentrant()));
        assert_eq!(at_rest(&handle).await.rejections, 1);
    })
    .await;
}

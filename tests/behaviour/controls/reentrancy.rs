//! Work that waits for itself is told so instead of waiting for ever (G12).
//!
//! No deadline helps out here: what isn't found out hangs.

use std::{collections::hash_map::DefaultHasher, future::pending, hash::BuildHasherDefault, sync::Arc};

use futures::future::{BoxFuture, FutureExt, ready};
use shardflight::{Coalescer, Handle, JoinError};
use tokio::sync::Barrier;

use crate::support::{Gate, at_rest, embark, inside, limited, settle, two_workers, until, watched};

/// What a join came to: whether somebody in it was told that it waits for itself.
type Told = Result<i32, String>;
type Circular = Handle<i32, Told>;

fn circular(shards: usize) -> Circular {
    Coalescer::builder().shards(shards).no_flight_deadline().build().unwrap().handle()
}

/// Joins the first key with work that joins the rest one in the other, and hands on what the innermost one got.
fn chain(handle: Circular, keys: Vec<i32>) -> BoxFuture<'static, Told> {
    async move {
        let Some((&first, rest)) = keys.split_first() else { return Ok(7) };
        let (inner, rest) = (handle.clone(), rest.to_vec());
        match handle.join(first, move || chain(inner, rest)).await {
            Ok(told) => told,
            Err(error @ JoinError::Reentrant) => Err(error.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }
    .boxed()
}

fn reentrant() -> Told {
    Err(JoinError::Reentrant.to_string())
}

#[tokio::test]
async fn work_that_joins_its_own_key_is_told() {
    limited(async {
        let handle = circular(1);
        assert_eq!(chain(handle.clone(), vec![1, 1]).await, reentrant());
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (2, 1, 0, 1));
        assert_eq!(chain(handle, vec![1]).await, Ok(7));
    })
    .await;
}

#[tokio::test]
async fn two_that_wait_for_each_other_are_told() {
    limited(async {
        for shards in [1, 8] {
            let handle = circular(shards);
            assert_eq!(chain(handle.clone(), vec![1, 2, 1]).await, reentrant());
            let stats = at_rest(&handle).await;
            assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (3, 2, 0, 1));
        }
    })
    .await;
}

#[tokio::test]
async fn long_circles_across_shards_are_told() {
    limited(async {
        for length in [3, 10, 60] {
            let handle = circular(8);
            let keys: Vec<_> = (0..length).chain([0]).collect();
            assert_eq!(chain(handle.clone(), keys).await, reentrant());
            assert_eq!(at_rest(&handle).await.executions, u64::try_from(length).unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn a_circle_that_does_not_go_through_the_first_is_told() {
    limited(async {
        let handle = circular(4);
        assert_eq!(chain(handle.clone(), vec![1, 2, 3, 2]).await, reentrant());
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn nesting_without_a_circle_is_nothing_special() {
    limited(async {
        let handle = circular(4);
        assert_eq!(chain(handle.clone(), (0..500).collect()).await, Ok(7));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.rejections), (500, 0));
    })
    .await;
}

#[tokio::test]
async fn two_ways_to_the_same_key_are_no_circle() {
    limited(async {
        let handle = circular(4);
        let inner = handle.clone();
        let both = move || async move {
            let (left, right) = tokio::join!(chain(inner.clone(), vec![2, 4]), chain(inner, vec![3, 4]));
            left.and(right)
        };
        assert_eq!(handle.join(1, both).await.unwrap(), Ok(7));
        assert_eq!(at_rest(&handle).await.rejections, 0);
    })
    .await;
}

/// `n` flights, each with a leader of its own, that come to wait for the next one all at once.
async fn ring(handle: &Circular, n: i32) -> Vec<Told> {
    let everybody_flies = Arc::new(Barrier::new(usize::try_from(n).unwrap()));
    let flights = (0..n).map(|key| {
        let (inner, everybody_flies) = (handle.clone(), Arc::clone(&everybody_flies));
        let work = move || async move {
            everybody_flies.wait().await;
            chain(inner, vec![(key + 1) % n]).await
        };
        tokio::spawn(handle.join(key, work))
    });
    let flights: Vec<_> = flights.collect();
    let mut told = Vec::new();
    for flight in flights {
        told.push(flight.await.unwrap().unwrap());
    }
    told
}

#[tokio::test]
async fn flights_led_by_different_callers_make_a_circle_too() {
    limited(async {
        for n in [2, 3, 20] {
            let handle = circular(4);
            for told in ring(&handle, n).await {
                assert_eq!(told, reentrant());
            }
            at_rest(&handle).await;
            assert_eq!(chain(handle, vec![1, 2]).await, Ok(7));
        }
    })
    .await;
}

#[test]
fn circles_that_close_on_two_threads_at_once_are_always_found() {
    watched(|| {
        two_workers().block_on(async {
            let handle = circular(4);
            for _ in 0..300 {
                for told in ring(&handle, 2).await.into_iter().chain(ring(&handle, 5).await) {
                    assert_eq!(told, reentrant());
                }
            }
            at_rest(&handle).await;
        });
    });
}

#[tokio::test]
async fn the_other_callers_of_the_key_still_get_its_result() {
    limited(async {
        let handle = circular(2);
        let (gate, inner) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut leader = handle.join(1, move || async move {
            passed.await;
            let told = chain(inner, vec![2, 1]).await;
            assert_eq!(told, reentrant());
            Ok(7)
        });
        let mut follower = handle.join(1, || ready(Ok(8)));
        embark(&mut leader);
        embark(&mut follower);
        settle().await;
        gate.open();
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (Ok(7), Ok(7)));
    })
    .await;
}

#[tokio::test]
async fn callers_beside_the_one_that_closed_the_circle_stay_aboard() {
    limited(async {
        let handle = circular(2);
        let (gate, inner) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut first = handle.join(1, move || async move {
            let told = chain(inner, vec![2, 1]).await;
            passed.await;
            told
        });
        embark(&mut first);
        let stats = until(&handle, |stats| stats.rejections == 1).await;
        assert_eq!((stats.flights, stats.waiters), (1, 1));
        let mut second = handle.join(1, || ready(Ok(8)));
        embark(&mut second);
        assert_eq!(handle.stats().await.unwrap().waiters, 2);
        gate.open();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (reentrant(), reentrant()));
    })
    .await;
}

#[tokio::test]
async fn a_task_that_work_spawns_is_a_caller_like_any_other() {
    limited(async {
        let handle = circular(1);
        let inner = handle.clone();
        let work = move || async move {
            let spawned = tokio::spawn(inner.join(1, || ready(Ok(8))));
            // Not waiting for it is what makes this legal.
            drop(inner);
            let follower = async move { spawned.await.unwrap().unwrap() };
            let follower = tokio::spawn(follower);
            settle().await;
            assert!(!follower.is_finished(), "turned away, or led a flight of its own");
            Ok(7)
        };
        assert_eq!(handle.join(1, work).await.unwrap(), Ok(7));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.coalesced, stats.rejections), (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn work_may_join_its_key_once_it_has_forgotten_it() {
    limited(async {
        let handle = circular(1);
        let inner = handle.clone();
        let work = move || async move {
            assert!(inner.forget(1).await.unwrap());
            inner.join(1, || ready(Ok(8))).await.unwrap()
        };
        assert_eq!(handle.join(1, work).await.unwrap(), Ok(8));
        assert_eq!(at_rest(&handle).await.executions, 2);
    })
    .await;
}

#[tokio::test]
async fn the_same_key_of_another_coalescer_is_another_key() {
    limited(async {
        // Twins: key, hash, shard and number of the flight are the same.
        let twin = || {
            let hasher = BuildHasherDefault::<DefaultHasher>::default();
            let builder = Coalescer::<i32, i32>::builder().shards(1).no_flight_deadline().hasher(hasher);
            builder.build().unwrap().handle()
        };
        let (handle, other, gate) = (twin(), twin(), Gate::new());
        let passed = gate.pass();
        let mut others = other.join(1, move || async move {
            passed.await;
            8
        });
        embark(&mut others);
        settle().await;
        let inner = other.clone();
        let mut join = handle.join(1, move || async move { inner.join(1, || ready(9)).await.unwrap() });
        embark(&mut join);
        settle().await;
        gate.open();
        assert_eq!((join.await.unwrap(), others.await.unwrap()), (8, 8));
    })
    .await;
}

#[tokio::test]
async fn work_that_joined_and_gave_up_waits_for_nobody() {
    limited(async {
        let handle = circular(2);
        let (inner, regret) = (handle.clone(), Gate::new());
        let regretted = regret.pass();
        let mut second = handle.join(2, {
            let inner = handle.clone();
            move || async move {
                regretted.await;
                chain(inner, vec![1]).await
            }
        });
        let mut first = handle.join(1, move || async move {
            let mut regretted = inner.join(2, pending);
            embark(&mut regretted);
            settle().await;
            drop(regretted);
            regret.open();
            settle().await;
            Ok(7)
        });
        // So many that one's leaving isn't worth a look.
        let mut others: Vec<_> = (0..10).map(|_| handle.join(2, pending)).collect();
        embark(&mut second);
        others.iter_mut().for_each(embark);
        embark(&mut first);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(7), Ok(7)));
    })
    .await;
}

#[test]
fn blocking_work_that_joins_its_own_key_is_told() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || circular(2));
        let (inner, other) = (handle.clone(), handle.clone());
        let told = handle.blocking_join(1, move || {
            assert!(matches!(inner.blocking_join(1, || Ok(0)), Err(JoinError::Reentrant)));
            let round = move || {
                let own = inner.blocking_join(1, || Ok(0));
                own.unwrap_or_else(|error| Err(error.to_string()))
            };
            other.blocking_join(2, round).unwrap()
        });
        assert_eq!(told.unwrap(), reentrant());
        assert_eq!(handle.blocking_join(1, || Ok(7)).unwrap(), Ok(7));
    });
}

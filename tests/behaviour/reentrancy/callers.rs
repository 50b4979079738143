//! Which joins are refused, and what other callers of the flight get.

use std::{collections::hash_map::DefaultHasher, hash::BuildHasherDefault};

use shardflight::{Coalescer, JoinError};

use super::{chain, joiner, reentrant};
use crate::support::{Gate, assert_pending, at_rest, inside, limited, returning, settle, two_workers, until, watched};

#[tokio::test]
async fn the_other_callers_get_what_work_makes_of_the_error() {
    limited(async {
        for cycle in [vec![1], vec![2, 1]] {
            let handle = joiner(2);
            let (gate, inner) = (Gate::new(), handle.clone());
            let passed = gate.pass();
            let mut leader = handle.join(1, move || async move {
                passed.await;
                assert_eq!(chain(inner, cycle).await, reentrant());
                Ok(7)
            });
            let mut follower = handle.join(1, returning(Ok(8)));
            assert_pending(&mut leader);
            assert_pending(&mut follower);
            settle().await;
            gate.open();
            assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (Ok(7), Ok(7)));
            assert_eq!(handle.join(1, returning(Ok(10))).await.unwrap(), Ok(10));
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_join_removes_no_other_caller() {
    limited(async {
        let handle = joiner(2);
        let (gate, inner) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut first = handle.join(1, move || async move {
            let outcome = chain(inner, vec![2, 1]).await;
            passed.await;
            outcome
        });
        assert_pending(&mut first);
        let stats = until(&handle, |stats| stats.rejections == 1).await;
        assert_eq!((stats.flights, stats.waiters), (1, 1));
        let mut second = handle.join(1, returning(Ok(8)));
        assert_pending(&mut second);
        assert_eq!(handle.stats().await.unwrap().waiters, 2);
        gate.open();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (reentrant(), reentrant()));
    })
    .await;
}

#[tokio::test]
async fn a_task_spawned_by_work_is_an_ordinary_caller() {
    limited(async {
        let handle = joiner(1);
        let inner = handle.clone();
        let work = move || async move {
            let spawned = tokio::spawn(inner.join(1, returning(Ok(8))));
            // The work does not wait for it, so there is no cycle.
            drop(inner);
            let follower = async move { spawned.await.unwrap().unwrap() };
            let follower = tokio::spawn(follower);
            settle().await;
            assert!(!follower.is_finished(), "refused, or leads a flight of its own");
            Ok(7)
        };
        assert_eq!(handle.join(1, work).await.unwrap(), Ok(7));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.coalesced, stats.rejections), (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn work_may_forget_its_key_and_join_it() {
    limited(async {
        let handle = joiner(1);
        let inner = handle.clone();
        let work = move || async move {
            assert!(inner.forget(1).await.unwrap());
            inner.join(1, returning(Ok(8))).await.unwrap()
        };
        assert_eq!(handle.join(1, work).await.unwrap(), Ok(8));
        assert_eq!(at_rest(&handle).await.executions, 2);
    })
    .await;
}

#[tokio::test]
async fn work_may_join_its_key_of_another_coalescer() {
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
        assert_pending(&mut others);
        settle().await;
        let inner = other.clone();
        let mut join = handle.join(1, move || async move { inner.join(1, returning(9)).await.unwrap() });
        assert_pending(&mut join);
        settle().await;
        gate.open();
        assert_eq!((join.await.unwrap(), others.await.unwrap()), (8, 8));
    })
    .await;
}

#[test]
fn blocking_work_that_joins_its_own_key_is_refused() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || joiner(2));
        let (inner, other) = (handle.clone(), handle.clone());
        let outcome = handle.blocking_join(1, move || {
            assert!(matches!(inner.blocking_join(1, || Ok(0)), Err(JoinError::Reentrant)));
            let cycle = move || {
                let own = inner.blocking_join(1, || Ok(0));
                own.unwrap_or_else(|error| Err(error.to_string()))
            };
            other.blocking_join(2, cycle).unwrap()
        });
        assert_eq!(outcome.unwrap(), reentrant());
        assert_eq!(handle.blocking_join(1, || Ok(7)).unwrap(), Ok(7));
    });
}

//! Which waits are a cycle, and which are not.

use std::{future::pending, sync::Arc};

use tokio::sync::Barrier;

use super::{Joiner, Outcome, chain, joiner, reentrant};
use crate::support::{Gate, assert_pending, at_rest, limited, settle, step, two_workers, watched};

#[tokio::test]
async fn work_that_joins_its_own_key_is_refused() {
    limited(async {
        let handle = joiner(1);
        assert_eq!(chain(handle.clone(), vec![1, 1]).await, reentrant());
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (2, 1, 0, 1));
        assert_eq!(chain(handle, vec![1]).await, Ok(7));
    })
    .await;
}

#[tokio::test]
async fn a_cycle_of_two_keys_is_found() {
    limited(async {
        for shards in [1, 8] {
            let handle = joiner(shards);
            assert_eq!(chain(handle.clone(), vec![1, 2, 1]).await, reentrant());
            let stats = at_rest(&handle).await;
            assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.rejections), (3, 2, 0, 1));
        }
    })
    .await;
}

#[tokio::test]
async fn long_cycles_across_shards_are_found() {
    limited(async {
        for length in [3, 10, 60, 1_000] {
            let handle = joiner(8);
            let keys: Vec<_> = (0..length).chain([0]).collect();
            assert_eq!(chain(handle.clone(), keys).await, reentrant());
            assert_eq!(at_rest(&handle).await.executions, u64::try_from(length).unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn a_cycle_beside_the_first_key_is_found() {
    limited(async {
        let handle = joiner(4);
        assert_eq!(chain(handle.clone(), vec![1, 2, 3, 2]).await, reentrant());
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn deep_nesting_is_no_cycle() {
    limited(async {
        let handle = joiner(4);
        let deep = || chain(handle.clone(), (0..500).collect());
        // Beside each other, so that one follows where the other leads.
        assert_eq!(tokio::join!(deep(), deep()), (Ok(7), Ok(7)));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.rejections), (500, 0));
    })
    .await;
}

#[tokio::test]
async fn two_ways_to_the_same_key_are_no_cycle() {
    limited(async {
        let handle = joiner(4);
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

/// `n` flights with a leader each, whose works join the next one once all have started.
async fn ring(handle: &Joiner, n: i32) -> Vec<Outcome> {
    let all_started = Arc::new(Barrier::new(usize::try_from(n).unwrap()));
    let flights = (0..n).map(|key| {
        let (inner, all_started) = (handle.clone(), Arc::clone(&all_started));
        let work = move || async move {
            all_started.wait().await;
            chain(inner, vec![(key + 1) % n]).await
        };
        tokio::spawn(handle.join(key, work))
    });
    let flights: Vec<_> = flights.collect();
    let mut outcomes = Vec::new();
    for flight in flights {
        outcomes.push(flight.await.unwrap().unwrap());
    }
    outcomes
}

#[tokio::test]
async fn a_cycle_of_different_leaders_is_found() {
    limited(async {
        for n in [2, 3, 20] {
            let handle = joiner(4);
            for outcome in ring(&handle, n).await {
                assert_eq!(outcome, reentrant(), "the answer travels back along the cycle");
            }
            assert_eq!(at_rest(&handle).await.rejections, 1);
            assert_eq!(chain(handle, vec![1, 2]).await, Ok(7));
        }
    })
    .await;
}

#[test]
fn cycles_closed_on_two_threads_at_once_are_found() {
    watched(|| {
        two_workers().block_on(async {
            let handle = joiner(4);
            for _ in 0..300 {
                step();
                for outcome in ring(&handle, 2).await.into_iter().chain(ring(&handle, 5).await) {
                    assert_eq!(outcome, reentrant());
                }
            }
            at_rest(&handle).await;
        });
    });
}

#[tokio::test]
async fn work_that_left_its_join_is_in_no_cycle() {
    limited(async {
        let handle = joiner(2);
        let (inner, gave_up) = (handle.clone(), Gate::new());
        let passed = gave_up.pass();
        let mut second = handle.join(2, {
            let inner = handle.clone();
            move || async move {
                passed.await;
                chain(inner, vec![1]).await
            }
        });
        let mut first = handle.join(1, move || async move {
            let mut left = inner.join(2, pending);
            assert_pending(&mut left);
            settle().await;
            drop(left);
            gave_up.open();
            settle().await;
            Ok(7)
        });
        // So many that one departure alone makes no shard look for it.
        let mut others: Vec<_> = (0..10).map(|_| handle.join(2, pending)).collect();
        assert_pending(&mut second);
        others.iter_mut().for_each(assert_pending);
        assert_pending(&mut first);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(7), Ok(7)));
    })
    .await;
}

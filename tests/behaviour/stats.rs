//! Honest counters (G14). What is under way is in `gauges`.

use std::future::pending;

use futures::future::join_all;
use shardflight::{Coalescer, JoinError, Stats};

use crate::support::{
    Gate, assert_pending, at_rest, limited, one_aborting_shard, one_shard, panic_quietly, returning, settle, until,
};

/// Every counter there is, in the order of their declaration.
fn counters(stats: &Stats) -> [u64; 11] {
    [
        stats.joins,
        stats.executions,
        stats.coalesced,
        stats.errors,
        stats.panics,
        stats.timeouts,
        stats.rejections,
        stats.departures,
        stats.aborts,
        stats.forgets,
        stats.bypasses,
    ]
}

#[tokio::test]
async fn a_new_coalescer_has_counted_nothing() {
    limited(async {
        let stats = one_shard::<i32, i32>().stats().await.unwrap();
        assert_eq!(counters(&stats), [0; 11]);
        assert_eq!((stats.flights, stats.waiters, stats.oldest_flight), (0, 0, None));
        assert!(stats.coalescing_rate().abs() < f64::EPSILON);
    })
    .await;
}

#[test]
fn default_stats_are_all_zero() {
    let stats = Stats::default();
    assert_eq!(counters(&stats), [0; 11]);
    assert!(stats.per_shard().is_empty());
    assert!(stats.coalescing_rate().abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_leader_is_never_counted_as_coalesced() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        for round in 1..=10 {
            handle.join(1, returning(7)).await.unwrap();
            let stats = handle.stats().await.unwrap();
            assert_eq!((stats.joins, stats.executions, stats.coalesced), (round, round, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn the_coalescing_rate_is_the_share_of_joins_that_cost_no_execution() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        join_all((0..4).map(|_| handle.join(1, returning(7)))).await;
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.executions, stats.coalesced), (4, 1, 3));
        assert!((stats.coalescing_rate() - 0.75).abs() < f64::EPSILON);
    })
    .await;
}

#[tokio::test]
async fn errors_and_panics_are_counted_once_per_flight() {
    limited(async {
        let handle = one_shard::<i32, Result<i32, ()>>();
        join_all((0..3).map(|_| handle.try_join(1, returning(Err(()))))).await;
        join_all((0..4).map(|_| handle.try_join(1, || async { panic_quietly("broken") }))).await;
        join_all((0..5).map(|_| handle.try_join(1, returning(Ok(7))))).await;
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.executions, stats.errors, stats.panics), (12, 3, 1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_departure_is_a_caller_that_left_before_its_answer() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let mut callers: Vec<_> = (0..5)
            .map(|_| {
                let gate = gate.clone();
                handle.join(1, move || async move {
                    gate.pass().await;
                    7
                })
            })
            .collect();
        callers.iter_mut().for_each(assert_pending);
        settle().await;
        callers.truncate(3);
        assert_eq!(handle.stats().await.unwrap().departures, 2);
        gate.open();
        join_all(callers).await;
        assert_eq!(at_rest(&handle).await.departures, 2);
    })
    .await;
}

#[tokio::test]
async fn an_abort_is_counted_once_and_as_nothing_else() {
    limited(async {
        let handle = one_aborting_shard::<i32, i32>();
        let mut callers: Vec<_> = (0..3).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        settle().await;
        drop(callers);
        at_rest(&handle).await;
        settle().await;
        let stats = at_rest(&handle).await;
        assert_eq!(counters(&stats), [3, 1, 2, 0, 0, 0, 0, 3, 1, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn every_join_is_counted_once() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().shards(3).max_waiters_per_flight(5).max_flights(2);
        let (handle, gate) = (builder.build().unwrap().handle(), Gate::new());
        let mut callers: Vec<_> = (0..8).map(|_| tokio::spawn(handle.join(1, gate.then(7)))).collect();
        until(&handle, |stats| stats.joins == 8).await;
        let inner = handle.clone();
        let reentrant = handle.join(2, || async move { i32::from(inner.join(2, pending).await.is_err()) });
        assert_eq!(reentrant.await.unwrap(), 1);
        callers.push(tokio::spawn(handle.join(3, gate.then(7))));
        until(&handle, |stats| stats.flights == 2).await;
        assert!(matches!(handle.join(4, pending).await, Err(JoinError::TooManyFlights { limit: 2 })));
        handle.set_enabled(false);
        join_all((0..4).map(|key| handle.join(key, returning(7)))).await;
        gate.open();
        let answers = join_all(callers).await;
        assert_eq!(answers.into_iter().filter(|answer| answer.as_ref().unwrap().is_ok()).count(), 6);
        let stats = at_rest(&handle).await;
        let parts = (stats.executions, stats.coalesced, stats.rejections, stats.bypasses);
        assert_eq!((stats.joins, parts), (16, (3, 4, 5, 4)));
        assert_eq!(stats.per_shard().iter().map(|shard| shard.joins).sum::<u64>(), 16);
    })
    .await;
}

#[tokio::test]
async fn the_sum_is_the_sum_of_the_shards() {
    limited(async {
        let handle = Coalescer::<i32, i32>::builder().shards(8).build().unwrap().handle();
        join_all((0..500).map(|n| handle.join(n % 250, returning(n)))).await;
        let mut waiting: Vec<_> = (0..100).map(|key| handle.join(key, pending)).collect();
        waiting.iter_mut().for_each(assert_pending);
        handle.forget(0).await.unwrap();
        settle().await;
        let stats = handle.stats().await.unwrap();
        let shards = stats.per_shard();
        assert_eq!(shards.len(), 8);
        for (counter, sum) in counters(&stats).into_iter().enumerate() {
            assert_eq!(shards.iter().map(|shard| counters(shard)[counter]).sum::<u64>(), sum);
        }
        assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.forgets), (600, 350, 250, 1));
        assert_eq!(shards.iter().map(|shard| shard.flights).sum::<usize>(), 100);
        assert_eq!(shards.iter().map(|shard| shard.waiters).sum::<usize>(), 100);
        assert_eq!(shards.iter().filter_map(|shard| shard.oldest_flight).max(), stats.oldest_flight);
        assert!(shards.iter().all(|shard| shard.joins > 0), "500 keys left a shard out: {shards:?}");
        assert!(shards.iter().all(|shard| shard.per_shard().is_empty()));
    })
    .await;
}

#[tokio::test]
async fn reset_takes_the_counters_and_leaves_the_gauges() {
    limited(async {
        let handle = Coalescer::<i32, Result<i32, ()>>::builder().shards(4).build().unwrap().handle();
        let _ = handle.try_join(1, returning(Err(()))).await;
        let _ = handle.try_join(1, || async { panic_quietly("broken") }).await;
        let mut waiting: Vec<_> = (0..20).map(|key| handle.join(key, pending)).collect();
        waiting.iter_mut().for_each(assert_pending);
        handle.forget(0).await.unwrap();
        waiting.truncate(15);
        until(&handle, |stats| stats.departures == 5).await;
        handle.reset_stats().await.unwrap();
        let stats = handle.stats().await.unwrap();
        assert_eq!(counters(&stats), [0; 11]);
        assert_eq!((stats.flights, stats.waiters), (20, 15));
        assert!(stats.oldest_flight.is_some());
        handle.join(99, returning(Ok(7))).await.unwrap().unwrap();
        assert_eq!(handle.stats().await.unwrap().joins, 1);
    })
    .await;
}

#[tokio::test]
async fn stats_include_everything_sent_before() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut callers: Vec<_> = (0..3_000).map(|key| handle.join(key, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        assert_eq!(handle.stats().await.unwrap().joins, 3_000);
        drop(callers);
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.waiters, stats.departures), (0, 3_000));
    })
    .await;
}

//! Batches that don't end by themselves, and keys that are not wanted any more.

use std::{future::pending, time::Duration};

use futures::{join, poll};
use shardflight::{JoinError, OnAbandon, TryJoinError, batch::Batcher};
use tokio::time::{Instant, advance, sleep};

use crate::support::{
    Backend, Count, Gate, Item, ItemBatch, LIMIT, Loading, answer, at_once, behind, id, items, limited, patient,
    settle, two_workers,
};

/// Keys below ten are never answered.
fn hangs_below_ten(keys: ItemBatch) -> Loading {
    Box::pin(async move {
        if keys.keys()[0].id < 10 {
            pending::<()>().await;
        }
        answer(&keys);
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_is_dropped_at_its_keys_deadline_and_the_next_begins() {
    limited(async {
        let backend = Backend::default();
        let limit = Duration::from_secs(1);
        let items = items(
            &backend,
            |batcher| batcher.max_concurrent(1).coalescer(|coalescer| coalescer.max_flight_duration(limit)),
            hangs_below_ten,
        );
        let timed_out = TryJoinError::Join(JoinError::TimedOut { after: limit });
        let waiting = async {
            sleep(Duration::from_millis(600)).await;
            items.load(10_u64).await
        };
        let (hung, next) = join!(items.load_many([1_u64, 2]), waiting);
        assert_eq!(hung, [Err(timed_out.clone()), Err(timed_out)]);
        assert_eq!(id(&next), Some(100));
        settle().await;
        assert_eq!((backend.running(), backend.most()), (0, 1));
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.batches, stats.batch_aborts, stats.running), (2, 1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_batch_is_part_of_a_keys_time() {
    limited(async {
        let limit = Duration::from_secs(1);
        let items = items(
            &Backend::default(),
            |batcher| batcher.max_concurrent(1).coalescer(|coalescer| coalescer.max_flight_duration(limit)),
            |keys| {
                Box::pin(async move {
                    sleep(Duration::from_millis(700)).await;
                    answer(&keys);
                    Ok(())
                })
            },
        );
        let before = Instant::now();
        let second = async {
            settle().await;
            items.load(2_u64).await
        };
        let (first, second) = join!(items.load(1_u64), second);
        assert_eq!(id(&first), Some(10));
        assert_eq!(second, Err(TryJoinError::Join(JoinError::TimedOut { after: limit })));
        assert_eq!(before.elapsed(), limit);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_whose_callers_have_left_are_not_asked_for() {
    limited(async {
        let (backend, gate) = (Backend::default(), Gate::new());
        let items = items(&backend, |batcher| patient(batcher).max_concurrent(1), behind(&gate));
        let mut first = Box::pin(items.load(0_u64));
        assert!(poll!(&mut first).is_pending());
        settle().await;
        // More than a compaction, and one of two callers of key 1.
        let mut leaving: Vec<_> = (1..100_u64).map(|key| Box::pin(items.load(key))).collect();
        for load in &mut leaving {
            assert!(poll!(load).is_pending());
        }
        let mut staying = Box::pin(items.load(1_u64));
        assert!(poll!(&mut staying).is_pending());
        settle().await;
        assert_eq!(items.stats().await.unwrap().queued, 99);
        drop(leaving);
        settle().await;
        assert_eq!(items.stats().await.unwrap().queued, 1);
        gate.open();
        assert_eq!((id(&first.await), id(&staying.await)), (Some(0), Some(10)));
        assert_eq!(backend.batches(), [[0], [1]]);
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.abandoned, stats.keys, stats.queued), (98, 2, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_dropped_when_its_last_caller_leaves_and_not_before() {
    limited(async {
        let backend = Backend::default();
        let items = items(&backend, patient, hangs_below_ten);
        let (mut first, mut second) = (Box::pin(items.load(1_u64)), Box::pin(items.load(2_u64)));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        settle().await;
        drop(first);
        settle().await;
        assert_eq!(backend.running(), 1);
        drop(second);
        settle().await;
        assert_eq!(backend.running(), 0);
        assert_eq!(items.stats().await.unwrap().batch_aborts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_without_callers_are_loaded_all_the_same_if_so_configured() {
    limited(async {
        let backend = Backend::default();
        let finish = |batcher| patient(batcher).coalescer(|coalescer| coalescer.on_abandon(OnAbandon::Finish));
        let items = items(&backend, finish, at_once);
        let mut load = Box::pin(items.load(1_u64));
        assert!(poll!(&mut load).is_pending());
        drop(load);
        settle().await;
        assert_eq!(backend.batches(), [[1]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_may_go_on_after_its_last_answer_for_as_long_as_a_flight() {
    limited(async {
        let (backend, ended) = (Backend::default(), Count::default());
        let end = ended.clone();
        let limit = Duration::from_secs(1);
        let items = items(
            &backend,
            |batcher| batcher.coalescer(|coalescer| coalescer.max_flight_duration(limit)),
            move |keys| {
                let end = end.clone();
                Box::pin(async move {
                    answer(&keys);
                    sleep(Duration::from_millis(if keys.keys()[0].id == 1 { 999 } else { 1_001 })).await;
                    end.up();
                    Ok(())
                })
            },
        );
        for key in [1_u64, 2] {
            assert_eq!(id(&items.load(key).await), Some(10 * key));
            settle().await;
            assert_eq!(backend.running(), 1);
            advance(limit).await;
            settle().await;
            assert_eq!((backend.running(), ended.get()), (0, 1));
        }
        assert_eq!(items.stats().await.unwrap().batch_aborts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_all_and_drops_the_loaders() {
    limited(async {
        let backend = Backend::default();
        let items = items(&backend, |batcher| patient(batcher).max_concurrent(1), hangs_below_ten);
        let mut running = Box::pin(items.load(1_u64));
        assert!(poll!(&mut running).is_pending());
        settle().await;
        let mut queued = Box::pin(items.load(2_u64));
        assert!(poll!(&mut queued).is_pending());
        let shutdown = items.shutdown(Duration::from_secs(1)).await;
        assert_eq!((shutdown.finished, shutdown.cut), (0, 2));
        let closed = Err(TryJoinError::Join(JoinError::Closed));
        assert_eq!((running.await, queued.await, items.load(3_u64).await), (closed.clone(), closed.clone(), closed));
        settle().await;
        assert_eq!((backend.running(), backend.batches()), (0, vec![vec![1]]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batcher_lives_as_long_as_its_loads_and_then_its_tasks_end() {
    limited(async {
        let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = alive();
        let load = items(&Backend::default(), patient, at_once).load(1_u64);
        settle().await;
        assert!(alive() > before);
        assert_eq!(id(&load.await), Some(10));
        settle().await;
        assert_eq!(alive(), before);
    })
    .await;
}

#[test]
fn the_end_of_its_runtime_answers_all() {
    let outside = two_workers();
    let runtime = two_workers();
    let gate = Gate::new();
    let builder = Batcher::builder(behind(&gate)).max_batch(1).max_concurrent(1);
    let items: crate::support::Items = builder.build_on(runtime.handle()).unwrap();
    outside.block_on(limited(async {
        let mut loads: Vec<_> = [1_u64, 2].into_iter().map(|key| Box::pin(items.load(key))).collect();
        for load in &mut loads {
            assert!(poll!(load).is_pending());
        }
        let begun = async {
            while items.stats().await.unwrap().running == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, begun).await.expect("a batch begins");
        runtime.shutdown_background();
        loads.push(Box::pin(items.load(3_u64)));
        for load in loads {
            let end: Result<Option<Item>, _> = load.await;
            assert!(matches!(end, Err(TryJoinError::Join(JoinError::Closed | JoinError::Aborted))), "{end:?}");
        }
    }));
}

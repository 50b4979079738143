//! Two workers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{FutureExt, future::select};
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};

use crate::support::{Backend, Item, ItemBatch, LIMIT, Loading, Wall, at_once, id, items, limited, two_workers};

#[test]
fn a_caller_that_blocks_its_thread_holds_up_no_other_key() {
    let runtime = two_workers();
    runtime.block_on(limited(async {
        for _ in 0..20 {
            let items = items(&Backend::default(), |batcher| batcher, at_once);
            let (wall, opener) = Wall::new();
            let (blocks, is_blocked) = tokio::sync::oneshot::channel();
            let blocked = items.clone();
            let caller = tokio::spawn(async move {
                let mut load = Box::pin(blocked.load(1_u64));
                let early = (&mut load).now_or_never();
                let _ = blocks.send(());
                wall.block();
                id(&match early {
                    Some(loaded) => loaded,
                    None => load.await,
                })
            });
            is_blocked.await.unwrap();
            let other = tokio::spawn(items.load(2_u64));
            assert_eq!(id(&other.await.unwrap()), Some(20));
            drop(opener);
            assert_eq!(caller.await.unwrap(), Some(10));
        }
    }));
}

/// Loads, departures, errors and hangs from many tasks: everything is answered, in limits, and nothing stays.
#[test]
fn a_storm_leaves_nothing() {
    const TASKS: u64 = 16;
    let runtime = two_workers();
    runtime.block_on(limited(async {
        let backend = Backend::default();
        let answered = Arc::new(AtomicUsize::new(0));
        let load = |keys: ItemBatch| -> Loading {
            Box::pin(async move {
                yield_now().await;
                for key in keys.keys() {
                    match key.id % 16 {
                        0 => {}
                        1 => _ = keys.fulfil(key, Err(Item::from(key.id))),
                        _ => _ = keys.fulfil(key, Ok(Item::from(10 * key.id))),
                    }
                    if key.id % 64 == 2 {
                        yield_now().await;
                    }
                }
                if keys.len().is_multiple_of(7) { Err(Item::from(7)) } else { Ok(()) }
            })
        };
        let items = items(&backend, |batcher| batcher.max_batch(10).min_batch(4).max_concurrent(3), load);
        let mut tasks = JoinSet::new();
        for seed in 0..TASKS {
            let (items, answered) = (items.clone(), Arc::clone(&answered));
            tasks.spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..300 {
                    let key = random.u64(..200);
                    let load = Box::pin(items.load(key));
                    let patience = random.usize(..20);
                    let leaves = Box::pin(async move {
                        for _ in 0..patience + if patience > 10 { 100_000 } else { 0 } {
                            yield_now().await;
                        }
                    });
                    if let futures::future::Either::Left((loaded, _)) = select(load, leaves).await {
                        answered.fetch_add(1, Ordering::Relaxed);
                        match key % 16 {
                            0 => assert!(
                                loaded == Ok(None) || loaded == Err(shardflight::TryJoinError::Work(Item::from(7)))
                            ),
                            1 => assert_eq!(loaded, Err(shardflight::TryJoinError::Work(Item::from(key)))),
                            _ => assert_eq!(id(&loaded), Some(10 * key)),
                        }
                    }
                }
            });
        }
        tasks.join_all().await;
        assert!(answered.load(Ordering::Relaxed) > 1_000);
        // The dispatcher may have the last departures before it.
        let at_rest = async {
            loop {
                let (stats, flights) =
                    (items.stats().await.unwrap(), items.coalescer().handle().stats().await.unwrap());
                if stats.running == 0 && backend.running() == 0 && flights.executions == stats.keys + stats.abandoned {
                    break;
                }
                yield_now().await;
            }
        };
        timeout(LIMIT, at_rest).await.expect("each execution was loaded or abandoned");
        assert!(backend.sizes().iter().all(|size| *size <= 10) && backend.most() <= 3);
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.queued, stats.batch_panics), (0, 0));
        assert_eq!(stats.keys, backend.sizes().iter().sum::<usize>() as u64);
    }));
}

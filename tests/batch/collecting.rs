//! Which keys go into one batch, and when it begins.

use std::{future::pending, time::Duration};

use futures::{future::join_all, join, poll};
use shardflight::{BuildError, batch::BatchBuildError};
use tokio::time::{Instant, advance};

use crate::support::{Backend, Gate, Items, answer, at_once, behind, id, ids, items, limited, patient, settle};

#[tokio::test(start_paused = true)]
async fn a_burst_is_split_at_max_batch() {
    limited(async {
        let backend = Backend::default();
        let items = items(&backend, patient, at_once);
        let loaded = join_all((0..250_u64).map(|key| items.load(key))).await;
        assert!(ids(&loaded).into_iter().eq((0..250).map(|key| Some(10 * key))));
        assert_eq!(backend.sizes(), [100, 100, 50]);
        assert_eq!(items.stats().await.unwrap().largest_batch, 100);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lonely_key_waits_for_no_timer() {
    limited(async {
        let items = items(&Backend::default(), patient, at_once);
        let before = Instant::now();
        assert_eq!(id(&items.load(7_u64).await), Some(70));
        assert_eq!(before.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_keys_are_answered_in_the_order_of_asking_and_never_over_the_limit() {
    limited(async {
        let backend = Backend::default();
        let items = items(&backend, |batcher| patient(batcher).max_batch(64), at_once);
        let mut keys: Vec<u64> = (0..5_000).chain(0..100).collect();
        fastrand::Rng::with_seed(7).shuffle(&mut keys);
        let loaded = items.load_many(keys.clone()).await;
        assert!(ids(&loaded).into_iter().eq(keys.iter().map(|key| Some(10 * key))));
        assert!(backend.sizes().iter().all(|size| *size <= 64), "{:?}", backend.sizes());
        assert_eq!(backend.sizes().iter().sum::<usize>(), 5_000, "each key is asked for once");
        assert!(backend.most() <= 4);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_of_a_batch_under_way_is_shared() {
    limited(async {
        let (backend, gate) = (Backend::default(), Gate::new());
        let items = items(&backend, |batcher| patient(batcher).min_batch(1), behind(&gate));
        let mut first = Box::pin(items.load(1_u64));
        assert!(poll!(&mut first).is_pending());
        settle().await;
        let both = items.load_many([1_u64, 2]);
        let opens = async {
            settle().await;
            gate.open();
        };
        let (first, both, ()) = join!(first, both, opens);
        assert_eq!((id(&first), ids(&both)), (Some(10), vec![Some(10), Some(20)]));
        assert_eq!(backend.batches(), [[1], [2]]);
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.loads, stats.coalesced, stats.keys), (3, 1, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_a_batch_runs_keys_wait_for_its_end() {
    limited(async {
        let (backend, gate) = (Backend::default(), Gate::new());
        let items = items(&backend, patient, behind(&gate));
        let mut first = Box::pin(items.load(1_u64));
        let mut others = Box::pin(items.load_many([2_u64, 3]));
        assert!(poll!(&mut first).is_pending());
        settle().await;
        assert!(poll!(&mut others).is_pending());
        settle().await;
        assert_eq!(backend.batches(), [[1]]);
        gate.open();
        others.await;
        assert_eq!(backend.batches(), [vec![1], vec![2, 3]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_a_batch_runs_min_batch_keys_begin_the_next() {
    limited(async {
        let (backend, gate) = (Backend::default(), Gate::new());
        let items = items(&backend, |batcher| patient(batcher).min_batch(3), behind(&gate));
        let mut loads: Vec<_> = (0..6_u64).map(|key| Box::pin(items.load(key))).collect();
        for load in &mut loads {
            assert!(poll!(load).is_pending());
            settle().await;
        }
        assert_eq!(backend.batches(), [vec![0], vec![1, 2, 3]], "4 and 5 wait");
        gate.open();
        join_all(loads).await;
        assert_eq!(backend.batches()[2..], [[4, 5]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_of_several_batches_begins_the_next() {
    limited(async {
        let (backend, gate) = (Backend::default(), Gate::new());
        let passed = gate.clone();
        let items = items(
            &backend,
            |batcher| patient(batcher).max_batch(2).min_batch(2),
            move |keys| {
                let passed = passed.pass();
                let waits = keys.keys()[0].id == 1;
                Box::pin(async move {
                    if waits {
                        passed.await;
                    } else {
                        pending::<()>().await;
                    }
                    answer(&keys);
                    Ok(())
                })
            },
        );
        let mut loads: Vec<_> = (1..6_u64).map(|key| Box::pin(items.load(key))).collect();
        for load in &mut loads {
            assert!(poll!(load).is_pending());
        }
        settle().await;
        assert_eq!(backend.batches(), [[1, 2], [3, 4]], "5 waits for one more key");
        gate.open();
        settle().await;
        assert_eq!(backend.batches()[2..], [[5]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn as_many_batches_run_as_allowed_and_first_come_first_served() {
    limited(async {
        let (backend, gate) = (Backend::default(), Gate::new());
        let items = items(&backend, |batcher| patient(batcher).max_batch(2).max_concurrent(3), behind(&gate));
        let mut loads = Box::pin(items.load_many(0..20_u64));
        assert!(poll!(&mut loads).is_pending());
        settle().await;
        assert_eq!(backend.running(), 3);
        gate.open();
        loads.await;
        assert_eq!(backend.most(), 3);
        assert!(backend.batches().into_iter().flatten().eq(0..20));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_window_holds_keys_until_it_ends_or_the_batch_is_full() {
    limited(async {
        let backend = Backend::default();
        let window = Duration::from_millis(10);
        let items = items(&backend, |batcher| patient(batcher).window(window).max_batch(3).min_batch(1), at_once);
        let mut first = Box::pin(items.load(1_u64));
        assert!(poll!(&mut first).is_pending());
        settle().await;
        advance(Duration::from_millis(9)).await;
        let mut second = Box::pin(items.load(2_u64));
        assert!(poll!(&mut second).is_pending());
        settle().await;
        assert!(backend.batches().is_empty());
        advance(Duration::from_millis(1)).await;
        assert_eq!(ids(&[first.await, second.await]), [Some(10), Some(20)]);
        let before = Instant::now();
        items.load_many(3..6_u64).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(backend.batches(), [vec![1, 2], vec![3, 4, 5]]);
    })
    .await;
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let build = |batch, min, concurrent| {
        Items::builder(at_once)
            .max_batch(batch)
            .min_batch(min)
            .max_concurrent(concurrent)
            .build()
            .unwrap_err()
            .to_string()
    };
    assert_eq!(build(0, 1, 1), "max_batch is 0; it may be from 1 to 65536");
    assert_eq!(build(1, 0, 1), "min_batch is 0; it may be from 1 to 65536");
    assert_eq!(build(1, 1, 65_537), "max_concurrent is 65537; it may be from 1 to 65536");
    assert_eq!(build(8, 9, 1), "min_batch is 9; max_batch allows at most 8");
    let coalescer = Items::builder(at_once).coalescer(|coalescer| coalescer.shards(0)).build().unwrap_err();
    assert_eq!(coalescer, BatchBuildError::Coalescer(BuildError::ZeroShards));
    let limited = Items::builder(at_once).coalescer(|coalescer| coalescer.max_executions(1)).build().unwrap_err();
    assert_eq!(
        limited.to_string(),
        "max_executions is set for the coalescer of a batcher's keys; use max_concurrent of the batcher"
    );
    assert!(Items::builder(at_once).max_batch(8).build().is_ok(), "a default yields to what is asked for");
}

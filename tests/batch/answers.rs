//! What callers are told, and when.

use futures::{future::join_all, join, poll};
use shardflight::{JoinError, TryJoinError, batch::BatchStats};

use crate::support::{
    Backend, Gate, Item, ItemBatch, Loading, answer, id, items, limited, panic_quietly, patient, settle,
};

/// Key 1 has a value, key 2 an error, key 3 isn't there; then the batch ends like this.
fn by_number(keys: &ItemBatch) {
    for key in keys.keys() {
        match key.id {
            1 => assert!(keys.fulfil(key, Ok(Item::from(10)))),
            2 => assert!(keys.fulfil(key, Err(Item::from(20)))),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn missing_keys_failed_keys_and_failed_batches_are_told_apart() {
    limited(async {
        let ending = |end: fn() -> Result<(), Item>| {
            items(&Backend::default(), patient, move |keys| {
                Box::pin(async move {
                    by_number(&keys);
                    end()
                })
            })
        };
        let found = Ok(Some(Item::from(10)));
        let failed = Err(TryJoinError::Work(Item::from(20)));
        let items = ending(|| Ok(()));
        assert_eq!(items.load_many(1..4_u64).await, [found.clone(), failed.clone(), Ok(None)]);
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.missing, stats.key_errors, stats.batch_errors), (1, 1, 0));

        let items = ending(|| Err(Item::from(99)));
        let of_batch = Err(TryJoinError::Work(Item::from(99)));
        assert_eq!(items.load_many(1..5_u64).await, [found.clone(), failed.clone(), of_batch.clone(), of_batch]);
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.missing, stats.key_errors, stats.batch_errors), (0, 1, 1));

        let items = ending(|| panic_quietly("out of order"));
        let loaded = items.load_many(1..4_u64).await;
        assert_eq!(loaded[..2], [found, failed]);
        assert!(matches!(&loaded[2], Err(TryJoinError::Join(JoinError::Panicked(panic))) if panic.message() == "out of order"));
        assert_eq!(items.stats().await.unwrap().batch_panics, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_when_it_is_called_answers_all_and_the_next_is_called() {
    limited(async {
        let calls = crate::support::Count::default();
        let items = items(&Backend::default(), patient, move |keys| {
            if calls.up() == 1 {
                panic_quietly("out of order");
            }
            crate::support::at_once(keys)
        });
        let loaded = items.load_many(1..3_u64).await;
        assert!(
            loaded.iter().all(|loaded| matches!(loaded, Err(TryJoinError::Join(JoinError::Panicked(_))))),
            "{loaded:?}"
        );
        assert_eq!(id(&items.load(1_u64).await), Some(10));
        assert_eq!(items.stats().await.unwrap().running, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_answered_before_its_batch_ends() {
    limited(async {
        let gate = Gate::new();
        let passed = gate.clone();
        let items = items(&Backend::default(), patient, move |keys| {
            let passed = passed.pass();
            Box::pin(async move {
                keys.fulfil(Item::from(2), Ok(Item::from(20)));
                passed.await;
                keys.fulfil(Item::from(1), Ok(Item::from(10)));
                Ok(())
            })
        });
        let (mut first, second) = (Box::pin(items.load(1_u64)), items.load(2_u64));
        assert!(poll!(&mut first).is_pending());
        assert_eq!(id(&second.await), Some(20));
        assert!(poll!(&mut first).is_pending());
        gate.open();
        assert_eq!(id(&first.await), Some(10));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_were_not_asked_for_are_ignored_and_counted() {
    limited(async {
        let items = items(&Backend::default(), patient, |keys| {
            Box::pin(async move {
                for id in [3, 1, 1] {
                    keys.fulfil(Item::from(id), Ok(Item::from(100 + id)));
                }
                assert!(keys.fulfil(Item::from(2), Err(Item::from(2))));
                assert!(!keys.fulfil(Item::from(2), Ok(Item::from(102))));
                Ok(())
            })
        });
        let loaded = items.load_many([1_u64, 2]).await;
        assert_eq!(loaded, [Ok(Some(Item::from(101))), Err(TryJoinError::Work(Item::from(2)))]);
        assert_eq!(items.stats().await.unwrap().unasked, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_loader_has_returned_comes_too_late() {
    limited(async {
        let gate = Gate::new();
        let passed = gate.clone();
        let items = items(&Backend::default(), patient, move |keys| -> Loading {
            let passed = passed.pass();
            tokio::spawn(async move {
                passed.await;
                keys.fulfil(Item::from(1), Ok(Item::from(10)))
            });
            Box::pin(async { Ok(()) })
        });
        assert_eq!(items.load(1_u64).await, Ok(None));
        gate.open();
        settle().await;
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.unasked, stats.missing, stats.running), (1, 1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn equal_keys_that_are_not_coalesced_share_their_answer() {
    limited(async {
        let backend = Backend::default();
        let items = items(
            &backend,
            |batcher| patient(batcher).coalescer(|coalescer| coalescer.rollout(0.0)),
            |keys| {
                Box::pin(async move {
                    answer(&keys);
                    Ok(())
                })
            },
        );
        let loaded = join_all([1_u64, 2, 1, 1].map(|key| items.load(key))).await;
        assert_eq!(crate::support::ids(&loaded), [Some(10), Some(20), Some(10), Some(10)]);
        assert_eq!(backend.batches(), [[1, 2]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn numbers_are_those_of_what_happened() {
    limited(async {
        let items = items(&Backend::default(), patient, crate::support::at_once);
        assert_eq!(items.stats().await.unwrap(), BatchStats::default());
        let (one, many) = join!(items.load(1_u64), items.load_many([1_u64, 2, 3]));
        assert_eq!((id(&one), many.len()), (Some(10), 3));
        settle().await;
        let stats = items.stats().await.unwrap();
        assert_eq!((stats.loads, stats.coalesced, stats.batches, stats.keys), (4, 1, 1, 3));
        assert_eq!((stats.queued, stats.running, stats.abandoned), (0, 0, 0));
        assert!((stats.mean_batch() - 3.0).abs() < f64::EPSILON);
    })
    .await;
}

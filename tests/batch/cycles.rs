//! Loaders that load from their own batcher.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{join, poll};
use shardflight::{Coalescer, JoinError, TryJoinError};
use tokio::time::Instant;

use crate::support::{
    Backend, Gate, Item, ItemBatch, Items, Loaded, Loading, answer, id, items, limited, patient, settle,
};

/// A batcher whose loader loads for each key the key that `inner` says, and answers with the outcome: the inner value plus one, or the
/// inner error.
fn nested(concurrent: usize, inner: fn(u64) -> Option<u64>) -> Items {
    let itself: Arc<OnceLock<Items>> = Arc::default();
    let inside = Arc::clone(&itself);
    let load = move |keys: ItemBatch| -> Loading {
        let itself = inside.get().expect("it is built before it loads").clone();
        Box::pin(async move {
            turns(20).await;
            for key in keys.keys() {
                match inner(key.id) {
                    None => _ = keys.fulfil(key, Ok(Item::from(0))),
                    Some(inner) => match itself.load(inner).await {
                        Ok(value) => _ = keys.fulfil(key, Ok(Item::from(value.expect("all keys are there").id + 1))),
                        Err(TryJoinError::Join(JoinError::Reentrant)) => _ = keys.fulfil(key, Err(Item::from(404))),
                        Err(TryJoinError::Work(error)) => _ = keys.fulfil(key, Err(error)),
                        Err(other) => panic!("{other:?}"),
                    },
                }
            }
            Ok(())
        })
    };
    let items = items(&Backend::default(), |batcher| patient(batcher).max_concurrent(concurrent), load);
    let _ = itself.set(items.clone());
    items
}

/// More of them than go by before a batch begins.
async fn turns(number: usize) {
    for _ in 0..number {
        tokio::task::yield_now().await;
    }
}

fn refused() -> Loaded {
    Err(TryJoinError::Work(Item::from(404)))
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_loads_its_own_key_is_told() {
    limited(async {
        assert_eq!(nested(4, Some).load(1_u64).await, refused());
        let others = nested(4, |key| Some(3 - key));
        assert_eq!(others.load_many([1_u64, 2]).await[0], refused(), "another key of its own batch");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cycle_of_batches_is_told() {
    limited(async {
        // 1 waits for 2 in a second batch, that for 3 in a third, and that for 1.
        let items = nested(4, |key| Some(key % 3 + 1));
        assert_eq!(items.load(1_u64).await, refused());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_may_load_other_keys() {
    limited(async {
        let items = nested(4, |key| key.checked_sub(1));
        assert_eq!(id(&items.load(3_u64).await), Some(3), "a batch for each of 3, 2, 1 and 0");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn loaders_that_wait_for_a_place_that_they_hold_are_told() {
    limited(async {
        let items = nested(3, |key| key.checked_sub(1));
        assert_eq!(items.load(3_u64).await, refused(), "3, 2 and 1 have all places, and 0 needs one");
        assert_eq!(id(&items.load(2_u64).await), Some(2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_shares_a_key_which_waits_for_its_batch_does_not_wait_for_ever() {
    limited(async {
        // The loader of 10 loads 9, which another caller has asked for and which waits for the end of a batch.
        let items = nested(4, |key| (key == 10).then_some(9));
        let other = async {
            turns(10).await;
            items.load(9_u64).await
        };
        let (first, other) = join!(items.load(10_u64), other);
        assert_eq!((id(&first), id(&other)), (Some(1), Some(0)));
        let items = nested(1, |key| (key == 10).then_some(9));
        let other = async {
            turns(10).await;
            items.load(9_u64).await
        };
        let (first, other) = join!(items.load(10_u64), other);
        assert_eq!(first, refused(), "it has the only place");
        assert_eq!(id(&other), Some(0), "another caller is not told so");
    })
    .await;
}

/// A batcher whose loader is given the batcher, too. Each key's answer is ten times its number.
fn with_itself(concurrent: usize, load: impl Fn(Items, u64) -> Loading + Send + Sync + 'static) -> Items {
    let itself: Arc<OnceLock<Items>> = Arc::default();
    let inside = Arc::clone(&itself);
    let loader = move |keys: ItemBatch| -> Loading {
        let itself = inside.get().expect("it is built before it loads").clone();
        let loading = load(itself, keys.keys()[0].id);
        Box::pin(async move {
            loading.await?;
            answer(&keys);
            Ok(())
        })
    };
    let items = items(&Backend::default(), |batcher| batcher.max_concurrent(concurrent), loader);
    let _ = itself.set(items.clone());
    items
}

#[tokio::test(start_paused = true)]
async fn many_loads_of_a_loader_are_refused_at_once() {
    limited(async {
        let items = with_itself(1, |itself, key| {
            Box::pin(async move {
                let inner = if key == 1 { itself.load_many(2..1_000_u64).await } else { Vec::new() };
                assert!(inner.iter().all(|load| *load == Err(TryJoinError::Join(JoinError::Reentrant))));
                Ok(())
            })
        });
        let began = Instant::now();
        assert_eq!(id(&items.load(1_u64).await), Some(10));
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_place_is_about_to_be_free_is_not_refused() {
    limited(async {
        let (gate, itself) = (Gate::new(), Arc::<OnceLock<Items>>::default());
        let (sender, mut inner) = tokio::sync::mpsc::unbounded_channel();
        let (entrance, inside) = (gate.clone(), Arc::clone(&itself));
        let load = move |keys: ItemBatch| -> Loading {
            let itself = inside.get().expect("it is built before it loads").clone();
            let (sender, passed) = (sender.clone(), entrance.pass());
            Box::pin(async move {
                match keys.keys()[0].id {
                    1 => _ = itself.load(2_u64).await,
                    2 => {
                        passed.await;
                        // From here on 1 goes on, and then its place is free.
                        answer(&keys);
                        let _ = sender.send(itself.load(3_u64).await);
                    }
                    _ => {}
                }
                for key in keys.keys() {
                    keys.fulfil(key, Ok(Item::from(10 * key.id)));
                }
                Ok(())
            })
        };
        let items = items(&Backend::default(), |batcher| patient(batcher).max_concurrent(2), load);
        let _ = itself.set(items.clone());
        let first = tokio::spawn(items.load(1_u64));
        settle().await;
        gate.open();
        // The dispatcher comes after the loader of 2, and before that of 1.
        let mut other = Box::pin(items.load(4_u64));
        assert!(poll!(&mut other).is_pending());
        assert_eq!(id(&inner.recv().await.expect("it is loaded")), Some(30));
        assert_eq!((id(&first.await.unwrap()), id(&other.await)), (Some(10), Some(40)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_a_loader_hands_to_a_task_waits_as_any_other() {
    limited(async {
        let (sender, mut spawned) = tokio::sync::mpsc::unbounded_channel();
        let items = with_itself(1, move |itself, key| {
            let load = (key == 1).then(|| tokio::spawn(itself.load(2_u64)));
            load.into_iter().for_each(|load| sender.send(load).expect("the test waits for it"));
            Box::pin(async {
                turns(50).await;
                Ok(())
            })
        });
        assert_eq!(id(&items.load(1_u64).await), Some(10));
        let spawned = spawned.recv().await.expect("the loader has spawned it");
        assert_eq!(id(&spawned.await.unwrap()), Some(20));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_reaches_its_batcher_by_another_flight_is_not_waited_for() {
    limited(async {
        let others = Coalescer::<u64, u64>::new().handle();
        let items = with_itself(4, move |itself, key| {
            let others = others.clone();
            Box::pin(async move {
                if key == 1 {
                    let by_another = others.join(7_u64, move || async move { id(&itself.load(2_u64).await).unwrap() });
                    assert_eq!(by_another.await, Ok(20));
                }
                Ok(())
            })
        });
        let began = Instant::now();
        assert_eq!(id(&items.load(1_u64).await), Some(10));
        assert!(began.elapsed() < Duration::from_secs(1), "no deadline had to end it");
    })
    .await;
}

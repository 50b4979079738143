//! User code that panics: it reaches at most the callers of its key.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use futures::{FutureExt, poll};
use shardflight::{JoinError, TryJoinError};

use crate::support::{
    Backend, Gate, Item, ItemBatch, Items, Loaded, Loading, Trap, answer, behind, id, ids, items, limited,
    panic_quietly, patient, settle,
};

/// Armed for as long as the loader's batch is put together and runs.
fn armed_in_batches(is_armed: &Arc<AtomicBool>) -> Items {
    let is_armed = Arc::clone(is_armed);
    items(&Backend::default(), patient, move |keys: ItemBatch| -> Loading {
        let is_armed = Arc::clone(&is_armed);
        Box::pin(async move {
            is_armed.store(true, Ordering::SeqCst);
            for id in keys.keys().iter().map(|key| key.id).rev() {
                keys.fulfil(Item::from(id), Ok(Item::from(10 * id)));
            }
            is_armed.store(false, Ordering::SeqCst);
            Ok(())
        })
    })
}

fn is_panicked(loaded: &Loaded) -> bool {
    matches!(loaded, Err(TryJoinError::Join(JoinError::Panicked(panic))) if panic.message() == "sprung")
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_clone_panics_fails_alone() {
    limited(async {
        let is_armed = Arc::new(AtomicBool::new(true));
        let items = items(&Backend::default(), patient, crate::support::at_once);
        let loaded = items.load_many([Item::from(1), Item::hostile(2, Trap::Clone, &is_armed)]).await;
        assert_eq!(id(&loaded[0]), Some(10));
        assert!(is_panicked(&loaded[1]), "{loaded:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_hash_panics_on_its_way_into_a_batch_fails_alone() {
    limited(async {
        let is_armed = Arc::new(AtomicBool::new(false));
        // Keys that are not coalesced are hashed there.
        let alone = |batcher| patient(batcher).coalescer(|coalescer| coalescer.rollout(0.0));
        let items = items(&Backend::default(), alone, crate::support::at_once);
        let mut loads =
            Box::pin(items.load_many([Item::from(1), Item::hostile(2, Trap::Hash, &is_armed), Item::from(3)]));
        assert!(poll!(&mut loads).is_pending());
        is_armed.store(true, Ordering::SeqCst);
        let loaded = loads.await;
        assert_eq!((id(&loaded[0]), id(&loaded[2])), (Some(10), Some(30)));
        assert!(is_panicked(&loaded[1]), "{loaded:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_comparison_panics_when_it_is_fulfilled_is_not_missing() {
    limited(async {
        let is_armed = Arc::new(AtomicBool::new(false));
        let items = armed_in_batches(&is_armed);
        let keys = [Item::from(1), Item::hostile(2, Trap::Eq, &is_armed), Item::from(3)];
        let loaded = items.load_many(keys).await;
        assert_eq!((id(&loaded[0]), id(&loaded[2])), (Some(10), Some(30)));
        assert!(is_panicked(&loaded[1]), "{loaded:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn values_whose_clone_or_drop_panics_fail_their_callers_alone() {
    limited(async {
        let is_armed = Arc::new(AtomicBool::new(true));
        for trap in [Trap::Clone, Trap::Drop] {
            let armed = Arc::clone(&is_armed);
            let items = items(&Backend::default(), patient, move |keys: ItemBatch| -> Loading {
                let armed = Arc::clone(&armed);
                Box::pin(async move {
                    keys.fulfil(Item::from(9), Ok(Item::hostile(9, trap, &armed)));
                    keys.fulfil(Item::from(1), Ok(Item::hostile(10, trap, &armed)));
                    keys.fulfil(Item::from(1), Err(Item::hostile(10, trap, &armed)));
                    keys.fulfil(Item::from(2), Ok(Item::from(20)));
                    Ok(())
                })
            });
            let (first, again, second) = futures::join!(items.load(1_u64), items.load(1_u64), items.load(2_u64));
            assert_eq!(id(&second), Some(20));
            let values = [first, again];
            assert_eq!(values.iter().filter(|loaded| is_panicked(loaded)).count(), usize::from(trap == Trap::Clone));
            is_armed.store(false, Ordering::SeqCst);
            drop(values);
            is_armed.store(true, Ordering::SeqCst);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_batch_whose_clone_panics_fails_its_callers_alone() {
    limited(async {
        let is_armed = Arc::new(AtomicBool::new(true));
        let armed = Arc::clone(&is_armed);
        let items = items(&Backend::default(), patient, move |_| -> Loading {
            let error = Item::hostile(9, Trap::Clone, &armed);
            Box::pin(async { Err(error) })
        });
        let loaded = items.load_many(1..4_u64).await;
        // The last one gets it without a clone.
        assert_eq!(loaded.iter().filter(|loaded| is_panicked(loaded)).count(), 2, "{loaded:?}");
        assert_eq!(items.stats().await.unwrap().running, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_whose_drop_panics_leave_the_batcher_alone() {
    limited(async {
        let is_armed = Arc::new(AtomicBool::new(false));
        let gate = Gate::new();
        let items = items(&Backend::default(), |batcher| patient(batcher).max_concurrent(1), behind(&gate));
        let hostile = |id| Item::hostile(id, Trap::Drop, &is_armed);
        let mut running = Box::pin(items.load(hostile(1)));
        assert!(poll!(&mut running).is_pending());
        settle().await;
        let mut leaving: Vec<_> = (2..100).map(|id| Box::pin(items.load(hostile(id)))).collect();
        leaving.iter_mut().for_each(|load| assert!(load.now_or_never().is_none()));
        settle().await;
        is_armed.store(true, Ordering::SeqCst);
        drop(leaving);
        settle().await;
        gate.open();
        assert_eq!(id(&running.await), Some(10));
        assert_eq!(id(&items.load(200_u64).await), Some(2000));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_keeps_no_other_key_of_its_batch_waiting() {
    struct Panicking;
    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            panic_quietly("sprung");
        }
    }
    limited(async {
        let items = items(&Backend::default(), patient, |keys| {
            Box::pin(async move {
                answer(&keys);
                Ok(())
            })
        });
        let mut first = Box::pin(items.load(1_u64));
        let waker = Waker::from(Arc::new(Panicking));
        assert!(first.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(ids(&[items.load(2_u64).await, first.await]), [Some(20), Some(10)]);
    })
    .await;
}

/// A waker whose last owner panics.
struct PanicsInDrop;

impl Wake for PanicsInDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic_quietly("in a drop");
    }
}

#[tokio::test(start_paused = true)]
async fn wakers_that_panic_in_their_drop_end_with_the_loads_that_left_them() {
    limited(async {
        let gate = Gate::new();
        let items = items(&Backend::default(), |batcher| patient(batcher).max_concurrent(1), behind(&gate));
        let mut running = Box::pin(items.load(1_u64));
        assert!(poll!(&mut running).is_pending());
        settle().await;
        let leaving = (2..100).map(|id| {
            let (mut load, waker) = (Box::pin(items.load(id)), Waker::from(Arc::new(PanicsInDrop)));
            assert!(load.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
            load
        });
        let leaving: Vec<_> = leaving.collect();
        settle().await;
        drop(leaving);
        settle().await;
        gate.open();
        assert_eq!(id(&running.await), Some(10));
        assert_eq!(id(&items.load(200_u64).await), Some(2000));
    })
    .await;
}

//! Keys whose `Hash`, `Eq` or `Drop` misbehave cost at most their own callers something (G13).

use std::hash::{Hash, Hasher};

use futures::{
    FutureExt,
    executor::block_on,
    future::{join_all, pending},
};
use shardflight::{Handle, JoinError};

use crate::support::{
    Count, Gate, Wall, assert_pending, at_rest, eventually_blocking, inside, limited, one_aborting_shard, one_shard,
    panic_quietly, returning, settle, two_workers, until, watched,
};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Vice {
    #[default]
    None,
    PanicsInHash,
    PanicsInEq,
    PanicsInDrop,
}

/// All of these have the same hash, so that each meets all the others.
#[derive(Debug)]
struct Key(u8, Vice);

impl Hash for Key {
    fn hash<H: Hasher>(&self, _: &mut H) {
        if self.1 == Vice::PanicsInHash {
            panic_quietly("in a hash");
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        if self.1 == Vice::PanicsInEq || other.1 == Vice::PanicsInEq {
            panic_quietly("in a comparison");
        }
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        if self.1 == Vice::PanicsInDrop {
            panic_quietly("in a drop");
        }
    }
}

async fn well_behaved_keys_work(handle: &Handle<Key, u8>) {
    for n in 100..110 {
        assert_eq!(handle.join(Key(n, Vice::None), returning(n)).await.unwrap(), n);
    }
}

#[tokio::test]
async fn a_panic_in_hash_is_its_callers_alone() {
    limited(async {
        let handle = one_shard::<Key, u8>();
        let error = handle.join(Key(1, Vice::PanicsInHash), returning(7)).await.unwrap_err();
        assert!(matches!(error, JoinError::Panicked(panic) if panic.message() == "in a hash"));
        assert_eq!(at_rest(&handle).await.joins, 0);
        well_behaved_keys_work(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_eq_leaves_the_flight_it_was_compared_with_joinable() {
    limited(async {
        let handle = one_shard::<Key, u8>();
        let gate = Gate::new();
        let mut leader = handle.join(Key(1, Vice::None), gate.then(1));
        assert_pending(&mut leader);
        let error = handle.join(Key(1, Vice::PanicsInEq), returning(2)).await.unwrap_err();
        assert!(matches!(error, JoinError::Panicked(panic) if panic.message() == "in a comparison"));
        let mut follower = handle.join(Key(1, Vice::None), returning(3));
        assert_pending(&mut follower);
        gate.open();
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (1, 1));
        assert_eq!(at_rest(&handle).await.rejections, 1);
    })
    .await;
}

#[tokio::test]
async fn keys_that_panic_when_dropped_cost_no_answer() {
    limited(async {
        let handle = one_shard::<Key, u8>();
        let answers = join_all((0..600_u16).map(|n| {
            let vice = if n % 2 == 0 { Vice::PanicsInDrop } else { Vice::None };
            let key = u8::try_from(n % 10).unwrap();
            handle.join(Key(key, vice), returning(key))
        }))
        .await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(usize::from(answer.unwrap()), n % 10);
        }
        assert!(!handle.forget(Key(1, Vice::PanicsInDrop)).await.unwrap());
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn keys_that_panic_when_dropped_may_be_left_behind() {
    limited(async {
        for handle in [one_shard::<Key, u8>(), one_aborting_shard()] {
            // At once after their first poll, as followers, and as the last ones of their flights.
            let mut alone = handle.join(Key(1, Vice::PanicsInDrop), returning(1));
            assert_pending(&mut alone);
            drop(alone);
            let gate = Gate::new();
            let mut callers: Vec<_> = (0..10)
                .map(|n| {
                    let passed = gate.pass();
                    handle.join(Key(n % 2, Vice::PanicsInDrop), || passed.map(|()| 7))
                })
                .collect();
            callers.iter_mut().for_each(assert_pending);
            settle().await;
            drop(callers);
            well_behaved_keys_work(&handle).await;
            gate.open();
            at_rest(&handle).await;
        }
    })
    .await;
}

/// Blocks the thread it is dropped on.
struct Blocking(u8, Option<Wall>, Count);

impl Hash for Blocking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Blocking {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Blocking {}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(wall) = &self.1 {
            self.2.up();
            wall.block();
        }
    }
}

/// The caller of a key that blocks when dropped waits for it, or leaves it behind; other keys go on.
fn a_blocking_drop_stalls_no_other_key(leaves: bool) {
    watched(move || {
        let runtime = two_workers();
        let handle: Handle<Blocking, u8> = inside(&runtime, one_aborting_shard);
        let (wall, _opener) = Wall::new();
        let dropping = Count::default();
        let key = Blocking(1, Some(wall), dropping.clone());
        let caller = if leaves {
            let caller = runtime.spawn(handle.join(key, pending));
            runtime.block_on(until(&handle, |stats| stats.waiters == 1));
            caller.abort();
            caller
        } else {
            runtime.spawn(handle.join(key, returning(7)))
        };
        eventually_blocking(|| dropping.get() == 1);
        block_on(async {
            for n in 2..50 {
                let key = Blocking(n, None, Count::default());
                assert_eq!(handle.join(key, returning(n)).await.unwrap(), n);
            }
        });
        drop(caller);
    });
}

#[test]
fn a_key_that_blocks_when_its_caller_drops_it_stalls_no_other() {
    a_blocking_drop_stalls_no_other_key(false);
}

#[test]
fn a_key_left_behind_that_blocks_when_dropped_stalls_no_other() {
    a_blocking_drop_stalls_no_other_key(true);
}

#[tokio::test]
async fn departures_from_keys_of_one_hash_stay_apart() {
    limited(async {
        let handle = one_aborting_shard::<Key, u8>();
        let mut callers: Vec<_> = (0..50).map(|n| handle.join(Key(n, Vice::None), pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        settle().await;
        while callers.len() > 1 {
            drop(callers.swap_remove(callers.len() / 2));
            assert_eq!(until(&handle, |stats| stats.flights == callers.len()).await.waiters, callers.len());
        }
        well_behaved_keys_work(&handle).await;
        assert_eq!(handle.stats().await.unwrap().aborts, 49);
    })
    .await;
}

#[tokio::test]
async fn keys_unequal_to_themselves_run_and_end_like_any_other() {
    struct Nan;

    impl Hash for Nan {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    impl PartialEq for Nan {
        fn eq(&self, _: &Self) -> bool {
            false
        }
    }

    impl Eq for Nan {}

    limited(async {
        let handle = one_aborting_shard::<Nan, u8>();
        let answers = join_all((0..100).map(|n| handle.join(Nan, returning(n)))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(usize::from(answer.unwrap()), n);
        }
        assert!(!handle.forget(Nan).await.unwrap());
        let mut left = handle.join(Nan, pending);
        assert_pending(&mut left);
        until(&handle, |stats| stats.flights == 1).await;
        drop(left);
        assert_eq!(at_rest(&handle).await.aborts, 1);
    })
    .await;
}

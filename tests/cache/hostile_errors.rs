//! Errors that panic, panics where another is under way, and panics in a read's last step.

use std::{
    future::poll_fn,
    hash::{Hash, Hasher},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use futures::{FutureExt, poll};
use shardflight::{
    JoinError, TryJoinError,
    cache::{Cache, Fill},
};

use crate::support::{Gate, TTL, advance, in_a_child_process, limited, panic_quietly, settle};

#[derive(Debug)]
struct NoClone;

impl Clone for NoClone {
    fn clone(&self) -> Self {
        panic_quietly("cloned")
    }
}

fn is_panic<T, E>(read: &Result<T, TryJoinError<E>>) -> bool {
    matches!(read, Err(TryJoinError::Join(JoinError::Panicked(_))))
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_errors_clone_is_its_readers_own() {
    limited(async {
        let cache: Cache<u64, u64, NoClone> = Cache::builder().ttl(TTL).negative_ttl(TTL).build().unwrap();
        let (users, gate) = (cache.handle(), Gate::new());
        let passed = gate.pass();
        let mut first = Box::pin(users.get(7_u64, || async {
            passed.await;
            Err(NoClone)
        }));
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(users.get(7_u64, || async { panic!("this read had to join") }));
        assert!(poll!(&mut second).is_pending());
        gate.open();
        settle().await;
        assert!(is_panic(&first.await), "another has it, too");
        assert!(matches!(second.await, Err(TryJoinError::Work(NoClone))));

        users.insert(8_u64, Fill::negative(NoClone)).await;
        let no_load = || async { panic!("this read had to be a hit") };
        assert!(is_panic(&users.get(8_u64, no_load).await));
        assert!(is_panic(&users.get_shared(8_u64, no_load).await));
        assert!(is_panic(&users.lookup(8_u64, no_load).await.map(drop)));
    })
    .await;
}

/// Its drop panics, even on the way of another panic.
#[derive(Clone, Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_quietly("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_whose_drop_panics_may_be_lost_to_a_weigher_that_does() {
    limited(async {
        let weigher = |_: &u64, _: &Bomb| panic_quietly("weighed");
        let cache: Cache<u64, Bomb, ()> = Cache::builder().ttl(TTL).max_weight(9).weigher(weigher).build().unwrap();
        assert!(is_panic(&cache.handle().get_shared(7_u64, || async { Ok(Bomb) }).await));
        assert!(AssertUnwindSafe(cache.handle().insert(7_u64, Bomb)).catch_unwind().await.is_err());
        assert_eq!(cache.handle().stats().entries, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_drop_panics_may_be_lost_to_a_predicate_that_does() {
    limited(async {
        let is_negative = |_: &Bomb| panic_quietly("asked");
        let cache: Cache<u64, u64, Bomb> =
            Cache::builder().ttl(TTL).negative_ttl(TTL).negative_if(is_negative).build().unwrap();
        assert!(is_panic(&cache.handle().get(7_u64, || async { Err(Bomb) }).await));
        assert_eq!(cache.handle().get(7_u64, || async { Ok(8) }).await.ok(), Some(8));
    })
    .await;
}

/// Its hash panics, and its drop on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BombKey;

impl Drop for BombKey {
    fn drop(&mut self) {
        panic_quietly("dropped");
    }
}

impl Hash for BombKey {
    fn hash<H: Hasher>(&self, _: &mut H) {
        panic_quietly("hashed")
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_drop_panics_may_be_lost_to_a_hash_that_does() {
    limited(async {
        let cache: Cache<BombKey, u64, ()> = Cache::builder().ttl(TTL).build().unwrap();
        let (users, key) = (cache.handle(), || BombKey);
        assert!(AssertUnwindSafe(users.invalidate(key())).catch_unwind().await.is_err());
        assert!(AssertUnwindSafe(users.expire(key())).catch_unwind().await.is_err());
        assert!(AssertUnwindSafe(users.insert(key(), 7)).catch_unwind().await.is_err());
        assert!(is_panic(&users.get(key(), || async { Ok(7) }).await));
    })
    .await;
}

/// A key whose `Eq` panics, once it is armed.
#[derive(Clone, Debug)]
struct Trap(Arc<AtomicBool>);

impl PartialEq for Trap {
    fn eq(&self, _: &Self) -> bool {
        if self.0.load(Ordering::SeqCst) {
            panic_quietly("compared");
        }
        true
    }
}

impl Eq for Trap {}

impl Hash for Trap {
    fn hash<H: Hasher>(&self, state: &mut H) {
        7.hash(state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_keys_eq_is_an_answer_where_an_expired_value_is_looked_for() {
    limited(async {
        let cache: Cache<Trap, u64, ()> = Cache::builder().ttl(TTL).stale_if_error(TTL).build().unwrap();
        let (users, armed) = (cache.handle(), Arc::new(AtomicBool::new(false)));
        users.insert(Trap(Arc::clone(&armed)), 7).await;
        advance(TTL).await;
        let arm = Arc::clone(&armed);
        let read = users.get(Trap(Arc::clone(&armed)), || async move {
            arm.store(true, Ordering::SeqCst);
            panic_quietly("broken")
        });
        assert!(is_panic(&read.await));
        armed.store(false, Ordering::SeqCst);
        assert_eq!(users.get(Trap(armed), || async { Ok(8) }).await, Ok(7), "its backoff is on");
    })
    .await;
}

/// Panics in its drop.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic_quietly("in a drop");
    }
}

#[test]
fn a_loader_may_panic_and_panic_again_in_its_drop() {
    in_a_child_process("hostile_errors::a_loader_may_panic_and_panic_again_in_its_drop", || async {
        let cache: Cache<u64, u64, ()> = Cache::builder().ttl(TTL).build().unwrap();
        let held = PanicsInDrop;
        let load = move || {
            poll_fn(move |_| -> Poll<Result<u64, ()>> {
                let _held = &held;
                panic_quietly("broken")
            })
        };
        assert!(is_panic(&cache.handle().get(1_u64, load).await));
        assert_eq!(cache.handle().get(1_u64, || async { Ok(7) }).await, Ok(7));
    });
}

//! Different keys never wait for each other (G4), whatever one of them does to its thread.

use std::{
    future::{pending, poll_fn},
    hash::{Hash, Hasher},
    task::Poll,
};

use futures::{
    executor::block_on,
    future::{FutureExt, join_all, ready},
};
use shardflight::Handle;
use tokio::{runtime::Runtime, task::yield_now};

use crate::support::{
    Count, Gate, Wall, assert_pending, eventually_blocking, inside, limited, one_shard, poll_once, two_workers, watched,
};

pub(crate) fn handle_on(runtime: &Runtime) -> Handle<u8, u8> {
    inside(runtime, one_shard)
}

pub(crate) fn other_keys_are_served(handle: &Handle<u8, u8>) {
    block_on(async {
        for key in 100..150 {
            assert_eq!(handle.join(key, move || async move { key }).await.unwrap(), key);
        }
        handle.stats().await.unwrap();
    });
}

#[test]
fn work_that_blocks_its_thread_stalls_no_other_key_of_its_shard() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let running = Count::default();
        let blocking = {
            let running = running.clone();
            handle.join(1, move || async move {
                running.up();
                wall.block();
                7
            })
        };
        let blocking = runtime.spawn(blocking);
        eventually_blocking(|| running.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        assert_eq!(block_on(blocking).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_closure_that_blocks_its_thread_stalls_no_other_key_of_its_shard() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let running = Count::default();
        let blocking = {
            let running = running.clone();
            handle.join(1, move || {
                running.up();
                wall.block();
                ready(7)
            })
        };
        let blocking = runtime.spawn(blocking);
        eventually_blocking(|| running.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        assert_eq!(block_on(blocking).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_caller_that_blocks_its_thread_once_it_is_answered_stalls_no_other_key() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let answered = Count::default();
        let caller = {
            let (handle, answered) = (handle.clone(), answered.clone());
            runtime.spawn(async move {
                handle.join(1, || async { 7 }).await.unwrap();
                answered.up();
                wall.block();
            })
        };
        eventually_blocking(|| answered.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        block_on(caller).unwrap();
    });
}

#[tokio::test]
async fn a_key_that_never_ends_keeps_no_other_from_ending() {
    limited(async {
        let handle = one_shard::<u8, u8>();
        let mut endless = handle.join(1, std::future::pending);
        assert_pending(&mut endless);
        for key in 2..100 {
            assert_eq!(handle.join(key, move || async move { key }).await.unwrap(), key);
        }
        assert!(matches!(poll_once(&mut endless), Poll::Pending));
    })
    .await;
}

#[tokio::test]
async fn a_key_under_constant_fire_starves_no_other() {
    limited(async {
        let handle = one_shard::<u8, u8>();
        let fire = async {
            loop {
                let mut callers: Vec<_> = (0..1_000).map(|_| handle.join(1, || async { 1 })).collect();
                callers.iter_mut().for_each(assert_pending);
                yield_now().await;
            }
        };
        let others = async {
            for key in 2..100 {
                assert_eq!(handle.join(key, move || async move { key }).await.unwrap(), key);
            }
        };
        tokio::select! {
            () = fire => unreachable!("it is constant"),
            () = others => {}
        }
    })
    .await;
}

/// How often another task had its turn before `burst` was over.
async fn turns_of_others<F: Future<Output: Send> + Send + 'static>(burst: F) -> usize {
    let turns = Count::default();
    let others = {
        let turns = turns.clone();
        // Wakes itself at once, where Tokio's `yield_now` would wait until there is nothing else to do.
        tokio::spawn(poll_fn(move |cx| {
            turns.up();
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }))
    };
    // A task too: the future that a runtime was entered with has its turn but every so often.
    let turns = tokio::spawn(async move {
        burst.await;
        turns.get()
    });
    let turns = turns.await.unwrap();
    others.abort();
    turns
}

/// A key that counts its comparisons.
struct Counted(Count);

impl PartialEq for Counted {
    fn eq(&self, _: &Self) -> bool {
        self.0.up();
        true
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// How much a shard takes in one go shows in the comparisons between two turns of another task.
#[tokio::test]
async fn other_tasks_have_their_turns_while_a_shard_takes_a_burst() {
    limited(async {
        let (handle, comparisons) = (one_shard::<Counted, u8>(), Count::default());
        let mut callers: Vec<_> = (0..10_000).map(|_| handle.join(Counted(comparisons.clone()), pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        let (mut seen, compared) = (comparisons.get(), comparisons.clone());
        let mut most = 0;
        let others = poll_fn(move |cx| {
            let now = compared.get();
            (most, seen) = (most.max(now - seen), now);
            cx.waker().wake_by_ref();
            if now < 9_999 { Poll::Pending } else { Poll::Ready(most) }
        });
        let others = tokio::spawn(others);
        assert_eq!(handle.stats().await.unwrap().waiters, 10_000);
        let most = others.await.unwrap();
        assert!(most <= 512, "{most} joins in one go");
    })
    .await;
}

#[tokio::test]
async fn other_tasks_have_their_turns_while_a_shard_answers_a_burst() {
    limited(async {
        let (handle, gate) = (one_shard::<u8, u8>(), Gate::new());
        let pass = gate.pass();
        let mut callers: Vec<_> = vec![
            handle
                .join(1, move || async move {
                    pass.await;
                    7
                })
                .boxed(),
        ];
        callers.extend((1..10_000).map(|_| handle.join(1, || ready(8)).boxed()));
        callers.iter_mut().for_each(assert_pending);
        handle.stats().await.unwrap();
        gate.open();
        let turns = turns_of_others(join_all(callers)).await;
        assert!(turns >= 10_000 / 256, "{turns}");
    })
    .await;
}

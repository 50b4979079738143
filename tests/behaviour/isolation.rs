//! Different keys never wait for each other (G4), whatever one of them does to its thread.

use std::{
    future::{pending, poll_fn},
    hash::{Hash, Hasher},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
};

use futures::{
    executor::block_on,
    future::{FutureExt, join_all, ready},
};
use shardflight::{Coalescer, Handle};
use tokio::{runtime::Runtime, task::yield_now};

use crate::support::{
    Count, Gate, Wall, assert_pending, eventually_blocking, inside, limited, one_shard, poll_once, returning, step,
    two_workers, watched,
};

pub(crate) fn handle_on(runtime: &Runtime) -> Handle<i32, i32> {
    inside(runtime, one_shard)
}

pub(crate) fn other_keys_are_served(handle: &Handle<i32, i32>) {
    block_on(async {
        for key in 100..150 {
            assert_eq!(handle.join(key, returning(key)).await.unwrap(), key);
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
                handle.join(1, returning(7)).await.unwrap();
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
        let handle = one_shard::<i32, i32>();
        let mut endless = handle.join(1, std::future::pending);
        assert_pending(&mut endless);
        for key in 2..100 {
            assert_eq!(handle.join(key, returning(key)).await.unwrap(), key);
        }
        assert!(matches!(poll_once(&mut endless), Poll::Pending));
    })
    .await;
}

#[tokio::test]
async fn a_key_under_constant_fire_starves_no_other() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let fire = async {
            loop {
                let mut callers: Vec<_> = (0..1_000).map(|_| handle.join(1, returning(1))).collect();
                callers.iter_mut().for_each(assert_pending);
                yield_now().await;
            }
        };
        let others = async {
            for key in 2..100 {
                assert_eq!(handle.join(key, returning(key)).await.unwrap(), key);
            }
        };
        tokio::select! {
            () = fire => unreachable!("it is constant"),
            () = others => {}
        }
    })
    .await;
}

struct CountsWakes(Count);

impl Wake for CountsWakes {
    fn wake(self: Arc<Self>) {
        self.0.up();
    }
}

/// How many callers are woken in one go shows in the wakes between two turns of another task.
#[tokio::test]
async fn other_tasks_have_their_turns_while_a_burst_is_answered() {
    limited(async {
        let (handle, gate, count) = (one_shard::<i32, i32>(), Gate::new(), Count::default());
        let waker = Waker::from(Arc::new(CountsWakes(count.clone())));
        let mut callers: Vec<_> = vec![handle.join(1, gate.then(7)).boxed()];
        callers.extend((1..10_000).map(|_| handle.join(1, returning(8)).boxed()));
        for caller in &mut callers {
            assert!(caller.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        gate.open();
        let (mut seen, mut most) = (0, 0);
        // Wakes itself at once, where Tokio's `yield_now` would wait until there is nothing else to do.
        let other = tokio::spawn(poll_fn(move |cx| {
            (most, seen) = (most.max(count.get() - seen), count.get());
            cx.waker().wake_by_ref();
            if seen < 10_000 { Poll::Pending } else { Poll::Ready(most) }
        }));
        let most = other.await.unwrap();
        assert!(most <= 512, "{most} wakes in one go");
        assert!(join_all(callers).await.into_iter().all(|answer| matches!(answer, Ok(7))));
    })
    .await;
}

/// Counts how often it is compared.
struct CountedKey(i32, Count);

impl PartialEq for CountedKey {
    fn eq(&self, other: &Self) -> bool {
        self.1.up();
        self.0 == other.0
    }
}

impl Eq for CountedKey {}

impl Hash for CountedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn callers_that_leave_thousands_of_forgotten_flights_of_one_key_hold_up_no_other() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<CountedKey, i32>);
        let comparisons = Count::default();
        let key = |id| CountedKey(id, comparisons.clone());
        let callers: Vec<_> = (0..8_000)
            .map(|_| {
                let mut caller = handle.join(key(1), pending);
                assert_pending(&mut caller);
                assert!(block_on(handle.forget(key(1))).unwrap());
                step();
                caller
            })
            .collect();
        let before = comparisons.get();
        let leaving = thread::spawn(move || drop(callers));
        while !leaving.is_finished() {
            assert_eq!(block_on(handle.join(key(2), returning(7))).unwrap(), 7);
        }
        leaving.join().unwrap();
        assert_eq!(comparisons.get(), before, "a departure is one of its flight, whatever its key");
        assert_eq!(block_on(handle.stats()).unwrap().waiters, 0);
    });
}

/// Below 8,000 all have the hash of the first.
struct PoorlyHashedKey(u16, Count);

impl PartialEq for PoorlyHashedKey {
    fn eq(&self, other: &Self) -> bool {
        self.1.up();
        self.0 == other.0
    }
}

impl Eq for PoorlyHashedKey {}

impl Hash for PoorlyHashedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0 / 8_000).hash(state);
    }
}

#[test]
fn callers_that_leave_thousands_of_keys_of_one_hash_hold_up_no_other() {
    watched(|| {
        let runtime = two_workers();
        // To join as many takes long, and flights that expire meanwhile would have their shard out.
        let build =
            || Coalescer::<PoorlyHashedKey, i32>::builder().shards(1).no_flight_deadline().build().unwrap().handle();
        let handle = inside(&runtime, build);
        let comparisons = Count::default();
        let key = |id| PoorlyHashedKey(id, comparisons.clone());
        let callers: Vec<_> = (0..8_000)
            .map(|id| {
                let mut caller = handle.join(key(id), pending);
                assert_pending(&mut caller);
                step();
                caller
            })
            .collect();
        assert_eq!(block_on(handle.stats()).unwrap().waiters, 8_000, "no join is in the queue");
        let before = comparisons.get();
        let leaving = thread::spawn(move || drop(callers));
        while !leaving.is_finished() {
            assert_eq!(block_on(handle.join(key(8_000), returning(7))).unwrap(), 7);
            step();
        }
        leaving.join().unwrap();
        assert_eq!(comparisons.get(), before, "neither a departure nor the other key meets the keys of that hash");
        assert_eq!(block_on(handle.stats()).unwrap().waiters, 0);
    });
}

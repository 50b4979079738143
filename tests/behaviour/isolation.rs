//! Different keys never wait for each other (G4), whatever one of them does to its thread.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use futures::{
    executor::block_on,
    future::{FutureExt, join_all, ready},
};
use shardflight::Handle;
use tokio::{runtime::Runtime, task::yield_now};

use crate::support::{
    Count, Gate, Wall, assert_pending, eventually_blocking, inside, limited, one_shard, returning, two_workers, watched,
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

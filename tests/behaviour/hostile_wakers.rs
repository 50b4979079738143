//! Callers on an executor gone wrong: its wakers panic, in the middle of the code that answers them (G5).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::{FutureExt, executor::block_on, future::pending};
use shardflight::{Coalescer, Handle};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Count, Gate, assert_pending, at_rest, eventually_blocking, inside, limited, one_aborting_shard, one_shard,
        panic_quietly, returning, settle, two_workers, watched,
    },
};

/// Counts its wakes.
struct PanicsInWake(Count);

impl Wake for PanicsInWake {
    fn wake(self: Arc<Self>) {
        self.0.up();
        panic_quietly("in a waker");
    }
}

pub(crate) fn panicking_waker() -> Waker {
    Waker::from(Arc::new(PanicsInWake(Count::default())))
}

/// Polls a join with a waker that panics, once, so that its answer has to go through it.
fn poll_with_a_panicking_waker<F: Future + Unpin>(join: &mut F) {
    let polled = Pin::new(join).poll(&mut Context::from_waker(&panicking_waker()));
    assert!(matches!(polled, Poll::Pending));
}

/// Held by the join that it is given to alone.
struct PanicsInDrop;

impl Wake for PanicsInDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic_quietly("in a waker's drop");
    }
}

#[tokio::test]
async fn the_departure_of_a_caller_whose_waker_panics_when_dropped_is_noticed() {
    limited(async {
        let handle = one_aborting_shard::<i32, i32>();
        let mut join = handle.join(1, pending);
        let waker = Waker::from(Arc::new(PanicsInDrop));
        assert!(Pin::new(&mut join).poll(&mut Context::from_waker(&waker)).is_pending());
        // The join's is the last from now on.
        drop(waker);
        settle().await;
        drop(join);
        assert_eq!(at_rest(&handle).await.aborts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_panicking_waker_harms_no_other_caller() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let gated = |_| {
            let passed = gate.pass();
            handle.join(1, move || passed.map(|()| 7))
        };
        let mut hostile: Vec<_> = (0..10).map(gated).collect();
        hostile.iter_mut().for_each(poll_with_a_panicking_waker);
        // In a task of its own, which nothing wakes but its answer.
        let same = tokio::spawn(handle.join(1, returning(0)));
        settle().await;
        gate.open();
        assert_eq!(same.await.unwrap().unwrap(), 7);
        assert_eq!(handle.join(2, returning(8)).await.unwrap(), 8);
        at_rest(&handle).await;
        for caller in hostile {
            assert_eq!(caller.await.unwrap(), 7);
        }
    })
    .await;
}

#[test]
fn a_panicking_waker_spoils_no_question() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<SlowKey, i32> = inside(&runtime, one_shard);
        let mut bystander = handle.join(SlowKey::new(1), pending);
        assert_pending(&mut bystander);
        let busy = BusyShard::of(&handle);
        let panics = Count::default();
        let waker = Waker::from(Arc::new(PanicsInWake(panics.clone())));
        // All of them wait in the queue, and are answered by the one turn that empties it.
        let mut hostile = [2, 3].map(|key| Box::pin(handle.forget(SlowKey::new(key))));
        let [before, after] = &mut hostile;
        assert!(before.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let mut forget = Box::pin(handle.forget(SlowKey::new(1)));
        assert_pending(&mut forget);
        assert!(after.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let mut stats = Box::pin(handle.stats());
        assert_pending(&mut stats);
        busy.free();
        assert!(block_on(forget).expect("the shard is there"));
        assert_eq!(block_on(stats).expect("the shard is there").forgets, 1);
        eventually_blocking(|| panics.get() == 2);
        for question in hostile {
            assert!(!block_on(question).expect("the shard is there"));
        }
    });
}

#[tokio::test]
async fn a_panicking_waker_hides_no_shutdown_result() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::builder().shards(1).build().unwrap();
        let mut join = coalescer.handle().join(1, pending);
        assert_pending(&mut join);
        let mut hostile = Box::pin(coalescer.shutdown(Duration::MAX));
        poll_with_a_panicking_waker(&mut hostile);
        let hurried = coalescer.shutdown(Duration::ZERO).await;
        assert_eq!((hurried.finished, hurried.cut), (0, 1));
        assert_eq!(hostile.await, hurried);
    })
    .await;
}

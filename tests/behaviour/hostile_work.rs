//! Work whose future behaves badly: it spins, keeps its waker for longer than it lives, is woken from anywhere (G4, G5).

use std::{
    future::{pending, poll_fn},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    thread,
};

use crate::support::{
    Count, assert_pending, at_rest, eventually, inside, limited, one_aborting_shard, one_shard, returning, settle,
    two_workers, watched,
};

type Kept = Arc<Mutex<Option<Waker>>>;

/// Keeps the waker that it was polled with last, and is never ready.
fn keeps_its_waker(kept: &Kept) -> impl Future<Output = i32> + Send + use<> {
    let kept = Arc::clone(kept);
    poll_fn(move |cx| {
        *kept.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
}

#[tokio::test]
async fn work_that_always_wakes_itself_starves_no_key() {
    limited(async {
        let handle = one_aborting_shard::<i32, i32>();
        let (polls, drops) = (Count::default(), Count::default());
        let (counted, held) = (polls.clone(), drops.on_drop());
        let mut spinning = handle.join(1, move || {
            poll_fn(move |cx| {
                let _held = &held;
                counted.up();
                cx.waker().wake_by_ref();
                Poll::Pending
            })
        });
        assert_pending(&mut spinning);
        for n in 2..100 {
            assert_eq!(handle.join(n, returning(n)).await.unwrap(), n);
        }
        assert!(polls.get() > 0);
        drop(spinning);
        assert_eq!(at_rest(&handle).await.aborts, 1);
        eventually(|| drops.get() == 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_wake_after_the_flight_changes_nothing() {
    limited(async {
        let (handle, kept) = (one_aborting_shard::<i32, i32>(), Kept::default());
        let work = keeps_its_waker(&kept);
        let mut leaving = handle.join(1, move || work);
        assert_pending(&mut leaving);
        eventually(|| kept.lock().unwrap().is_some()).await;
        drop(leaving);
        at_rest(&handle).await;
        let mut newer = handle.join(1, pending);
        assert_pending(&mut newer);
        settle().await;
        let late = kept.lock().unwrap().take().expect("it was polled");
        late.wake_by_ref();
        settle().await;
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.flights, stats.waiters), (1, 1), "the newer flight is untouched");
        drop(newer);
        at_rest(&handle).await;
        late.wake();
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
    })
    .await;
}

#[test]
fn work_may_be_woken_by_many_threads_at_once() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<i32, i32>);
        let (kept, polls) = (Kept::default(), Count::default());
        let (its_own, counted) = (Arc::clone(&kept), polls.clone());
        let join = handle.join(1, move || {
            poll_fn(move |cx| {
                *its_own.lock().unwrap() = Some(cx.waker().clone());
                if counted.up() < 100 { Poll::Pending } else { Poll::Ready(7) }
            })
        });
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while polls.get() < 100 {
                        let waker = kept.lock().unwrap().clone();
                        waker.into_iter().for_each(Waker::wake);
                    }
                });
            }
            assert_eq!(runtime.block_on(join).unwrap(), 7);
        });
        kept.lock().unwrap().take().into_iter().for_each(Waker::wake);
        assert_eq!(runtime.block_on(at_rest(&handle)).executions, 1);
    });
}

#[test]
fn a_waker_may_outlive_the_runtime_of_its_work() {
    watched(|| {
        let (runtime, kept) = (two_workers(), Kept::default());
        let handle = inside(&runtime, one_shard::<i32, i32>);
        let work = keeps_its_waker(&kept);
        let mut join = handle.join(1, move || work);
        assert_pending(&mut join);
        runtime.block_on(eventually(|| kept.lock().unwrap().is_some()));
        drop(runtime);
        let late = kept.lock().unwrap().take();
        late.into_iter().for_each(Waker::wake);
        assert!(futures::executor::block_on(join).is_err());
    });
}

//! How flights that were taken over end, and what is left of them.

use std::{future::pending, time::Duration};

use futures::FutureExt as _;
use shardflight::{Builder, Coalescer, Freshness, Handle, JoinError, OnAbandon, OnExpiry, OnStall};
use tokio::time::sleep;

use super::{AFTER, Stalls, is_taken_over, once, taken_over};
use crate::support::{
    Count, CountsDrop, Gate, assert_pending, at_rest, eventually, inside, limited, returning, settle, two_workers,
    watched,
};

/// A flight that was taken over, and whose executions both never end; with its two callers.
async fn stalled_twice(
    handle: &Handle<i32, i32>,
    stalls: &Stalls,
) -> [impl Future<Output = Result<i32, JoinError>> + Unpin + use<>; 2] {
    let mut callers = [handle.join(1, stalls.work()), handle.join(1, stalls.work())];
    callers.iter_mut().for_each(assert_pending);
    is_taken_over(handle).await;
    assert_eq!((stalls.called.get(), stalls.dropped.get()), (2, 0));
    callers
}

#[tokio::test(start_paused = true)]
async fn the_next_flight_waits_for_all_executions_of_an_aborted_one() {
    limited(async {
        let (handle, stalls) = (taken_over(1, |builder| builder.on_abandon(OnAbandon::Abort)), Stalls::default());
        drop(stalled_twice(&handle, &stalls).await);
        let gone = stalls.dropped.clone();
        assert_eq!(handle.join(1, move || async move { gone.get().try_into().unwrap() }).await, Ok(2));
        let stats = at_rest(&handle).await;
        assert_eq!((stats.overlaps, stats.aborts), (0, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_flight_drops_all_its_executions() {
    limited(async {
        let limit = 3 * AFTER;
        let (handle, stalls) = (taken_over(1, |builder| builder.max_flight_duration(limit)), Stalls::default());
        for caller in stalled_twice(&handle, &stalls).await {
            assert_eq!(caller.await, Err(JoinError::TimedOut { after: limit }));
        }
        assert_eq!(at_rest(&handle).await.timeouts, 1);
        assert_eq!(stalls.dropped.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_flight_is_taken_over_and_touches_no_other() {
    limited(async {
        let (handle, stalls, gate) = (once(), Stalls::default(), Gate::new());
        let (mut leader, mut follower) = (handle.join(1, stalls.work()), handle.join(1, returning(2)));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        assert!(handle.forget(1).await.unwrap());
        let mut next = handle.join(1, gate.then(3));
        assert_pending(&mut next);
        assert_eq!((leader.await, follower.await), (Ok(2), Ok(2)));
        gate.open();
        assert_eq!(next.await, Ok(3));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_flight_may_still_be_answered_by_either() {
    limited(async {
        let (limit, gate) = (2 * AFTER, Gate::new());
        let configure = |builder: Builder<_, _>| builder.max_flight_duration(limit).on_expiry(OnExpiry::Detach);
        let handle = taken_over(1, configure);
        let (mut leader, mut follower) = (handle.join(1, gate.then(1)), handle.join(1, pending));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        sleep(2 * limit).await;
        assert_eq!(handle.join(1, returning(3)).await, Ok(3));
        gate.open();
        assert_eq!((leader.await, follower.await), (Ok(1), Ok(1)));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_drops_all_executions() {
    limited(async {
        let stall = OnStall::Takeover { after: AFTER, at_most: 1 };
        let coalescer = Coalescer::builder().shards(1).on_stall(stall).build().unwrap();
        let (handle, stalls) = (coalescer.handle(), Stalls::default());
        let callers = stalled_twice(&handle, &stalls).await;
        coalescer.shutdown(Duration::ZERO).await;
        for caller in callers {
            assert_eq!(caller.await, Err(JoinError::Closed));
        }
        eventually(|| stalls.dropped.get() == 2).await;
    })
    .await;
}

#[test]
fn a_runtime_that_ends_answers_the_callers_of_a_flight_that_was_taken_over() {
    watched(|| {
        let (runtime, stalls) = (two_workers(), Stalls::default());
        let handle = inside(&runtime, once);
        let callers = runtime.block_on(stalled_twice(&handle, &stalls));
        drop(runtime);
        for caller in callers {
            let answer = futures::executor::block_on(caller);
            assert!(matches!(answer, Err(JoinError::Aborted | JoinError::Closed)), "{answer:?}");
        }
        assert_eq!(stalls.dropped.get(), 2);
    });
}

#[tokio::test(start_paused = true)]
async fn unused_work_is_dropped_with_its_flight() {
    limited(async {
        let (handle, stalls, gate) = (taken_over(3, |builder| builder), Stalls::default(), Gate::new());
        let mut leader = handle.join(1, gate.then(1));
        assert_pending(&mut leader);
        let mut followers = [handle.join(1, stalls.work()), handle.join(1, stalls.work())];
        followers.iter_mut().for_each(assert_pending);
        settle().await;
        assert_eq!(stalls.dropped.get(), 0);
        gate.open();
        // Only the flight's own task and the watcher drop it: no caller looks.
        eventually(|| stalls.dropped.get() == 2).await;
        assert_eq!((leader.await, stalls.called.get()), (Ok(1), 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unused_work_is_dropped_with_a_flight_that_never_began() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::builder()
            .shards(1)
            .on_stall(OnStall::Takeover { after: AFTER, at_most: 1 })
            .build()
            .unwrap();
        let (handle, stalls) = (coalescer.handle(), Stalls::default());
        let fresh = handle.clone().with_freshness(Freshness::StartedAfterCall);
        let mut callers = [handle.join(1, stalls.work()), fresh.join(1, stalls.work()), fresh.join(1, stalls.work())];
        callers.iter_mut().for_each(assert_pending);
        settle().await;
        coalescer.shutdown(Duration::ZERO).await;
        // No caller looks.
        eventually(|| stalls.dropped.get() == 3).await;
        assert_eq!(stalls.called.get(), 1);
        drop(callers);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_whose_drop_panics_hurts_nobody() {
    struct Bomb(Count);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.up();
            crate::support::panic_quietly("planned");
        }
    }
    limited(async {
        let (handle, gate, dropped) = (taken_over(1, |builder| builder), Gate::new(), Count::default());
        let bomb = || {
            let bomb = Bomb(dropped.clone());
            move || async move {
                let _bomb = bomb;
                pending::<i32>().await
            }
        };
        // One is left in the flight, one finds no place there, and one is the flight's own.
        for stalls in [false, true] {
            let mut leader = if stalls { handle.join(1, bomb()).boxed() } else { handle.join(1, gate.then(1)).boxed() };
            assert_pending(&mut leader);
            let mut followers = [handle.join(1, bomb()).boxed(), handle.join(1, bomb()).boxed()];
            if stalls {
                followers[0] = handle.join(1, returning(1)).boxed();
            }
            followers.iter_mut().for_each(assert_pending);
            gate.open();
            assert_eq!(leader.await, Ok(1));
            for follower in followers {
                assert_eq!(follower.await, Ok(1));
            }
        }
        eventually(|| dropped.get() == 5).await;
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_by_nobody_but_the_callers() {
    limited(async {
        let (handle, values) = (taken_over::<CountsDrop>(1, |builder| builder), Count::default());
        let value = values.clone();
        let answers =
            tokio::join!(handle.join_shared(1, pending), handle.join_shared(1, move || async move { value.on_drop() }));
        at_rest(&handle).await;
        drop(answers);
        assert_eq!(values.get(), 1);
    })
    .await;
}

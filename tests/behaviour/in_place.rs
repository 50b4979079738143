//! Work that its leader polls itself (`RunWork::InPlace`): whatever becomes of the leader, no other caller depends on it.

use std::{
    future::{pending, ready},
    pin::Pin,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use futures::{
    executor::block_on,
    future::{join, select},
};
use shardflight::{Builder, Coalescer, Handle, JoinError, OnAbandon, OnExpiry, RunWork};
use tokio::{
    task::{self, yield_now},
    time::{advance, sleep},
};

use crate::support::{
    BlocksInDrop, Count, Gate, Wall, assert_pending, at_rest, eventually, eventually_blocking, inside, limited,
    panic_quietly, poll_once, returning, settle, two_workers, until, watched,
};

fn in_place() -> Builder<i32, i32> {
    Coalescer::builder().shards(1).run_work(RunWork::InPlace)
}

fn handle() -> Handle<i32, i32> {
    in_place().build().expect("inside a runtime").handle()
}

/// A join whose work has begun in its own poll, and waits at the gate to answer 7.
fn leading(
    handle: &Handle<i32, i32>,
    gate: &Gate,
) -> impl Future<Output = Result<i32, JoinError>> + Unpin + Send + use<> {
    let mut leader = handle.join(1, gate.then(7));
    assert_pending(&mut leader);
    leader
}

#[tokio::test]
async fn a_lone_leader_runs_its_work_in_its_own_task() {
    limited(async {
        let handle = handle();
        let here = task::try_id();
        let answer = handle.join(1, move || async move {
            assert_eq!(task::try_id(), here);
            yield_now().await;
            assert_eq!(task::try_id(), here);
            7
        });
        assert_eq!(answer.await.unwrap(), 7);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.coalesced), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn detached_work_is_the_default_and_runs_in_a_task_of_its_own() {
    limited(async {
        let handle = Coalescer::<i32, i32>::new().handle();
        let here = task::try_id();
        let answer = handle.join(1, move || async move {
            assert_ne!(task::try_id(), here);
            7
        });
        assert_eq!(answer.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_parked_leader_holds_up_no_follower() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let leader = leading(&handle, &gate);
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut follower);
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
        // It was never polled again until now.
        assert_eq!(leader.await.unwrap(), 7);
        assert_eq!(at_rest(&handle).await.executions, 1);
    })
    .await;
}

#[tokio::test]
async fn a_leader_stuck_in_a_branch_that_is_not_polled_holds_up_no_follower() {
    limited(async {
        let handle = handle();
        let mut leader = handle.join(1, || async {
            yield_now().await;
            7
        });
        assert_pending(&mut leader);
        // The other branch waits for the leader's own flight.
        let other = handle.join(1, returning(0));
        let answer = match select(Box::pin(other), Box::pin(pending::<()>())).await {
            futures::future::Either::Left((answer, _)) => answer,
            futures::future::Either::Right(_) => unreachable!(),
        };
        assert_eq!(answer.unwrap(), 7);
        drop(leader);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_leaves_leaves_its_follower_the_result() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let leader = leading(&handle, &gate);
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut follower);
        drop(leader);
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.departures, stats.aborts), (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn abandoned_work_goes_on_under_finish_and_later_joins_share_it() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let leader = leading(&handle, &gate);
        drop(leader);
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut follower);
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
        assert_eq!(at_rest(&handle).await.executions, 1);
    })
    .await;
}

#[tokio::test]
async fn abandoned_work_is_dropped_in_one_step_under_abort() {
    limited(async {
        let handle = in_place().on_abandon(OnAbandon::Abort).build().unwrap().handle();
        let dropped = Count::default();
        let token = dropped.on_drop();
        let mut leader = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert_pending(&mut leader);
        drop(leader);
        assert_eq!(dropped.get(), 1, "with its leader");
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.aborts, stats.departures), (2, 1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_moves_to_another_executor_goes_on_there() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let work = gate.then(7);
        let mut leader = Box::pin(handle.join(1, move || async move {
            sleep(Duration::from_millis(1)).await;
            work().await
        }));
        assert_pending(&mut leader);
        let moved = thread::spawn(move || block_on(leader));
        gate.open();
        eventually(|| moved.is_finished()).await;
        assert_eq!(moved.join().unwrap().unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_leader_polled_with_another_waker_is_woken_by_it() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let leader = leading(&handle, &gate);
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut follower);
        let leader = tokio::spawn(leader);
        settle().await;
        gate.open();
        assert_eq!(leader.await.unwrap().unwrap(), 7);
        assert_eq!(follower.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_follower_that_joins_while_the_leader_polls_gets_the_result() {
    limited(async {
        let handle = handle();
        let inner = handle.clone();
        let (mut follower, gate) = (handle.join(1, returning(0)), Gate::new());
        let pass = gate.pass();
        let leader = handle.join(1, move || async move {
            // Another caller's poll, from within this one: it is not this flight's work that joins.
            let polled = thread::spawn(move || (poll_once(&mut follower), follower)).join().unwrap();
            assert!(polled.0.is_pending());
            let follower = tokio::spawn(polled.1);
            drop(inner);
            pass.await;
            drop(follower);
            7
        });
        let leader = tokio::spawn(leader);
        until(&handle, |stats| stats.coalesced == 1).await;
        gate.open();
        assert_eq!(leader.await.unwrap().unwrap(), 7);
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_reaches_the_leader_and_its_followers() {
    limited(async {
        let handle = handle();
        let alone = handle.join(1, || async { panic_quietly("in place") }).await;
        assert!(matches!(alone, Err(JoinError::Panicked(panic)) if panic.message() == "in place"));
        let gate = Gate::new();
        let pass = gate.pass();
        let mut leader = handle.join(1, move || async move {
            pass.await;
            panic_quietly("moved")
        });
        assert_pending(&mut leader);
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut follower);
        gate.open();
        let (leader, follower) = join(leader, follower).await;
        assert!(matches!(leader, Err(JoinError::Panicked(panic)) if panic.message() == "moved"));
        assert!(matches!(follower, Err(JoinError::Panicked(_))));
        assert_eq!(at_rest(&handle).await.panics, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_past_its_time_fails_and_its_work_is_dropped() {
    limited(async {
        let after = Duration::from_secs(1);
        let handle = in_place().max_flight_duration(after).build().unwrap().handle();
        let dropped = Count::default();
        let token = dropped.on_drop();
        let leader = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert!(matches!(leader.await, Err(JoinError::TimedOut { after: limit }) if limit == after));
        until(&handle, |stats| stats.flights == 0).await;
        settle().await;
        assert_eq!(dropped.get(), 1);
        assert_eq!(at_rest(&handle).await.timeouts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_leader_keeps_no_flight_past_its_time() {
    limited(async {
        let handle = in_place().max_flight_duration(Duration::from_secs(1)).build().unwrap().handle();
        let mut parked = handle.join(1, pending);
        assert_pending(&mut parked);
        settle().await;
        advance(Duration::from_secs(2)).await;
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
        assert!(matches!(parked.await, Err(JoinError::TimedOut { .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_flight_keeps_its_leader() {
    limited(async {
        let builder = in_place().max_flight_duration(Duration::from_secs(1)).on_expiry(OnExpiry::Detach);
        let (handle, gate) = (builder.build().unwrap().handle(), Gate::new());
        let leader = leading(&handle, &gate);
        settle().await;
        advance(Duration::from_secs(2)).await;
        assert_eq!(handle.join(1, returning(8)).await.unwrap(), 8);
        gate.open();
        assert_eq!(leader.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_flight_keeps_its_leader_and_its_key_starts_anew() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let leader = leading(&handle, &gate);
        assert!(handle.forget(1).await.unwrap());
        assert_eq!(handle.join(1, returning(8)).await.unwrap(), 8);
        gate.open();
        assert_eq!(leader.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn work_that_joins_its_own_key_is_told() {
    limited(async {
        let handle =
            Coalescer::<i32, Result<i32, JoinError>>::builder().run_work(RunWork::InPlace).build().unwrap().handle();
        let inner = handle.clone();
        let answer = handle.join(1, move || async move { inner.join(1, returning(Ok(0))).await? }).await.unwrap();
        assert!(matches!(answer, Err(JoinError::Reentrant)));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_answers_a_leader_and_drops_its_work() {
    limited(async {
        let coalescer = in_place().build().unwrap();
        let dropped = Count::default();
        let token = dropped.on_drop();
        let mut leader = coalescer.handle().join(1, move || async move {
            let _token = token;
            pending().await
        });
        assert_pending(&mut leader);
        let shutdown = coalescer.shutdown(Duration::ZERO).await;
        assert_eq!((shutdown.finished, shutdown.cut), (0, 1));
        assert!(matches!(leader.await, Err(JoinError::Closed)));
        settle().await;
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

tokio::task_local! {
    static REQUEST: i32;
}

#[tokio::test]
async fn work_sees_its_leaders_task_locals_until_it_is_moved() {
    limited(async {
        let (handle, gate) = (handle(), Gate::new());
        let pass = gate.pass();
        let mut leader = Box::pin(REQUEST.scope(
            9,
            handle.join(1, move || async move {
                let before = REQUEST.try_with(|request| *request).ok();
                pass.await;
                i32::from(before == Some(9) && REQUEST.try_with(|_| ()).is_err())
            }),
        ));
        assert!(Pin::new(&mut leader).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut follower);
        gate.open();
        assert_eq!(follower.await.unwrap(), 1);
    })
    .await;
}

#[test]
fn a_follower_that_blocks_its_thread_right_after_its_join_delays_no_flight_it_does_not_lead() {
    watched(|| {
        for _ in 0..20 {
            let runtime = two_workers();
            let handle = inside(&runtime, handle);
            let gate = Gate::new();
            let _leader = leading(&handle, &gate);
            let (wall, opener) = Wall::new();
            let joined = Count::default();
            let blocked = {
                let (handle, joined) = (handle.clone(), joined.clone());
                runtime.spawn(async move {
                    let mut follower = handle.join(1, returning(0));
                    assert_pending(&mut follower);
                    joined.up();
                    wall.block();
                })
            };
            eventually_blocking(|| joined.get() == 1);
            let mut third = handle.join(1, returning(0));
            assert_pending(&mut third);
            gate.open();
            // The leader is parked, and the worker on which the work was moved into a task is blocked.
            assert_eq!(block_on(third).unwrap(), 7);
            drop(opener);
            block_on(blocked).unwrap();
        }
    });
}

#[tokio::test]
async fn the_last_caller_to_wait_gets_the_value_without_a_clone() {
    struct Unclonable;
    impl Clone for Unclonable {
        fn clone(&self) -> Self {
            panic_quietly("cloned")
        }
    }
    limited(async {
        let handle = Coalescer::<i32, Unclonable>::builder().run_work(RunWork::InPlace).build().unwrap().handle();
        assert!(handle.join(1, || ready(Unclonable)).await.is_ok());
        let polled = handle.join(1, || async {
            yield_now().await;
            Unclonable
        });
        assert!(polled.await.is_ok());
        assert!(handle.join_shared(1, || ready(Unclonable)).await.is_ok());
    })
    .await;
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic_quietly("in a drop");
    }
}

#[tokio::test]
async fn a_leader_may_leave_work_that_panics_when_dropped() {
    limited(async {
        let handle = in_place().on_abandon(OnAbandon::Abort).build().unwrap().handle();
        let mut leader = handle.join(1, || async {
            let _hostile = PanicsInDrop;
            pending().await
        });
        assert_pending(&mut leader);
        drop(leader);
        assert_eq!(at_rest(&handle).await.aborts, 1);
    })
    .await;
}

#[test]
fn expired_work_that_blocks_in_its_drop_keeps_no_other_work_from_its_end() {
    watched(|| {
        let runtime = two_workers();
        let builder = in_place().max_flight_duration(Duration::from_millis(20));
        let handle = inside(&runtime, || builder.build().unwrap().handle());
        let ((wall, opener), drops) = (Wall::new(), Count::default());
        let (blocks, counts) = (BlocksInDrop(wall), drops.on_drop());
        let mut first = handle.join(1, move || async move {
            let _blocks = blocks;
            pending().await
        });
        let mut second = handle.join(2, move || async move {
            let _counts = counts;
            pending().await
        });
        assert_pending(&mut first);
        assert_pending(&mut second);
        eventually_blocking(|| drops.get() == 1);
        block_on(until(&handle, |stats| stats.lingering == 1));
        drop(opener);
        block_on(at_rest(&handle));
    });
}

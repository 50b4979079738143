//! When a caller's `max_wait` begins, and by whose clock it ends: by that of the runtime that polls the join, or of none.

use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use futures::{executor::block_on, future::join_all};
use shardflight::{Coalescer, Handle, JoinError, RunWork};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Count, Gate, assert_pending, at_rest, eventually, eventually_blocking, in_a_child_process, inside, limited,
        one_shard, panic_quietly, two_workers, until, watched,
    },
};

const LIMIT: Duration = Duration::from_millis(10);

/// Never driven, and so as good as blocked for good.
fn blocked_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn is_timed_out<V>(answer: &Result<V, JoinError>, limit: Duration) -> bool {
    matches!(answer, Err(JoinError::TimedOut { after }) if *after == limit)
}

#[test]
fn a_wait_on_another_runtime_ends_while_the_coalescers_is_blocked() {
    watched(|| {
        let (home, abroad) = (blocked_runtime(), two_workers());
        let handle = inside(&home, one_shard::<i32, i32>).with_max_wait(LIMIT);
        assert!(is_timed_out(&abroad.block_on(handle.join(1, pending)), LIMIT));
        assert!(is_timed_out(&block_on(abroad.spawn(handle.join(1, pending))).unwrap(), LIMIT));
    });
}

#[test]
fn a_wait_outside_of_any_runtime_ends_while_the_coalescers_is_blocked() {
    watched(|| {
        let home = blocked_runtime();
        let handle = inside(&home, one_shard::<i32, i32>).with_max_wait(LIMIT);
        assert!(is_timed_out(&block_on(handle.join(1, pending)), LIMIT));
        assert!(is_timed_out(&block_on(handle.join_shared(1, pending)), LIMIT));
    });
}

#[test]
fn a_wait_on_a_runtime_without_timers_ends_while_the_coalescers_is_blocked() {
    watched(|| {
        let (home, abroad) = (blocked_runtime(), Builder::new_current_thread().build().unwrap());
        let handle = inside(&home, one_shard::<i32, i32>).with_max_wait(LIMIT);
        for _ in 0..2 {
            assert!(is_timed_out(&abroad.block_on(handle.join(1, pending)), LIMIT));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_wait_on_a_paused_clock_ends_by_that_clock() {
    limited(async {
        let home = blocked_runtime();
        let long = Duration::from_secs(50);
        let builder = Coalescer::<i32, i32>::builder().no_flight_deadline();
        let handle = inside(&home, || builder.build().unwrap().handle()).with_max_wait(long);
        let (begun, really_begun) = (Instant::now(), std::time::Instant::now());
        assert!(is_timed_out(&handle.join(1, pending).await, long));
        assert_eq!(begun.elapsed().as_secs(), long.as_secs());
        assert!(really_begun.elapsed() < long);
        home.shutdown_background();
    })
    .await;
}

#[test]
fn a_wait_goes_on_where_the_runtime_of_its_first_poll_has_shut_down() {
    watched(|| {
        let (home, first) = (blocked_runtime(), two_workers());
        let handle = inside(&home, one_shard::<i32, i32>).with_max_wait(LIMIT);
        let mut joins: Vec<_> = (0..3).map(|key| handle.join(key, pending)).collect();
        inside(&first, || joins.iter_mut().for_each(assert_pending));
        drop(first);
        let second = two_workers();
        let spawned = second.spawn(joins.pop().unwrap());
        assert!(is_timed_out(&block_on(spawned).unwrap(), LIMIT));
        assert!(is_timed_out(&block_on(joins.pop().unwrap()), LIMIT));
        // Polled for the first time where its runtime is shutting down already: left alone, it leaves.
        drop(joins);
    });
}

async fn zero_waits_start_their_work(run_work: RunWork) {
    let handle: Handle<i32, i32> = Coalescer::builder().run_work(run_work).build().unwrap().handle();
    let (hasty, ran) = (handle.with_max_wait(Duration::ZERO), Count::default());
    let join = |key| {
        let ran = ran.clone();
        hasty.join(key, move || async move {
            ran.up();
            tokio::task::yield_now().await;
            key
        })
    };
    let answers = join_all((0..2_000).map(join)).await;
    assert!(answers.iter().all(|answer| answer.is_ok() || is_timed_out(answer, Duration::ZERO)));
    let stats = at_rest(&handle).await;
    assert_eq!((ran.get(), stats.executions), (2_000, 2_000));
}

#[tokio::test(start_paused = true)]
async fn waits_of_zero_start_their_work() {
    limited(zero_waits_start_their_work(RunWork::Detached)).await;
}

#[tokio::test(start_paused = true)]
async fn waits_of_zero_start_their_work_in_place() {
    limited(zero_waits_start_their_work(RunWork::InPlace)).await;
}

#[test]
fn a_wait_that_ends_while_its_join_is_queued_starts_its_work() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, i32>);
        let ran = Count::default();
        let busy = BusyShard::of(&handle);
        for key in 1..=2 {
            let ran = ran.clone();
            let join = handle.with_max_wait(Duration::ZERO).join(SlowKey::new(key), move || async move {
                ran.up();
                7
            });
            assert!(is_timed_out(&block_on(join), Duration::ZERO));
        }
        let answer = handle.with_max_wait(Duration::ZERO).blocking_join(SlowKey::new(3), {
            let ran = ran.clone();
            move || {
                ran.up();
                7
            }
        });
        assert!(is_timed_out(&answer, Duration::ZERO));
        busy.free();
        block_on(eventually(|| ran.get() == 3));
        let stats = block_on(at_rest(&handle));
        assert_eq!((stats.executions, stats.coalesced), (4, 1));
    });
}

#[test]
fn a_wait_that_ends_while_its_join_is_queued_joins_the_flight_and_leaves_it() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, i32>);
        let busy = BusyShard::of(&handle);
        let join =
            handle.with_max_wait(Duration::ZERO).join(SlowKey::new(0), || async { unreachable!("a follower's") });
        assert!(is_timed_out(&block_on(join), Duration::ZERO));
        busy.free();
        let stats = block_on(until(&handle, |stats| stats.joins == 3 && stats.waiters == 0 && stats.flights == 0));
        assert_eq!((stats.executions, stats.coalesced), (1, 2));
    });
}

#[test]
fn a_caller_whose_wait_ended_while_its_join_was_queued_has_no_slot_when_others_join_after_it() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, || {
            Coalescer::<SlowKey, i32>::builder().shards(1).max_waiters_per_flight(2).build().unwrap().handle()
        });
        let (busy, gate) = (BusyShard::of(&handle), Gate::new());
        let hasty = handle.with_max_wait(Duration::ZERO).join(SlowKey::new(1), gate.then(7));
        assert!(is_timed_out(&block_on(hasty), Duration::ZERO));
        let mut others = [1, 2].map(|_| handle.join(SlowKey::new(1), gate.then(7)));
        others.iter_mut().for_each(assert_pending);
        busy.free();
        gate.open();
        others.into_iter().for_each(|other| assert_eq!(block_on(other), Ok(7)));
    });
}

/// Panics when it is woken.
struct PanicsInWake(Count);

impl Wake for PanicsInWake {
    fn wake(self: Arc<Self>) {
        self.0.up();
        panic_quietly("a broken waker");
    }
}

#[test]
fn a_waker_that_panics_ends_no_timer_of_another_caller() {
    in_a_child_process("wait_timers::a_waker_that_panics_ends_no_timer_of_another_caller", || async {
        let handle = one_shard::<i32, i32>().with_max_wait(LIMIT);
        let waits = thread::spawn(move || {
            let woken = Count::default();
            let mut first = handle.join(1, pending);
            let waker = Waker::from(Arc::new(PanicsInWake(woken.clone())));
            assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
            eventually_blocking(|| woken.get() == 1);
            assert!(is_timed_out(&block_on(handle.join(2, pending)), LIMIT));
        });
        eventually(|| waits.is_finished()).await;
        waits.join().unwrap();
    });
}

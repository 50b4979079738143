//! Callers that block a thread of the shards' runtime right after a poll, a departure or a question (G2, G4).

use std::{
    future::pending,
    pin::{Pin, pin},
    sync::{Arc, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use shardflight::{Coalescer, Handle, JoinError, OnAbandon};
use tokio::runtime::Builder;

use crate::{
    busy_shard::{BusyShard, SlowKey},
    isolation::{handle_on, other_keys_are_served},
    support::{
        BlocksInDrop, Count, Gate, Wall, assert_pending, eventually_blocking, inside, one_shard, returning, step,
        two_workers, watched,
    },
};

#[test]
fn a_caller_that_blocks_its_thread_after_its_first_poll_stalls_no_other_key() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let polled = Count::default();
        let caller = {
            let (handle, polled) = (handle.clone(), polled.clone());
            runtime.spawn(async move {
                let mut join = handle.join(1, pending);
                assert_pending(&mut join);
                polled.up();
                wall.block();
            })
        };
        eventually_blocking(|| polled.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        block_on(caller).unwrap();
    });
}

#[test]
fn a_caller_that_blocks_its_thread_after_it_left_stalls_no_other_key() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let left = Count::default();
        let mut join = handle.join(1, pending);
        assert_pending(&mut join);
        block_on(handle.stats()).unwrap();
        let caller = {
            let left = left.clone();
            runtime.spawn(async move {
                drop(join);
                left.up();
                wall.block();
            })
        };
        eventually_blocking(|| left.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        block_on(caller).unwrap();
    });
}

#[test]
fn work_that_joins_another_key_and_blocks_stalls_no_third() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let polled = Count::default();
        let caller = {
            let (inner, polled) = (handle.clone(), polled.clone());
            runtime.spawn(handle.join(1, move || async move {
                let mut other = inner.join(2, pending);
                assert_pending(&mut other);
                polled.up();
                wall.block();
                7
            }))
        };
        eventually_blocking(|| polled.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        assert_eq!(block_on(caller).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_question_that_makes_its_shard_launch_blocking_work_is_answered() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let asker = {
            let handle = handle.clone();
            runtime.spawn(async move {
                let mut join = handle.join(1, move || async move {
                    wall.block();
                    7
                });
                // The shard may see it no earlier than the question.
                assert_pending(&mut join);
                (handle.stats().await.unwrap(), join)
            })
        };
        let (stats, join) = block_on(asker).unwrap();
        assert_eq!(stats.waiters, 1);
        other_keys_are_served(&handle);
        drop(opener);
        assert_eq!(block_on(join).unwrap(), 7);
    });
}

#[test]
fn two_callers_that_block_their_threads_one_after_the_other_stall_no_other_key() {
    watched(|| {
        let runtime = Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let polled = Count::default();
        let callers: Vec<_> = (1..=2)
            .map(|number| {
                let (handle, wall, now) = (handle.clone(), wall.clone(), polled.clone());
                let caller = runtime.spawn(async move {
                    let mut join = handle.join(number, pending);
                    assert_pending(&mut join);
                    now.up();
                    wall.block();
                });
                // The first one is blocking before the second one comes.
                eventually_blocking(|| polled.get() == usize::try_from(number).unwrap());
                caller
            })
            .collect();
        other_keys_are_served(&handle);
        drop(opener);
        for caller in callers {
            block_on(caller).unwrap();
        }
    });
}

#[test]
fn a_question_queued_beside_blocking_work_is_answered() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, i32>);
        let (wall, _opener) = Wall::new();
        let busy = BusyShard::of(&handle);
        let mut blocking = handle.join(SlowKey::new(1), move || async move {
            wall.block();
            7
        });
        assert_pending(&mut blocking);
        let mut question = Box::pin(handle.stats());
        assert_pending(&mut question);
        busy.free();
        block_on(question).unwrap();
        assert_eq!(block_on(handle.join(SlowKey::new(2), returning(7))).unwrap(), 7);
    });
}

/// Runs `door` on a worker that it blocks right after, `times` times, and expects other keys to be served meanwhile.
fn blocks_after(times: usize, door: impl Fn(&Handle<i32, i32>) + Send + Sync + 'static) {
    let door = Arc::new(door);
    watched(move || {
        for time in 0..times {
            let workers = 2 + time % 2;
            let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
            let handle = handle_on(&runtime);
            let (wall, opener) = Wall::new();
            let passed = Count::default();
            let blocked = {
                let (handle, passed, door) = (handle.clone(), passed.clone(), Arc::clone(&door));
                runtime.spawn(async move {
                    door(&handle);
                    passed.up();
                    wall.block();
                })
            };
            eventually_blocking(|| passed.get() == 1);
            other_keys_are_served(&handle);
            drop(opener);
            block_on(blocked).unwrap();
            step();
        }
    });
}

/// Polls a question once, and forgets about it.
fn ask<T>(question: impl Future<Output = T>) {
    let mut question = pin!(question);
    let _ = question.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn a_thread_that_blocks_right_after_it_asked_for_statistics_stalls_no_key() {
    blocks_after(50, |handle| ask(handle.stats()));
}

#[test]
fn a_thread_that_blocks_right_after_a_forget_stalls_no_key() {
    blocks_after(50, |handle| {
        ask(handle.forget(1));
        ask(handle.forget_all());
    });
}

#[test]
fn a_thread_that_blocks_right_after_an_inspection_or_a_reset_stalls_no_key() {
    blocks_after(50, |handle| {
        ask(handle.inspect(1));
        ask(handle.reset_stats());
    });
}

#[test]
fn a_thread_that_blocks_right_after_it_built_a_coalescer_stalls_none_of_its_keys() {
    watched(|| {
        for _ in 0..50 {
            let runtime = two_workers();
            let (wall, opener) = Wall::new();
            let (sender, receiver) = mpsc::channel();
            let blocked = runtime.spawn(async move {
                sender.send(one_shard::<i32, i32>()).unwrap();
                wall.block();
            });
            other_keys_are_served(&receiver.recv().unwrap());
            drop(opener);
            block_on(blocked).unwrap();
            step();
        }
    });
}

#[test]
fn a_thread_that_blocks_right_after_a_shutdown_began_keeps_no_caller_from_its_end() {
    watched(|| {
        for _ in 0..50 {
            let runtime = two_workers();
            let (coalescer, gate) = (inside(&runtime, Coalescer::<i32, i32>::new), Gate::new());
            let handle = coalescer.handle();
            let mut in_time = handle.join(1, gate.then(7));
            assert_pending(&mut in_time);
            let (wall, opener) = Wall::new();
            let passed = Count::default();
            let blocked = {
                let passed = passed.clone();
                runtime.spawn(async move {
                    ask(coalescer.shutdown(Duration::from_hours(1)));
                    passed.up();
                    wall.block();
                })
            };
            eventually_blocking(|| passed.get() == 1);
            assert!(matches!(block_on(handle.join(2, returning(7))), Err(JoinError::Closed)));
            gate.open();
            assert_eq!(block_on(in_time).unwrap(), 7);
            drop(opener);
            block_on(blocked).unwrap();
            step();
        }
    });
}

#[test]
fn a_flight_whose_leader_blocks_its_thread_expires_at_the_next_join_of_any_key() {
    expires_at(|handle| assert_eq!(block_on(handle.join(2, returning(7))).unwrap(), 7));
}

#[test]
fn a_flight_whose_leader_blocks_its_thread_expires_at_the_next_question() {
    expires_at(|handle| {
        let stats = block_on(handle.stats()).unwrap();
        assert_eq!((stats.timeouts, stats.flights, stats.waiters), (1, 0, 0));
    });
}

/// A leader blocks its thread, and its flight's time is up: whatever comes next ends it.
fn expires_at(visit: impl FnOnce(&Handle<i32, i32>) + Send + 'static) {
    watched(|| {
        let runtime = two_workers();
        let after = Duration::from_millis(5);
        let handle = inside(&runtime, || {
            Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(after).build().unwrap().handle()
        });
        // The alarm is the actor's, whose task is in the slot of a worker that blocks.
        let (wall, opener) = Wall::new();
        let (sender, receiver) = mpsc::channel();
        let blocked = {
            let handle = handle.clone();
            runtime.spawn(async move {
                let mut leader = handle.join(1, pending);
                assert_pending(&mut leader);
                sender.send(leader).unwrap();
                wall.block();
            })
        };
        let leader = receiver.recv().unwrap();
        let begun = Instant::now();
        while begun.elapsed() <= after {
            thread::yield_now();
        }
        visit(&handle);
        assert!(matches!(block_on(leader), Err(JoinError::TimedOut { after: limit }) if limit == after));
        drop(opener);
        block_on(blocked).unwrap();
    });
}

#[test]
fn a_waker_that_blocks_its_thread_stalls_no_other_key() {
    watched(|| {
        let runtime = two_workers();
        let (handle, gate) = (handle_on(&runtime), Gate::new());
        let (wall, opener) = Wall::new();
        let woken = Count::default();
        let mut join = handle.join(1, gate.then(7));
        let waker = Waker::from(Arc::new(BlocksInWake { wall, woken: woken.clone() }));
        assert!(Pin::new(&mut join).poll(&mut Context::from_waker(&waker)).is_pending());
        gate.open();
        eventually_blocking(|| woken.get() == 1);
        other_keys_are_served(&handle);
        drop(opener);
        assert_eq!(block_on(join).unwrap(), 7);
    });
}

struct BlocksInWake {
    wall: Wall,
    woken: Count,
}

impl Wake for BlocksInWake {
    fn wake(self: Arc<Self>) {
        self.woken.up();
        self.wall.block();
    }
}

#[test]
fn a_waker_that_blocks_its_thread_holds_no_shard_that_its_caller_left_before() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, i32>);
        let ((wall, _opener), woken) = (Wall::new(), Count::default());
        let busy = BusyShard::of(&handle);
        let waker = Waker::from(Arc::new(BlocksInWake { wall, woken }));
        let mut queued = handle.join(SlowKey::new(1), pending);
        assert!(Pin::new(&mut queued).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(queued);
        busy.free();
        assert_eq!(block_on(handle.join(SlowKey::new(2), returning(7))).unwrap(), 7);
    });
}

/// A waker whose last owner is blocked.
struct LastOwnerBlocks {
    _blocks: BlocksInDrop,
}

impl Wake for LastOwnerBlocks {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_last_caller_whose_waker_blocks_in_its_drop_leaves_no_permit_behind() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().shards(1).on_abandon(OnAbandon::Abort).max_executions(1);
        let handle = inside(&runtime, || builder.build().unwrap().handle());
        let ((wall, opener), began) = (Wall::new(), Count::default());
        let calls = began.clone();
        let mut join = handle.join(1, move || {
            calls.up();
            pending()
        });
        let waker = Waker::from(Arc::new(LastOwnerBlocks { _blocks: BlocksInDrop(wall) }));
        assert!(Pin::new(&mut join).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        eventually_blocking(|| began.get() == 1);
        let leaver = thread::spawn(move || drop(join));
        assert_eq!(block_on(handle.join(2, returning(7))).unwrap(), 7);
        drop(opener);
        leaver.join().unwrap();
    });
}

#[test]
fn a_second_shutdown_whose_waker_blocks_keeps_no_answer_from_the_first() {
    watched(|| {
        let runtime = two_workers();
        let coalescer = inside(&runtime, || Coalescer::<SlowKey, i32>::builder().shards(1).build().unwrap());
        let (wall, _opener) = Wall::new();
        let busy = BusyShard::of(&coalescer.handle());
        let (mut first, mut second) =
            (Box::pin(coalescer.shutdown(Duration::ZERO)), Box::pin(coalescer.shutdown(Duration::ZERO)));
        assert_pending(&mut first);
        let waker = Waker::from(Arc::new(BlocksInWake { wall, woken: Count::default() }));
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(busy);
        assert_eq!(block_on(first).cut, 1);
    });
}

/// A caller that handles other callers' messages, as it found them in the queue, and then blocks its worker.
#[test]
fn a_caller_that_did_other_callers_work_and_then_blocks_its_thread_delays_none_of_them() {
    watched(|| {
        for _ in 0..20 {
            let runtime = two_workers();
            let handle = inside(&runtime, one_shard::<SlowKey, i32>);
            let gate = Gate::new();
            let mut ending = handle.join(SlowKey::new(3), gate.then(3));
            assert_pending(&mut ending);
            // A worker that compares keys, with the shard in its hands, and blocks as soon as it has put it back.
            let (wall, opener) = Wall::new();
            let (eq, eq_opener) = Wall::new();
            let comparisons = Count::default();
            let mut leader = handle.join(SlowKey::new(1), pending);
            assert_pending(&mut leader);
            let blocked = {
                let (handle, comparisons) = (handle.clone(), comparisons.clone());
                runtime.spawn(async move {
                    let mut follower = handle.join(SlowKey::walled(1, eq, comparisons), pending);
                    assert_pending(&mut follower);
                    wall.block();
                })
            };
            eventually_blocking(|| comparisons.get() == 1);
            // Meanwhile: a join that leads, a join that follows, and a completion.
            let leads = runtime.spawn(handle.join(SlowKey::new(2), returning(2)));
            let mut follows = handle.join(SlowKey::new(3), returning(0));
            assert_pending(&mut follows);
            gate.open();
            drop(eq_opener);
            assert_eq!(block_on(leads).unwrap().unwrap(), 2);
            assert_eq!(block_on(ending).unwrap(), 3);
            assert!(block_on(follows).is_ok());
            drop(opener);
            block_on(blocked).unwrap();
            step();
        }
    });
}

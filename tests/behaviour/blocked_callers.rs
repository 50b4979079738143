//! Callers that block a thread of the shards' runtime right after a poll, a departure or a question (G2, G4).

use std::future::{pending, ready};

use futures::executor::block_on;

use crate::{
    busy_shard::{BusyShard, SlowKey},
    isolation::{handle_on, other_keys_are_served},
    support::{Count, Wall, assert_pending, eventually_blocking, inside, one_shard, two_workers, watched},
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
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
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
                eventually_blocking(|| polled.get() == usize::from(number));
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
        let handle = inside(&runtime, one_shard::<SlowKey, u8>);
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
        assert_eq!(block_on(handle.join(SlowKey::new(2), || ready(7))).unwrap(), 7);
    });
}

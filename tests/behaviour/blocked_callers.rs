//! Whoever blocks a thread of the shards' runtime right after a shard was to run there (G2, G4).

use std::{
    future::{pending, ready},
    hash::{Hash, Hasher},
    thread,
};

use futures::executor::block_on;
use shardflight::Handle;

use crate::{
    isolation::{handle_on, other_keys_are_served},
    support::{Count, Wall, embark, eventually_blocking, inside, one_shard, poll_once, two_workers, watched},
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
                embark(&mut join);
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
        embark(&mut join);
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
                embark(&mut other);
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
                // Not seen by the shard before the question is.
                embark(&mut join);
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
                    embark(&mut join);
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

/// A key whose comparison blocks its thread, if it has a wall.
struct SlowToCompare(u8, Option<(Wall, Count)>);

impl PartialEq for SlowToCompare {
    fn eq(&self, other: &Self) -> bool {
        for (wall, comparing) in [self, other].into_iter().filter_map(|key| key.1.as_ref()) {
            comparing.up();
            wall.block();
        }
        self.0 == other.0
    }
}

impl Eq for SlowToCompare {}

impl Hash for SlowToCompare {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn a_question_queued_beside_blocking_work_is_answered() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<SlowToCompare, u8> = inside(&runtime, one_shard);
        let ((wall, opener), (work, _opener), comparing) = (Wall::new(), Wall::new(), Count::default());
        let mut leader = handle.join(SlowToCompare(1, None), pending);
        embark(&mut leader);
        block_on(handle.stats()).unwrap();
        // Keeps the shard busy until the wall opens, on the shard's thread or on this caller's.
        let mut follower = handle.join(SlowToCompare(1, Some((wall, comparing.clone()))), pending);
        let follower = thread::spawn(move || {
            let _ = poll_once(&mut follower);
            follower
        });
        eventually_blocking(|| comparing.get() > 0);
        let mut blocking = handle.join(SlowToCompare(2, None), move || async move {
            work.block();
            2
        });
        embark(&mut blocking);
        let mut question = Box::pin(handle.stats());
        embark(&mut question);
        drop(opener);
        block_on(question).unwrap();
        assert_eq!(block_on(handle.join(SlowToCompare(3, None), || ready(3))).unwrap(), 3);
        drop(follower.join().unwrap());
    });
}

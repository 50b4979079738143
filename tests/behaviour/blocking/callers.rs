//! Threads and tasks share flights, and their ends.

use std::{future::pending, thread, time::Duration};

use futures::executor::block_on;
use shardflight::JoinError;

use super::handle_on;
use crate::support::{Count, Gate, Wall, at_rest, returning, two_workers, until, watched};

#[test]
fn threads_share_one_execution() {
    watched(|| {
        let runtime = two_workers();
        let (handle, ran) = (handle_on(&runtime), Count::default());
        let (wall, opener) = Wall::new();
        let threads: Vec<_> = (0..20)
            .map(|n| {
                let (handle, wall, ran) = (handle.clone(), wall.clone(), ran.clone());
                thread::spawn(move || {
                    handle.blocking_join(1, move || {
                        ran.up();
                        wall.block();
                        n
                    })
                })
            })
            .collect();
        block_on(until(&handle, |stats| stats.waiters == 20));
        drop(opener);
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(ran.get(), 1);
        let stats = block_on(at_rest(&handle));
        assert_eq!((stats.executions, stats.coalesced), (1, 19));
    });
}

#[test]
fn a_task_follows_a_thread() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let leader = {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    7
                })
            })
        };
        block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = runtime.spawn(handle.join(1, returning(8)));
        block_on(until(&handle, |stats| stats.waiters == 2));
        drop(opener);
        assert_eq!(leader.join().unwrap().unwrap(), 7);
        assert_eq!(block_on(follower).unwrap().unwrap(), 7);
    });
}

/// Opens its gate in its drop, and parks its thread until something unparks it, as a channel may.
struct ParksInDrop(Gate);

impl Drop for ParksInDrop {
    fn drop(&mut self) {
        self.0.open();
        thread::park();
    }
}

#[test]
fn a_thread_that_its_unused_work_parks_in_a_drop_is_woken_all_the_same() {
    watched(|| {
        let runtime = two_workers();
        let (handle, gate) = (handle_on(&runtime), Gate::new());
        let leader = runtime.spawn(handle.join(1, gate.then(7)));
        block_on(until(&handle, |stats| stats.waiters == 1));
        let parks = ParksInDrop(gate);
        let follower = thread::spawn(move || {
            handle.blocking_join(1, move || {
                drop(parks);
                unreachable!("a follower's")
            })
        });
        assert_eq!(follower.join().unwrap().unwrap(), 7);
        assert_eq!(block_on(leader).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_thread_follows_a_task() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let gate = Gate::new();
        let passed = gate.pass();
        let leader = runtime.spawn(handle.join(1, move || async move {
            passed.await;
            7
        }));
        block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = {
            let handle = handle.clone();
            thread::spawn(move || handle.blocking_join(1, || unreachable!("a follower's")))
        };
        block_on(until(&handle, |stats| stats.waiters == 2));
        gate.open();
        assert_eq!(block_on(leader).unwrap().unwrap(), 7);
        assert_eq!(follower.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_leading_thread_may_give_up() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let mut limit = Duration::from_millis(5);
        let stats = loop {
            let wall = wall.clone();
            let answer = handle.with_max_wait(limit).blocking_join(1, move || {
                wall.block();
                7
            });
            assert!(matches!(answer, Err(JoinError::TimedOut { after }) if after == limit));
            let stats = block_on(handle.stats()).unwrap();
            // Else it left before its shard saw it, which a loaded machine may take long for.
            if stats.departures == 1 {
                break stats;
            }
            limit *= 2;
        };
        assert_eq!((stats.joins, stats.flights, stats.waiters), (1, 1, 0));
        drop(opener);
        runtime.block_on(until(&handle, |stats| stats.flights == 0));
    });
}

#[test]
fn the_end_of_the_runtime_answers_a_leading_thread() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let waiting = {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    7
                })
            })
        };
        block_on(until(&handle, |stats| stats.waiters == 1));
        runtime.shutdown_background();
        let answer = waiting.join().unwrap();
        assert!(matches!(answer, Err(JoinError::Closed | JoinError::Aborted)), "{answer:?}");
        drop(opener);
    });
}

#[test]
fn the_end_of_the_runtime_answers_a_following_thread() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let leader = runtime.spawn(handle.join(1, pending));
        runtime.block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = {
            let handle = handle.clone();
            thread::spawn(move || handle.blocking_join(1, || 7))
        };
        runtime.block_on(until(&handle, |stats| stats.waiters == 2));
        drop((leader, runtime));
        assert!(matches!(follower.join().unwrap(), Err(JoinError::Closed | JoinError::Aborted)));
        assert!(matches!(handle.blocking_join(1, || 7), Err(JoinError::Closed)));
    });
}

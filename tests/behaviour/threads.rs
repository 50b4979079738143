//! Callers on plain threads.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use shardflight::{Handle, JoinError};

use crate::support::{Count, Wall, inside, limited, one_shard, panic_quietly, two_workers, until, watched};

fn on_two_workers() -> (tokio::runtime::Runtime, Handle<u8, usize>) {
    let runtime = two_workers();
    let handle = inside(&runtime, one_shard);
    (runtime, handle)
}

#[test]
fn threads_and_tasks_share_one_execution() {
    watched(|| {
        let (runtime, handle) = on_two_workers();
        let (executions, (wall, opener)) = (Count::default(), Wall::new());
        let threads: Vec<_> = (0..5)
            .map(|_| {
                let (handle, executions, wall) = (handle.clone(), executions.clone(), wall.clone());
                let work = move || {
                    wall.block();
                    executions.up()
                };
                thread::spawn(move || handle.blocking_join(1, work))
            })
            .collect();
        runtime.block_on(limited(async {
            until(&handle, |stats| stats.waiters == 5).await;
            let task = tokio::spawn(handle.join(1, || async { 99 }));
            until(&handle, |stats| stats.waiters == 6).await;
            drop(opener);
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }));
        assert!(threads.into_iter().all(|thread| thread.join().unwrap().unwrap() == 1));
    });
}

#[test]
fn a_thread_may_follow_a_task() {
    watched(|| {
        let (runtime, handle) = on_two_workers();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let leader = runtime.spawn(handle.join(1, || async { receiver.await.unwrap() }));
        runtime.block_on(until(&handle, |stats| stats.waiters == 1));
        let follower = {
            let handle = handle.clone();
            thread::spawn(move || handle.blocking_join(1, || unreachable!("a follower's")))
        };
        runtime.block_on(until(&handle, |stats| stats.waiters == 2));
        sender.send(7).unwrap();
        assert_eq!(runtime.block_on(leader).unwrap().unwrap(), 7);
        assert_eq!(follower.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_panic_of_blocking_work_reaches_its_callers_with_its_message() {
    watched(|| {
        let (_runtime, handle) = on_two_workers();
        let error = handle.blocking_join(1, || panic_quietly("out of blocks")).unwrap_err();
        assert!(matches!(&error, JoinError::Panicked(panic) if panic.message() == "out of blocks"));
        assert_eq!(handle.blocking_join(1, || 7).unwrap(), 7);
    });
}

#[test]
fn a_thread_gives_up_after_its_max_wait_and_leaves_its_seat() {
    watched(|| {
        let (runtime, handle) = on_two_workers();
        let impatient = handle.with_max_wait(Duration::from_millis(5));
        let (wall, opener) = Wall::new();
        let answer = impatient.blocking_join(1, move || {
            wall.block();
            7
        });
        assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
        let stats = runtime.block_on(until(&handle, |stats| stats.departures == 1));
        assert_eq!((stats.flights, stats.waiters), (1, 0));
        drop(opener);
        runtime.block_on(until(&handle, |stats| stats.flights == 0));
    });
}

#[tokio::test]
async fn joining_a_thread_in_async_code_panics_and_names_the_way_out() {
    let handle = one_shard::<u8, usize>();
    let panic = catch_unwind(AssertUnwindSafe(|| handle.blocking_join(1, || 7))).unwrap_err();
    let message = panic.downcast_ref::<&str>().map(ToString::to_string);
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap();
    assert!(message.contains("`join`") && message.contains("spawn_blocking"), "{message}");
}

#[tokio::test]
async fn the_blocking_pool_may_join_as_a_thread_does() {
    limited(async {
        let handle = one_shard::<u8, usize>();
        let answer = tokio::task::spawn_blocking(move || handle.blocking_join(1, || 7));
        assert_eq!(answer.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[test]
fn a_thread_hears_of_the_end_of_the_runtime() {
    watched(|| {
        let (runtime, handle) = on_two_workers();
        let leader = runtime.spawn(handle.join(1, std::future::pending));
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

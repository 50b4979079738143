//! `blocking_try_join`: threads whose work may fail, by themselves and beside tasks.

use std::{sync::Arc, thread};

use futures::{executor::block_on, future::pending};
use shardflight::{Coalescer, Handle, JoinError, TryJoinError};
use tokio::runtime::Runtime;

use crate::support::{Count, Wall, at_rest, panic_quietly, two_workers, until, watched};

type Results = Handle<i32, Result<i32, String>>;

fn results_on(runtime: &Runtime) -> Results {
    Coalescer::builder().shards(1).build_on(runtime.handle()).unwrap().handle()
}

#[test]
fn a_thread_gets_the_value_or_the_error() {
    watched(|| {
        let runtime = two_workers();
        let handle = results_on(&runtime);
        assert_eq!(handle.blocking_try_join(1, || Ok(7)).unwrap(), 7);
        let error = handle.blocking_try_join(1, || Err("no".to_owned())).unwrap_err();
        assert_eq!(error, TryJoinError::Work("no".to_owned()));
        let error = handle.blocking_try_join(1, || panic_quietly("no such table")).unwrap_err();
        assert!(matches!(error, TryJoinError::Join(JoinError::Panicked(_))), "{error:?}");
        assert_eq!(block_on(at_rest(&handle)).errors, 1);
    });
}

#[test]
fn threads_and_tasks_share_an_error_whoever_leads() {
    watched(|| {
        for thread_leads in [true, false] {
            let runtime = two_workers();
            let (handle, ran) = (results_on(&runtime), Count::default());
            let (wall, opener) = Wall::new();
            let work = |n: usize| {
                let (wall, ran) = (wall.clone(), ran.clone());
                move || {
                    ran.up();
                    wall.block();
                    Err(format!("of {n}"))
                }
            };
            let on_a_thread = |n| {
                let (handle, work) = (handle.clone(), work(n));
                thread::spawn(move || handle.blocking_try_join(1, work))
            };
            let in_a_task = |n| {
                let work = work(n);
                let work = || async { tokio::task::spawn_blocking(work).await.unwrap() };
                runtime.spawn(handle.try_join(1, work))
            };
            let (threads, tasks) = if thread_leads {
                let threads = on_a_thread(1);
                block_on(until(&handle, |stats| stats.waiters == 1));
                (threads, in_a_task(2))
            } else {
                let task = in_a_task(1);
                block_on(until(&handle, |stats| stats.waiters == 1));
                (on_a_thread(2), task)
            };
            let shared = runtime.spawn(handle.try_join_shared(1, pending));
            block_on(until(&handle, |stats| stats.waiters == 3));
            drop(opener);
            let due = TryJoinError::Work("of 1".to_owned());
            assert_eq!(threads.join().unwrap().unwrap_err(), due);
            assert_eq!(block_on(tasks).unwrap().unwrap_err(), due);
            assert_eq!(block_on(shared).unwrap().unwrap_err(), due.map_work(Arc::new));
            assert_eq!((ran.get(), block_on(at_rest(&handle)).errors), (1, 1));
        }
    });
}

#[test]
fn a_plain_blocking_join_shares_a_flight_with_try_join_shared() {
    watched(|| {
        let runtime = two_workers();
        let handle = results_on(&runtime);
        let (wall, opener) = Wall::new();
        let leader = {
            let handle = handle.clone();
            thread::spawn(move || {
                handle.blocking_join(1, move || {
                    wall.block();
                    Err("no".to_owned())
                })
            })
        };
        block_on(until(&handle, |stats| stats.waiters == 1));
        let shared = runtime.spawn(handle.try_join_shared(1, pending));
        block_on(until(&handle, |stats| stats.waiters == 2));
        drop(opener);
        assert_eq!(leader.join().unwrap().unwrap(), Err("no".to_owned()));
        assert_eq!(**block_on(shared).unwrap().unwrap_err().work().unwrap(), "no");
    });
}

#[test]
fn a_bypassed_thread_gets_its_own_error() {
    watched(|| {
        let runtime = two_workers();
        let handle = results_on(&runtime);
        handle.set_enabled(false);
        let error = handle.blocking_try_join(1, || Err("no".to_owned())).unwrap_err();
        assert_eq!(error, TryJoinError::Work("no".to_owned()));
    });
}

#[tokio::test]
#[should_panic(expected = "await `try_join` there")]
async fn async_code_is_refused() {
    let handle = Coalescer::<i32, Result<i32, String>>::new().handle();
    let _ = handle.blocking_try_join(1, || Ok(7));
}

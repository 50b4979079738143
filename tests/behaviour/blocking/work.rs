//! Work that blocks its thread.

use std::{thread, time::Duration};

use futures::executor::block_on;
use shardflight::{Coalescer, JoinError};
use tokio::{runtime, task::spawn_blocking};

use super::handle_on;
use crate::support::{
    Count, Wall, at_rest, eventually_blocking, limited, panic_quietly, returning, settle, two_workers, until, watched,
};

#[test]
fn blocking_work_delays_neither_workers_nor_shards() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let threads: Vec<_> = (0..10)
            .map(|key| {
                let (handle, wall) = (handle.clone(), wall.clone());
                thread::spawn(move || {
                    handle.blocking_join(key, move || {
                        wall.block();
                        key
                    })
                })
            })
            .collect();
        block_on(until(&handle, |stats| stats.flights == 10));
        assert_eq!(handle.blocking_join(99, || 7).unwrap(), 7);
        assert_eq!(runtime.block_on(handle.join(98, returning(7))).unwrap(), 7);
        drop(opener);
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap().is_ok()));
    });
}

#[test]
fn work_cut_before_it_began_never_begins() {
    watched(|| {
        let runtime =
            runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(limited(async {
            let coalescer = Coalescer::<i32, usize>::builder().shards(1).build().unwrap();
            let (handle, begun, (wall, opener)) = (coalescer.handle(), Count::default(), Wall::new());
            // The one thread that there is for blocking work.
            let taken = spawn_blocking(move || wall.block());
            let caller = {
                let (handle, begun) = (handle.clone(), begun.clone());
                thread::spawn(move || handle.blocking_join(1, move || begun.up()))
            };
            until(&handle, |stats| stats.flights == 1).await;
            // The flight's task has its turn and queues the work.
            settle().await;
            assert_eq!(coalescer.shutdown(Duration::ZERO).await.cut, 1);
            settle().await;
            drop(opener);
            taken.await.unwrap();
            // Queued behind it.
            spawn_blocking(|| {}).await.unwrap();
            assert_eq!(begun.get(), 0);
            assert!(matches!(caller.join().unwrap(), Err(JoinError::Closed)));
        }));
    });
}

#[test]
fn a_panic_reaches_the_callers_of_its_flight_alone() {
    watched(|| {
        let runtime = two_workers();
        let handle = handle_on(&runtime);
        let (wall, opener) = Wall::new();
        let threads: Vec<_> = (0..5)
            .map(|_| {
                let (handle, wall) = (handle.clone(), wall.clone());
                thread::spawn(move || {
                    handle.blocking_join(1, move || {
                        wall.block();
                        panic_quietly("broken pipe")
                    })
                })
            })
            .collect();
        block_on(until(&handle, |stats| stats.waiters == 5));
        drop(opener);
        for thread in threads {
            let error = thread.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("broken pipe"), "{error}");
            assert!(matches!(error, JoinError::Panicked(panic) if panic.message() == "broken pipe"));
        }
        assert_eq!(block_on(at_rest(&handle)).panics, 1);
        assert_eq!(handle.blocking_join(1, || 7).unwrap(), 7);
    });
}

#[test]
fn finished_work_is_dropped() {
    watched(|| {
        let runtime = two_workers();
        let (handle, dropped) = (handle_on(&runtime), Count::default());
        for _ in 0..10 {
            let token = dropped.on_drop();
            handle
                .blocking_join(1, move || {
                    let _token = token;
                    7
                })
                .unwrap();
        }
        eventually_blocking(|| dropped.get() == 10);
    });
}

//! Blocking work that joins: the pool has fewer threads than wait for it.

use std::{sync::Arc, thread, time::Duration};

use futures::executor::block_on;
use shardflight::{Coalescer, Freshness, Handle, OnExpiry};
use tokio::runtime::{self, Runtime};

use crate::support::{LIMIT, Wall, at_rest, inside, until, watched};

/// A runtime with so many threads for blocking work, and a coalescer without deadlines on it.
fn small_pool<V: Send + Sync + 'static>(threads: usize) -> (Runtime, Handle<i32, V>) {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime");
    let handle = inside(&runtime, || Coalescer::builder().no_flight_deadline().build().unwrap().handle());
    (runtime, handle)
}

/// Joins the key with work that joins the next one, so many deep.
fn nest(handle: &Handle<i32, i32>, key: i32, depth: i32) -> i32 {
    let inner = handle.clone();
    let work = move || if depth == 0 { 7 } else { nest(&inner, key + 1, depth - 1) };
    handle.blocking_join(key, work).unwrap()
}

#[test]
fn work_may_nest_deeper_than_the_pool_has_threads() {
    watched(|| {
        for threads in [1, 4] {
            let (runtime, handle) = small_pool(threads);
            assert_eq!(nest(&handle, 0, 5), 7);
            assert_eq!(runtime.block_on(at_rest(&handle)).executions, 6);
        }
    });
}

#[test]
fn more_nested_works_than_the_pool_has_threads_all_end() {
    watched(|| {
        let (runtime, handle) = small_pool(4);
        let callers: Vec<_> = (0..32)
            .map(|caller| {
                let handle = handle.clone();
                thread::spawn(move || nest(&handle, 10 * caller, 3))
            })
            .collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().unwrap(), 7));
        assert_eq!(runtime.block_on(at_rest(&handle)).executions, 4 * 32);
    });
}

/// Key 1 has the one thread that there is. Its work goes on with `inner` when key 2 has a flight that waits for a thread. The
/// answers of both.
fn beside_a_flight_without_a_thread(inner: impl FnOnce(&Handle<i32, i32>) -> i32 + Send + 'static) -> (i32, i32) {
    let (runtime, handle) = small_pool(1);
    let (wall, opener) = Wall::new();
    let (outer, nested) = (handle.clone(), handle.clone());
    let first = thread::spawn(move || {
        outer.blocking_join(1, move || {
            wall.block();
            inner(&nested)
        })
    });
    // Its work has the thread, which its flight alone would not say.
    runtime.block_on(until(&handle, |stats| stats.executions == 1));
    let second = {
        let handle = handle.clone();
        thread::spawn(move || handle.blocking_join(2, || 7))
    };
    runtime.block_on(until(&handle, |stats| stats.flights == 2));
    drop(opener);
    (first.join().unwrap().unwrap(), second.join().unwrap().unwrap())
}

#[test]
fn work_that_waits_for_a_thread_runs_on_that_of_work_that_waits_for_it() {
    watched(|| {
        let answers = beside_a_flight_without_a_thread(|handle| handle.blocking_join(2, || 0).unwrap());
        assert_eq!(answers, (7, 7));
    });
}

#[test]
fn work_that_waits_for_the_flight_after_one_that_no_thread_has_begun_runs_both() {
    watched(|| {
        let answers = beside_a_flight_without_a_thread(|handle| {
            handle.with_freshness(Freshness::StartedAfterCall).blocking_join(2, || 8).unwrap()
        });
        assert_eq!(answers, (8, 7));
    });
}

#[test]
fn work_that_runs_on_the_thread_of_work_which_it_joins_is_told_so() {
    watched(|| {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let builder = Coalescer::<i32, i32>::builder().shards(1).on_expiry(OnExpiry::Detach);
        let handle =
            builder.max_flight_duration(Duration::from_millis(100)).build_on(runtime.handle()).unwrap().handle();
        let patient = handle.clone().with_max_flight_duration(LIMIT).unwrap();
        let fresh = handle.clone().with_freshness(Freshness::StartedAfterCall);
        let ((wall, opener), inner) = (Wall::new(), handle.clone());
        let outer = thread::spawn(move || {
            patient.blocking_join(2, move || {
                wall.block();
                fresh.blocking_join(1, || 8).unwrap()
            })
        });
        runtime.block_on(until(&handle, |stats| stats.executions == 1));
        let first = {
            let handle = handle.clone();
            let work = move || {
                // Until its time is over, and the flight after it waits no longer.
                while block_on(inner.stats()).unwrap().timeouts == 0 {
                    thread::yield_now();
                }
                inner.blocking_join(2, || 7).unwrap_or(-1)
            };
            thread::spawn(move || handle.blocking_join(1, work))
        };
        runtime.block_on(until(&handle, |stats| stats.flights == 2));
        drop(opener);
        // If this thread came too late, the first flight ends by itself.
        assert_eq!(outer.join().unwrap(), Ok(8));
        assert!(first.join().unwrap().is_ok());
    });
}

#[test]
fn what_a_caller_computes_on_its_own_thread_is_its_answer_after_any_time() {
    watched(|| {
        let (_runtime, handle) = small_pool(1);
        let impatient = handle.with_max_wait(Duration::ZERO);
        // The one thread has the outer work, so the inner work runs there, too.
        let outer = move || impatient.blocking_join(2, || 7).unwrap();
        assert_eq!(handle.blocking_join(1, outer), Ok(7));
    });
}

#[test]
fn work_that_another_thread_has_begun_leaves_no_value_in_the_pools_queue() {
    watched(|| {
        let (_runtime, handle) = small_pool(1);
        let inner = handle.clone();
        let outer = move || {
            let value = inner.blocking_join(2, || Arc::new(7)).unwrap();
            let weak = Arc::downgrade(&value);
            drop(value);
            assert_eq!(weak.strong_count(), 0, "G6: the one thread is here, so the pool has not come to it yet");
            Arc::new(8)
        };
        assert_eq!(handle.blocking_join(1, outer), Ok(Arc::new(8)));
    });
}

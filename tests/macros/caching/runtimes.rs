//! A function's cache is in a static, which outlives runtimes.

use std::{panic::catch_unwind, time::Duration};

use futures::executor::block_on;
use shardflight::coalesce;
use tokio::{
    runtime::{self, Runtime},
    time::{self, advance},
};

use super::Source;
use crate::{
    results::Failure,
    support::{Gate, limited, two_workers, watched},
    waiting,
};

fn one_thread() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn each_runtime_begins_with_an_empty_cache() {
    #[coalesce(cache(ttl = "60s"), skip(source))]
    async fn load(id: u64, source: Source) -> u64 {
        id + source.load()
    }

    watched(|| {
        let source = Source::of(10);
        for round in 1..=10 {
            let runtime = if round % 2 == 0 { one_thread() } else { two_workers() };
            for _ in 0..2 {
                assert_eq!(runtime.block_on(limited(load(7, source.clone()))), 17);
            }
            assert_eq!((source.loads.get(), load_cache_stats().hits), (round, 1));
            drop(runtime);
            assert_eq!(load_peek(7, source.clone()), None);
            // Without a cache on a runtime, there is nothing to do.
            block_on(load_invalidate(7, source.clone()));
            block_on(load_invalidate_all());
        }
    });
}

#[test]
fn an_expired_value_of_another_runtime_is_loaded_anew() {
    #[coalesce(cache(ttl = "60s", stale_while_revalidate = "1h", stale_if_error = "1d"), skip(source))]
    async fn load(id: u64, source: Source) -> Result<u64, Failure> {
        Ok(id + source.load())
    }

    watched(|| {
        let source = Source::of(10);
        let runtime = one_thread();
        runtime.block_on(limited(async {
            time::pause();
            load(7, source.clone()).await.unwrap();
            advance(Duration::from_mins(2)).await;
        }));
        drop(runtime);
        source.set(20);
        assert_eq!(one_thread().block_on(limited(load(7, source.clone()))).unwrap(), 27);
    });
}

#[test]
fn callers_on_several_runtimes_share_a_cache() {
    #[coalesce(cache(ttl = "60s"), skip(source))]
    async fn load(id: u64, source: Source) -> u64 {
        id + source.load()
    }

    watched(|| {
        let runtimes = [two_workers(), two_workers()];
        let source = Source::of(10);
        for runtime in &runtimes {
            assert_eq!(runtime.block_on(limited(load(7, source.clone()))), 17);
        }
        assert_eq!((source.loads.get(), load_cache_stats().hits), (1, 1));
    });
}

#[test]
fn a_call_survives_another_runtimes_end() {
    #[coalesce(cache(ttl = "60s"), skip(source, gate))]
    async fn load(id: u64, source: Source, gate: Gate) -> Result<u64, Failure> {
        let read = id + source.load();
        gate.pass().await;
        Ok(read)
    }
    async fn waiting_on(runtime: &Runtime, waiters: usize) {
        runtime.spawn(waiting(waiters, load_stats)).await.unwrap();
    }

    watched(|| {
        let (first, second) = (two_workers(), two_workers());
        let (source, gate) = (Source::of(10), Gate::new());
        let leader = first.spawn(load(7, source.clone(), gate.clone()));
        block_on(waiting_on(&first, 1));
        let follower = second.spawn(load(7, source.clone(), gate.clone()));
        block_on(waiting_on(&first, 2));
        source.set(20);
        first.shutdown_background();
        // Its flight's end may have woken it before the runtime came to it.
        assert!(!matches!(block_on(leader), Ok(Ok(_))));
        block_on(waiting_on(&second, 1));
        gate.open();
        assert_eq!(block_on(follower).unwrap().unwrap(), 27);
        assert_eq!(second.block_on(limited(load(7, source, gate))).unwrap(), 27);
        assert_eq!(load_cache_stats().hits, 1);
    });
}

#[test]
fn a_first_call_without_a_runtime_panics() {
    #[coalesce(cache(ttl = "60s"))]
    async fn load(id: u64) -> u64 {
        id
    }

    watched(|| {
        let panic = catch_unwind(|| block_on(load(7))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("no Tokio runtime"), "{message}");
        assert_eq!((load_cache_stats().misses, load_peek(7)), (0, None));
        // Later calls work.
        assert_eq!(two_workers().block_on(limited(load(7))), 7);
    });
}

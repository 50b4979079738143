//! How often reads go to the allocator. A test binary of its own, because the allocator that counts is the process's.

use std::{sync::mpsc, thread, time::Duration};

use allocation_counter::measure;
use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use shardflight::cache::{Cache, CacheBuilder, CacheHandle, Fill};
use tokio::runtime;

const CALLS: u64 = 1_000;
/// Generous: it is only ever reached by a test that hangs.
const LIMIT: Duration = Duration::from_secs(30);

type Numbers = CacheHandle<u64, u64, ()>;

/// Allocations in 1,000 calls. On a thread of its own, which is the only one that is counted.
fn allocations(call: impl AsyncFn(&Numbers, u64) + Send + 'static) -> u64 {
    allocations_of(|cache| cache.build().expect("inside a runtime"), call)
}

fn allocations_of(
    build: impl FnOnce(CacheBuilder<u64, u64, ()>) -> Cache<u64, u64, ()> + Send + 'static,
    call: impl AsyncFn(&Numbers, u64) + Send + 'static,
) -> u64 {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let cache: Cache<u64, u64, ()> = runtime.block_on(async {
            let cache = Cache::builder().ttl(Duration::from_mins(1)).refresh_ahead(0.5);
            build(cache.stale_if_error(Duration::from_mins(1)))
        });
        let numbers = cache.handle();
        let run = |calls| {
            runtime.block_on(async {
                for number in 0..calls {
                    call(&numbers, number).await;
                }
            });
        };
        run(CALLS);
        let counted = measure(|| run(CALLS)).count_total - measure(|| run(0)).count_total;
        drop((numbers, cache));
        let _ = sender.send(counted);
    });
    receiver.recv_timeout(LIMIT).expect("the calls end, and don't panic")
}

#[test]
fn a_hit_allocates_nothing() {
    let hits = allocations(async |numbers, number| {
        assert_eq!(numbers.get(number % 100, move || async move { Ok(number) }).await, Ok(number % 100));
    });
    assert_eq!(hits, 0);
}

#[test]
fn a_hit_of_a_cache_with_metrics_allocates_nothing() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let exported = recorder.handle();
    let build = move |cache: CacheBuilder<_, _, _>| {
        with_local_recorder(&recorder, || cache.metrics("numbers").build().expect("inside a runtime"))
    };
    let hits = allocations_of(build, async |numbers, number| {
        assert_eq!(numbers.get(number % 100, move || async move { Ok(number) }).await, Ok(number % 100));
    });
    assert_eq!(hits, 0);
    assert!(exported.render().contains("shardflight_cache_hits_total{coalescer=\"numbers\"} 1900"));
}

#[test]
fn a_hit_with_tags_or_by_lookup_allocates_nothing() {
    let hits = allocations(async |numbers, number| {
        let load = move |_| async move { Ok(Fill::new(number).tag("number")) };
        assert_eq!(numbers.lookup_with(number % 100, load).await.unwrap().value, Ok(number % 100));
    });
    assert_eq!(hits, 0);
}

#[test]
fn a_negative_hit_allocates_nothing() {
    let hits = allocations(async |numbers, number| {
        let load = |_| async { Ok(Fill::negative(()).ttl(Duration::from_mins(1))) };
        assert!(numbers.get_with(number % 100, load).await.is_err());
    });
    assert_eq!(hits, 0);
}

#[test]
fn a_hit_by_a_borrowed_key_allocates_nothing() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let cache = Cache::<String, u64, ()>::builder().ttl(Duration::from_mins(1)).build().unwrap();
            let numbers = cache.handle();
            assert_eq!(numbers.get_by_ref("seven", || async { Ok(7) }).await, Ok(7));
            let mut hit = std::pin::pin!(numbers.get_by_ref("seven", || async { Ok(8) }));
            let waker = std::task::Waker::noop();
            let polled = |hit: std::pin::Pin<&mut _>| Future::poll(hit, &mut std::task::Context::from_waker(waker));
            let mut answer = std::task::Poll::Pending;
            let counted = measure(|| answer = polled(hit.as_mut()));
            assert_eq!(answer, std::task::Poll::Ready(Ok(7)));
            let _ = sender.send(counted.count_total);
        });
    });
    assert_eq!(receiver.recv_timeout(LIMIT).expect("the hit is there"), 0);
}

/// Each call misses, as its key was removed.
#[test]
fn a_miss_allocates_as_often_as_ever() {
    let misses = allocations(async |numbers, number| {
        numbers.invalidate(number).await;
        assert_eq!(numbers.get(number, move || async move { Ok(number) }).await, Ok(number));
    });
    // A flight of its own takes three; the others are the read, the place, the value and the entry.
    assert_eq!(misses, 7 * CALLS);
}

//! The companions of functions with a cache.

use std::time::Duration;

use shardflight::{cache::Fill, coalesce};
use tokio::{spawn, task::yield_now, time::advance};

use super::Source;
use crate::{
    results::Failure,
    support::{Gate, limited, two_workers, watched},
    waiting,
};

/// Reads at once, and returns what it has read when the gate is open.
#[coalesce(cache(ttl = "60s"), skip(source, gate))]
async fn one(id: u64, source: Source, gate: Gate) -> Result<u64, Failure> {
    let read = id + source.load();
    gate.pass().await;
    Ok(read)
}

#[tokio::test]
async fn no_call_returns_what_was_loaded_before_an_invalidation() {
    limited(async {
        let (source, gate) = (Source::of(10), Gate::new());
        one_invalidate(7, source.clone(), gate.clone()).await;
        let before = spawn(one(7, source.clone(), gate.clone()));
        waiting(1, one_stats).await;
        source.set(20);
        one_invalidate(7, source.clone(), gate.clone()).await;
        let after = spawn(one(7, source.clone(), gate.clone()));
        waiting(2, one_stats).await;
        gate.open();
        assert_eq!((before.await.unwrap().unwrap(), after.await.unwrap().unwrap()), (17, 27));
        // Whichever of the two ended last.
        assert_eq!(one(7, source.clone(), gate.clone()).await.unwrap(), 27);

        source.set(30);
        assert_eq!(one(7, source.clone(), gate.clone()).await.unwrap(), 27, "nothing was invalidated");
        one_invalidate(8, source.clone(), gate.clone()).await;
        assert_eq!(one(7, source.clone(), gate.clone()).await.unwrap(), 27, "that was another key");
        one_invalidate(7, source.clone(), gate.clone()).await;
        assert_eq!(one(7, source, gate).await.unwrap(), 37);
    })
    .await;
}

#[tokio::test]
async fn all_keys_may_be_invalidated_at_once() {
    #[coalesce(cache(ttl = "60s"), skip(source, gate))]
    async fn load(id: u64, source: Source, gate: Gate) -> u64 {
        let read = id + source.load();
        gate.pass().await;
        read
    }

    limited(async {
        load_invalidate_all().await;
        let (source, open, gate) = (Source::of(10), Gate::new(), Gate::new());
        open.open();
        assert_eq!(load(7, source.clone(), open.clone()).await, 17);
        let before = spawn(load(8, source.clone(), gate.clone()));
        waiting(1, load_stats).await;
        source.set(20);
        load_invalidate_all().await;
        gate.open();
        assert_eq!(before.await.unwrap(), 18);
        assert_eq!(load(7, source.clone(), open.clone()).await, 27);
        assert_eq!(load(8, source, open).await, 28);
    })
    .await;
}

#[tokio::test]
async fn tags_are_given_by_fill() {
    #[coalesce(cache(ttl = "60s", fill = "|value| Fill::new(value).tag(format!(\"tenant:{tenant}\"))"), skip(source))]
    async fn load(tenant: u64, source: &Source) -> Result<u64, Failure> {
        let _ = tenant;
        Ok(source.load())
    }

    limited(async {
        load_invalidate_tag("tenant:1").await;
        let source = Source::of(10);
        for tenant in [1, 2] {
            assert_eq!(load(tenant, &source).await.unwrap(), 10);
        }
        source.set(20);
        load_invalidate_tag("tenant:1").await;
        assert_eq!((load(1, &source).await.unwrap(), load(2, &source).await.unwrap()), (20, 10));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn peek_loads_nothing() {
    #[coalesce(cache(ttl = "60s"), skip(source))]
    async fn load(id: u64, source: &Source) -> Result<u64, Failure> {
        Ok(id + source.load())
    }

    limited(async {
        let source = Source::of(10);
        assert_eq!(load_peek(7, &source), None);
        load(7, &source).await.unwrap();
        assert_eq!((load_peek(7, &source), load_peek(8, &source)), (Some(17), None));
        advance(Duration::from_mins(1)).await;
        assert_eq!(load_peek(7, &source), None);
        assert_eq!((source.loads.get(), load_cache_stats().hits), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn refresh_replaces_a_value() {
    #[coalesce(cache(ttl = "60s"), skip(source, gate))]
    async fn load(id: u64, source: Source, gate: Gate) -> Result<u64, Failure> {
        let read = id + source.load();
        gate.pass().await;
        Ok(read)
    }

    limited(async {
        let (source, open, gate) = (Source::of(10), Gate::new(), Gate::new());
        open.open();
        assert_eq!(load(7, source.clone(), open.clone()).await.unwrap(), 17);
        source.set(20);
        let refresh = spawn(load_refresh(7, source.clone(), gate.clone()));
        waiting(1, load_stats).await;
        assert_eq!(load(7, source.clone(), open.clone()).await.unwrap(), 17, "the old one is good enough meanwhile");
        gate.open();
        assert_eq!(refresh.await.unwrap().unwrap(), 27);
        assert_eq!((load(7, source.clone(), open).await.unwrap(), source.loads.get()), (27, 2));
    })
    .await;
}

mod inside {
    #[shardflight::coalesce(cache(ttl = "60s", fill = "shardflight::cache::Fill::new"))]
    pub(super) async fn load(id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn companions_have_the_functions_visibility() {
    limited(async {
        assert_eq!((inside::load(7).await, inside::load_refresh(7).await), (7, 7));
        assert_eq!(inside::load_peek(7), Some(7));
        inside::load_invalidate(7).await;
        inside::load_invalidate_tag("none").await;
        inside::load_invalidate_all().await;
        assert_eq!(inside::load_cache_stats().entries, 0);
    })
    .await;
}

#[test]
fn no_call_returns_what_was_loaded_before_an_invalidation_under_load() {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    static INVALIDATED: AtomicU64 = AtomicU64::new(0);

    #[coalesce(cache(ttl = "200us", stale_while_revalidate = "1ms", stale_if_error = "1h"))]
    async fn load(id: u64) -> u64 {
        let _ = id;
        let read = WRITTEN.load(SeqCst);
        yield_now().await;
        read
    }
    async fn write() {
        for value in 1..=2_000 {
            WRITTEN.store(value, SeqCst);
            load_invalidate(7).await;
            INVALIDATED.store(value, SeqCst);
            yield_now().await;
        }
    }
    async fn read() {
        while INVALIDATED.load(SeqCst) < 2_000 {
            let least = INVALIDATED.load(SeqCst);
            let got = load(7).await;
            assert!(got >= least, "{got} was read after {least} was invalidated");
            yield_now().await;
        }
    }

    watched(|| {
        let runtime = two_workers();
        let mut tasks: Vec<_> = (0..4).map(|_| runtime.spawn(limited(read()))).collect();
        tasks.push(runtime.spawn(limited(write())));
        for task in tasks {
            futures::executor::block_on(task).unwrap();
        }
    });
}

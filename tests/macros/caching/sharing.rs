//! Which calls get a kept value.

use std::{marker::PhantomData, pin::Pin, time::Duration};

use shardflight::{JoinError, coalesce};
use tokio::{spawn, time::advance};

use super::{Source, TICK, advance_to_before};
use crate::{
    results::Failure,
    support::{Gate, limited},
    waiting,
};

#[tokio::test(start_paused = true)]
async fn a_value_is_kept_for_its_ttl() {
    #[coalesce(cache(ttl = "60s"), skip(source))]
    async fn load(id: u64, source: &Source) -> Result<u64, Failure> {
        Ok(id + source.load())
    }

    limited(async {
        let source = Source::of(10);
        assert_eq!(load(7, &source).await.unwrap(), 17);
        source.set(20);
        advance_to_before(Duration::from_mins(1)).await;
        assert_eq!(load(7, &source).await.unwrap(), 17);
        assert_eq!(load(8, &source).await.unwrap(), 28, "this has other arguments");
        advance(TICK).await;
        assert_eq!(load(7, &source).await.unwrap(), 27);
        let stats = load_cache_stats();
        assert_eq!((source.loads.get(), stats.hits, stats.misses), (3, 1, 3));
    })
    .await;
}

#[tokio::test]
async fn concurrent_misses_share_a_load() {
    #[coalesce(cache(ttl = "60s"), skip(source, gate))]
    async fn load(id: u64, source: Source, gate: Gate) -> u64 {
        gate.pass().await;
        id + source.load()
    }

    limited(async {
        let (source, gate) = (Source::of(10), Gate::new());
        let calls: Vec<_> = (0..100).map(|_| spawn(load(7, source.clone(), gate.clone()))).collect();
        waiting(100, load_stats).await;
        gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap(), 17);
        }
        assert_eq!(load(7, source.clone(), gate.clone()).await, 17);
        assert_eq!((source.loads.get(), load_stats().await.coalesced, load_cache_stats().hits), (1, 99, 1));
    })
    .await;
}

#[tokio::test]
async fn keys_are_those_of_other_coalesced_functions() {
    #[coalesce(cache(ttl = "60s"), key = "(tenant, user.to_lowercase())")]
    async fn load(tenant: u32, user: &str, source: &Source) -> u64 {
        let _ = (tenant, user);
        source.load()
    }

    limited(async {
        let source = Source::of(7);
        load(1, "ada", &source).await;
        load(1, "Ada", &source).await;
        assert_eq!(source.loads.get(), 1);
        load(2, "ada", &source).await;
        assert_eq!(source.loads.get(), 2);
    })
    .await;
}

#[derive(Clone, Debug)]
struct Store<T> {
    id: u64,
    source: Source,
    of: PhantomData<T>,
}

impl<T: Clone + Send + Sync + 'static> Store<T> {
    fn new(id: u64) -> Self {
        Self { id, source: Source::of(id), of: PhantomData }
    }

    #[coalesce(cache(ttl = "60s"), key = "(self.id, user)")]
    async fn load(&self, user: u64) -> Result<u64, String> {
        Ok(user + self.source.load())
    }

    #[coalesce(cache(ttl = "60s"))]
    async fn zero() -> Option<Self> {
        Some(Self::new(0))
    }
}

#[tokio::test]
async fn methods_have_a_cache_for_each_type() {
    limited(async {
        let (one, other) = (Store::<u8>::new(10), Store::<u8>::new(20));
        assert_eq!((one.load(7).await, one.load(7).await), (Ok(17), Ok(17)));
        assert_eq!(other.load(7).await, Ok(27));
        let of_another_type = Store::<u16>::new(10);
        assert_eq!(of_another_type.load(7).await, Ok(17));
        assert_eq!([one.source, other.source, of_another_type.source.clone()].map(|source| source.loads.get()), [1; 3]);
        assert_eq!((Store::<u8>::load_cache_stats().hits, Store::<u16>::load_cache_stats().hits), (1, 0));
        Store::<u8>::load_invalidate_all().await;
        let entries = (Store::<u8>::load_cache_stats().entries, Store::<u16>::load_cache_stats().entries);
        assert_eq!(entries, (0, 1));
        of_another_type.load_invalidate(7).await;
        assert_eq!(of_another_type.load_peek(7), None);
        assert_eq!(Store::<u8>::zero().await.map(|store| store.id), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_function_may_read_its_own_cache() {
    #[coalesce(cache(ttl = "60s"), skip(source))]
    async fn triangle(n: u64, source: Source) -> Result<u64, Failure> {
        source.load();
        if n == 0 { Ok(0) } else { Ok(n + boxed(n - 1, source).await?) }
    }
    #[coalesce(cache(ttl = "60s"))]
    async fn cycle(_id: u64) -> Result<u64, Failure> {
        let next: Pin<Box<dyn Future<Output = Result<u64, Failure>> + Send>> = again();
        next.await
    }
    fn boxed(n: u64, source: Source) -> Pin<Box<dyn Future<Output = Result<u64, Failure>> + Send>> {
        Box::pin(triangle(n, source))
    }
    fn again() -> Pin<Box<dyn Future<Output = Result<u64, Failure>> + Send>> {
        Box::pin(cycle(7))
    }

    limited(async {
        let source = Source::default();
        assert_eq!(triangle(4, source.clone()).await.unwrap(), 10);
        assert_eq!(triangle(5, source.clone()).await.unwrap(), 15);
        assert_eq!(source.loads.get(), 6);
        let error = cycle(7).await.unwrap_err();
        assert!(matches!(error, Failure::NoAnswer(JoinError::Reentrant)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_body_finds_the_flight_of_its_load() {
    #[coalesce(cache(ttl = "60s"))]
    async fn load(_id: u64) -> u64 {
        u64::from(load_current_flight().is_some())
    }

    assert_eq!(limited(load(7)).await, 1);
    assert!(load_current_flight().is_none());
    assert_eq!(load_no_coalesce(7).await, 0);
    assert_eq!(load_stats().await.executions, 1);
}

//! Errors and panics of loads, and values that are kept as negative entries.

use std::{io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use shardflight::{JoinError, SharedError, TryJoinError, coalesce};
use tokio::time::advance;

use super::{Source, TICK, advance_to_before};
use crate::{
    results::Failure,
    support::{Count, limited, panic_quietly},
};

#[tokio::test]
async fn errors_are_shared_and_not_kept() {
    #[coalesce(cache(ttl = "60s"), skip(count))]
    async fn load(id: u64, count: &Count) -> Result<u64, Failure> {
        tokio::task::yield_now().await;
        if count.up() == 1 { Err(Failure::NoSuchUser) } else { Ok(id) }
    }

    limited(async {
        let count = Count::default();
        let both = tokio::join!(load(7, &count), load(7, &count));
        assert!(matches!(both, (Err(Failure::NoSuchUser), Err(Failure::NoSuchUser))));
        assert_eq!(load(7, &count).await.unwrap(), 7);
        assert_eq!(load_cache_stats().load_errors, 1);
    })
    .await;
}

#[tokio::test]
async fn errors_need_not_be_clone() {
    #[coalesce(cache(ttl = "60s"))]
    async fn any(id: u64) -> anyhow::Result<u64> {
        let _ = id;
        Err(io::Error::from(io::ErrorKind::NotFound).into())
    }
    #[coalesce(cache(ttl = "60s"))]
    async fn of_io() -> io::Result<u64> {
        Err(io::ErrorKind::NotFound.into())
    }
    #[derive(Debug, PartialEq)]
    enum Foreign {
        Work,
        Join,
    }
    #[coalesce(
        cache(ttl = "60s"),
        map_err = "|error| match error { TryJoinError::Work(_) => Foreign::Work, _ => Foreign::Join }"
    )]
    async fn mapped(is_panic: bool) -> Result<u64, Foreign> {
        if is_panic { panic_quietly("no".to_string()) } else { Err(Foreign::Work) }
    }
    #[coalesce(cache(ttl = "60s"))]
    async fn in_an_arc() -> Result<u64, TryJoinError<Arc<Foreign>>> {
        Err(TryJoinError::Work(Arc::new(Foreign::Work)))
    }

    limited(async {
        let error = any(7).await.unwrap_err();
        assert!(error.downcast_ref::<SharedError<anyhow::Error>>().unwrap().is::<io::Error>());
        assert_eq!(of_io().await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!((mapped(false).await, mapped(true).await), (Err(Foreign::Work), Err(Foreign::Join)));
        assert_eq!(in_an_arc().await.unwrap_err().into_work().as_deref(), Some(&Foreign::Work));
    })
    .await;
}

#[tokio::test]
async fn panics_reach_callers_and_are_not_kept() {
    #[coalesce(cache(ttl = "60s"), skip(count))]
    async fn plain(id: u64, count: Count) -> u64 {
        if count.up() == 1 { panic_quietly(format!("no {id}")) } else { id }
    }
    #[coalesce(cache(ttl = "60s"))]
    async fn result(id: u64) -> Result<u64, Failure> {
        panic_quietly(format!("no {id}"))
    }

    limited(async {
        let count = Count::default();
        let payload = AssertUnwindSafe(plain(7, count.clone())).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().unwrap(), "no 7");
        assert_eq!(plain(7, count.clone()).await, 7);
        let error = result(7).await.unwrap_err();
        let message = matches!(&error, Failure::NoAnswer(JoinError::Panicked(panic)) if panic.message() == "no 7");
        assert!(message, "{error:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn negative_errors_are_kept_for_a_time_of_their_own() {
    #[coalesce(
        cache(ttl = "60s", negative_ttl = "5s", negative_if = "|error| matches!(error, Failure::NoSuchUser)"),
        skip(source)
    )]
    async fn load(id: u64, source: &Source) -> Result<u64, Failure> {
        match source.load() {
            0 => Err(Failure::NoSuchUser),
            1 => Err(Failure::NoAnswer(JoinError::Aborted)),
            value => Ok(id + value),
        }
    }

    limited(async {
        let source = Source::of(1);
        assert!(matches!(load(7, &source).await, Err(Failure::NoAnswer(_))));
        source.set(0);
        assert!(matches!(load(7, &source).await, Err(Failure::NoSuchUser)), "the other error was not kept");
        source.set(10);
        advance_to_before(Duration::from_secs(5)).await;
        assert!(matches!(load(7, &source).await, Err(Failure::NoSuchUser)));
        assert_eq!((load_cache_stats().negative_hits, load_peek(7, &source)), (1, None));
        advance(TICK).await;
        assert_eq!(load(7, &source).await.unwrap(), 17);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn values_without_a_result_may_be_negative() {
    #[coalesce(cache(ttl = "60s", negative_ttl = "5s", negative_if = "Option::is_none"), skip(source))]
    async fn find(id: u64, source: &Source) -> Option<u64> {
        let _ = id;
        Some(source.load()).filter(|value| *value > 0)
    }

    limited(async {
        let source = Source::of(0);
        assert_eq!(find(7, &source).await, None);
        source.set(10);
        advance_to_before(Duration::from_secs(5)).await;
        assert_eq!((find(7, &source).await, find_cache_stats().negative_hits), (None, 1));
        advance(TICK).await;
        assert_eq!(find(7, &source).await, Some(10));
        source.set(0);
        advance_to_before(Duration::from_mins(1)).await;
        assert_eq!(find(7, &source).await, Some(10));
    })
    .await;
}

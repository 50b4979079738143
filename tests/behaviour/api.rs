//! What the types promise: bounds, `Display`, `Debug`.

use std::{
    collections::hash_map::DefaultHasher,
    error::Error,
    fmt::{Debug, Display},
    hash::BuildHasherDefault,
    sync::Arc,
};

use shardflight::{
    BuildError, Builder, CaughtPanic, Closed, Coalescer, Handle, JoinError, OnAbandon, Stats, TryJoinError,
};
use tokio::runtime;

use crate::support::{inside, limited, one_shard, poll_once, returning};

fn is_an_error<E: Clone + Debug + Display + Error + Send + Sync + 'static>() {}
fn is_shared<T: Send + Sync + 'static>() {}

fn debugs<T: Debug>(value: &T) {
    assert!(!format!("{value:?}").is_empty());
}

/// Neither `Sync` nor anything else that isn't asked for.
#[derive(PartialEq, Eq, Hash)]
struct PlainKey(std::marker::PhantomData<std::cell::Cell<i32>>);

#[test]
fn errors_can_be_cloned_boxed_and_sent() {
    is_an_error::<JoinError>();
    is_an_error::<TryJoinError<JoinError>>();
    is_an_error::<TryJoinError<std::fmt::Error>>();
    is_an_error::<TryJoinError<Arc<std::io::Error>>>();
    is_an_error::<Closed>();
    is_an_error::<BuildError>();
    is_an_error::<CaughtPanic>();
}

#[test]
fn handles_and_stats_can_be_shared_whatever_the_key() {
    struct PlainValue;

    is_shared::<Handle<PlainKey, PlainValue>>();
    is_shared::<Coalescer<PlainKey, PlainValue>>();
    is_shared::<Builder<PlainKey, PlainValue>>();
    is_shared::<Stats>();
    is_shared::<OnAbandon>();
}

#[tokio::test]
async fn everything_can_be_debugged() {
    let coalescer = Coalescer::<i32, i32>::default();
    debugs(&Coalescer::<i32, i32>::builder());
    debugs(&coalescer);
    debugs(&coalescer.handle());
    debugs(&coalescer.handle().join_shared(1, returning(7)));
    debugs(&coalescer.handle().stats().await.unwrap());
}

#[test]
fn every_error_says_something_of_its_own() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let handle = inside(&runtime, one_shard::<i32, i32>);
    drop(runtime);
    let closed = futures::executor::block_on(handle.stats()).unwrap_err();
    let said = [
        JoinError::Closed.to_string(),
        JoinError::Aborted.to_string(),
        BuildError::NoRuntime.to_string(),
        BuildError::ZeroShards.to_string(),
        BuildError::TooManyShards { shards: 9_999, limit: 4_096 }.to_string(),
    ];
    for (n, one) in said.iter().enumerate() {
        assert!(!one.is_empty());
        assert!(said[n + 1..].iter().all(|other| other != one));
    }
    assert!(said[4].contains("9999") && said[4].contains("4096"));
    assert_eq!(closed.to_string(), said[0]);
    assert!(matches!(JoinError::from(closed), JoinError::Closed));
}

#[test]
fn an_error_of_the_work_speaks_for_itself() {
    let inner = "x".parse::<i32>().unwrap_err();
    assert_eq!(TryJoinError::Work(inner.clone()).to_string(), inner.to_string());
    let outer = TryJoinError::<std::num::ParseIntError>::from(JoinError::Closed);
    assert_eq!(outer.to_string(), JoinError::Closed.to_string());
}

#[tokio::test]
#[should_panic(expected = "polled after it had given its answer")]
async fn a_join_polled_after_its_answer_panics() {
    let handle = one_shard::<i32, i32>();
    let mut join = handle.join(1, returning(7));
    limited(&mut join).await.unwrap();
    let _ = poll_once(&mut join);
}

#[tokio::test]
async fn the_hasher_may_be_chosen() {
    limited(async {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let coalescer = Coalescer::<String, i32>::builder().hasher(hasher).shards(2).build().unwrap();
        let handle = coalescer.handle();
        let answers = tokio::join!(handle.join("key", returning(1)), handle.join("key", returning(2)));
        assert_eq!((answers.0.unwrap(), answers.1.unwrap()), (1, 1));
    })
    .await;
}

/// Keys and values with references in them are the hard case for the compiler: it has to see that all futures are `Send`
/// for any lifetime.
#[tokio::test]
async fn every_operation_may_be_spawned_with_keys_and_values_that_hold_references() {
    limited(async {
        let coalescer = Coalescer::<&'static str, Result<&'static str, &'static str>>::new();
        let handle = coalescer.handle();
        let spawned = tokio::spawn(async move {
            let inner = handle.clone();
            let nested =
                move || async move { inner.try_join("inner", || async { Ok("value") }).await.map_err(|_| "no") };
            assert_eq!(handle.try_join("outer", nested).await.unwrap(), "value");
            assert_eq!(handle.try_join_shared("key", || async { Ok("value") }).await.unwrap(), "value");
            assert_eq!(handle.join("key", || async { Ok("value") }).await.unwrap(), Ok("value"));
            assert_eq!(*handle.join_shared("key", || async { Ok("value") }).await.unwrap(), Ok("value"));
            let limited_wait = handle.with_max_wait(std::time::Duration::from_secs(5));
            assert_eq!(limited_wait.join("key", || async { Err("error") }).await.unwrap(), Err("error"));
            handle.forget("key").await.unwrap();
            handle.forget_all().await.unwrap();
            handle.inspect(1).await.unwrap();
            handle.stats().await.unwrap();
            handle.reset_stats().await.unwrap();
            coalescer.shutdown(std::time::Duration::ZERO).await;
        });
        spawned.await.unwrap();
    })
    .await;
}

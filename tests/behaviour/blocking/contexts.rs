//! Where `blocking_join` may be called.

use std::{any::Any, panic::AssertUnwindSafe, sync::mpsc, thread};

use futures::FutureExt;
use shardflight::JoinError;
use tokio::{runtime, task::spawn_blocking};

use crate::support::{at_rest, limited, one_shard, watched};

fn message_of(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap()
}

#[tokio::test]
async fn async_code_is_refused_with_the_remedy() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let inner = handle.clone();
        let wrong = AssertUnwindSafe(async move { inner.blocking_join(1, || 7) }).catch_unwind();
        let message = message_of(wrong.await.unwrap_err().as_ref());
        assert!(message.contains("`join`") && message.contains("spawn_blocking"), "{message}");
        assert_eq!(at_rest(&handle).await.joins, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_work_is_refused_too() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let inner = handle.clone();
        let error = handle.join(1, || async move { inner.blocking_join(2, || 7).unwrap() }).await.unwrap_err();
        assert!(error.to_string().contains("spawn_blocking"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn the_blocking_pool_may_block() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let answer = spawn_blocking(move || handle.blocking_join(1, || 7));
        assert_eq!(answer.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn block_in_place_may_block() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let inner = handle.clone();
        let aside = tokio::spawn(async move { tokio::task::block_in_place(|| inner.blocking_join(1, || 7)) });
        assert_eq!(aside.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[test]
fn a_current_thread_runtime_elsewhere_serves_threads() {
    watched(|| {
        let (handles, handle) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let driver = thread::spawn(move || {
            runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                handles.send(one_shard::<i32, i32>()).unwrap();
                stopped.await.unwrap();
            });
        });
        let handle = handle.recv().unwrap();
        for key in 0..100 {
            assert_eq!(handle.blocking_join(key, move || key).unwrap(), key);
        }
        stop.send(()).unwrap();
        driver.join().unwrap();
        assert!(matches!(handle.blocking_join(1, || 7), Err(JoinError::Closed)));
    });
}

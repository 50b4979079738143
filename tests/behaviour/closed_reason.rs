//! Why a coalescer is closed: by a shutdown, or by the end of its runtime.

use std::{sync::LazyLock, time::Duration};

use futures::{executor::block_on, future::pending};
use shardflight::{ClosedReason, Coalescer, Handle, JoinError};
use tokio::runtime::{self, Runtime};

use crate::support::{assert_pending, inside, limited, one_shard, returning, two_workers, until, watched};

#[tokio::test]
async fn a_coalescer_that_takes_joins_is_not_closed() {
    let handle = one_shard::<i32, i32>();
    assert_eq!(handle.closed_reason(), None);
    assert_eq!(limited(handle.join(1, returning(7))).await.unwrap(), 7);
    assert_eq!(handle.closed_reason(), None);
}

#[tokio::test]
async fn a_shutdown_is_named_from_its_first_poll() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::new();
        let handle = coalescer.handle();
        let mut waiting = handle.join(1, pending);
        assert_pending(&mut waiting);
        let mut shutdown = Box::pin(coalescer.shutdown(Duration::from_mins(1)));
        assert_eq!(handle.closed_reason(), None);
        assert_pending(&mut shutdown);
        assert_eq!(handle.closed_reason(), Some(ClosedReason::ShutDown));
        assert!(matches!(handle.join(2, returning(7)).await, Err(JoinError::Closed)));
        drop(waiting);
        coalescer.shutdown(Duration::ZERO).await;
        shutdown.await;
        assert_eq!(handle.closed_reason(), Some(ClosedReason::ShutDown));
    })
    .await;
}

#[test]
fn the_end_of_the_runtime_is_named() {
    watched(|| {
        let runtime = two_workers();
        let coalescer: Coalescer<i32, i32> = inside(&runtime, Coalescer::new);
        let handle = coalescer.handle();
        assert_eq!(handle.closed_reason(), None);
        drop(runtime);
        assert!(matches!(block_on(handle.join(1, returning(7))), Err(JoinError::Closed)));
        assert_eq!(handle.closed_reason(), Some(ClosedReason::RuntimeEnded));
        block_on(coalescer.shutdown(Duration::ZERO));
        assert_eq!(handle.closed_reason(), Some(ClosedReason::RuntimeEnded), "it came first");
    });
}

#[test]
fn a_caller_that_hears_of_the_end_knows_its_reason() {
    watched(|| {
        for _ in 0..50 {
            let (home, abroad) = (two_workers(), two_workers());
            let handle = inside(&home, one_shard::<i32, i32>);
            let asking = handle.clone();
            let caller = abroad.spawn(async move {
                loop {
                    match asking.join(1, returning(7)).await {
                        Ok(7) | Err(JoinError::Aborted) => {}
                        answer => return (answer, asking.closed_reason()),
                    }
                }
            });
            block_on(until(&handle, |stats| stats.joins > 0));
            drop(home);
            assert_eq!(block_on(caller).unwrap(), (Err(JoinError::Closed), Some(ClosedReason::RuntimeEnded)));
        }
    });
}

#[test]
fn a_runtime_that_ends_after_a_shutdown_changes_no_reason() {
    watched(|| {
        let runtime = two_workers();
        let coalescer: Coalescer<i32, i32> = inside(&runtime, Coalescer::new);
        block_on(coalescer.shutdown(Duration::ZERO));
        drop(runtime);
        assert_eq!(coalescer.handle().closed_reason(), Some(ClosedReason::ShutDown));
    });
}

#[test]
fn the_reasons_say_what_happened() {
    assert!(ClosedReason::ShutDown.to_string().contains("was shut down"));
    assert!(ClosedReason::RuntimeEnded.to_string().contains("runtime"));
    let both = JoinError::Closed.to_string();
    assert!(both.contains("was shut down") && both.contains("runtime"));
}

#[test]
fn a_static_on_a_runtime_of_its_own_serves_one_test_runtime_after_another() {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(two_workers);
    static HANDLE: LazyLock<Handle<i32, i32>> =
        LazyLock::new(|| Coalescer::builder().build_on(RUNTIME.handle()).unwrap().handle());

    watched(|| {
        for n in 0..3 {
            let of_a_test = runtime::Builder::new_current_thread().build().unwrap();
            assert_eq!(of_a_test.block_on(HANDLE.join(1, returning(n))).unwrap(), n);
            drop(of_a_test);
            assert_eq!(HANDLE.closed_reason(), None);
        }
    });
}

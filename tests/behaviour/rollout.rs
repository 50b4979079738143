//! How much is coalesced, and the switch.

use std::{cell::Cell, future::pending};

use shardflight::{Coalescer, Handle, JoinError};

use crate::support::{Count, at_rest, embark, limited, one_shard, panic_quietly, poll_once};

fn rolled_out(fraction: f64) -> Handle<u32, u32> {
    Coalescer::builder().shards(2).rollout(fraction).build().unwrap().handle()
}

/// How many of a thousand keys are bypassed.
async fn bypassed(handle: &Handle<u32, u32>) -> u64 {
    let before = handle.stats().await.unwrap().bypasses;
    for key in 0..1_000_u32 {
        assert_eq!(handle.join(key, move || async move { key }).await.unwrap(), key);
    }
    at_rest(handle).await.bypasses - before
}

#[tokio::test]
async fn a_fraction_of_the_keys_is_coalesced_and_the_rest_bypassed() {
    limited(async {
        assert_eq!(bypassed(&rolled_out(0.0)).await, 1_000);
        assert_eq!(bypassed(&rolled_out(1.0)).await, 0);
        let tenth = bypassed(&rolled_out(0.1)).await;
        assert!((800..990).contains(&tenth), "{tenth}");
    })
    .await;
}

#[tokio::test]
async fn any_handle_changes_it_for_all() {
    limited(async {
        let handle = rolled_out(0.0);
        handle.clone().set_rollout(1.0).unwrap();
        assert_eq!(bypassed(&handle).await, 0);
        handle.clone().set_enabled(false);
        assert_eq!(bypassed(&handle).await, 1_000);
        handle.set_enabled(true);
        assert_eq!(bypassed(&handle).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_wholly_in_or_wholly_out() {
    limited(async {
        let handle = rolled_out(0.5);
        let out = bypassed(&handle).await;
        for _ in 0..5 {
            assert_eq!(bypassed(&handle).await, out);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_fraction_is_refused_and_changes_nothing() {
    limited(async {
        let handle = rolled_out(1.0);
        for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let refused = handle.set_rollout(fraction).unwrap_err();
            assert!(refused.to_string().contains(&fraction.to_string()), "{refused}");
        }
        assert_eq!(bypassed(&handle).await, 0);
    })
    .await;
}

#[tokio::test]
async fn bypassed_work_runs_in_its_caller_and_goes_with_it() {
    thread_local!(static HERE: Cell<bool> = const { Cell::new(false) });
    limited(async {
        let handle = rolled_out(0.0);
        let drops = Count::default();
        let held = drops.on_drop();
        let mut join = handle.join(1_u32, move || {
            HERE.set(true);
            async move {
                let _held = held;
                pending().await
            }
        });
        embark(&mut join);
        assert!(HERE.get(), "at the first poll, on the caller's own thread");
        drop(join);
        assert_eq!(drops.get(), 1);
        assert_eq!(at_rest(&handle).await.executions, 0);
    })
    .await;
}

#[tokio::test]
async fn a_panic_of_bypassed_work_is_an_error_of_its_caller() {
    limited(async {
        let handle = rolled_out(0.0);
        let error = handle.join(1_u32, || async { panic_quietly("out of line") }).await.unwrap_err();
        assert!(matches!(error, JoinError::Panicked(panic) if panic.message() == "out of line"));
    })
    .await;
}

#[tokio::test]
async fn flights_under_way_go_on_when_it_is_switched_off() {
    limited(async {
        let handle = one_shard::<u8, u8>();
        let gate = crate::support::Gate::new();
        let mut leader = handle.join(1, gate.then(7));
        embark(&mut leader);
        handle.set_enabled(false);
        assert_eq!(handle.join(1, || async { 8 }).await.unwrap(), 8);
        assert!(poll_once(&mut leader).is_pending());
        gate.open();
        assert_eq!(leader.await.unwrap(), 7);
    })
    .await;
}

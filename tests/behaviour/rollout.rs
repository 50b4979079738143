//! Rollout: coalescing for some keys, for all or for none.

use std::{cell::Cell, future::pending, task::Poll, thread, time::Duration};

use futures::future::join_all;
use shardflight::{Coalescer, Handle, InvalidRollout, JoinError};
use tokio::task;

use crate::support::{
    Count, Gate, assert_pending, at_rest, inside, limited, one_shard, panic_quietly, poll_once, returning, two_workers,
    watched,
};

fn rolled_out(fraction: f64) -> Handle<i32, i32> {
    Coalescer::builder().shards(4).rollout(fraction).build().unwrap().handle()
}

/// Which of a thousand keys are coalesced: joins each of them twice at once.
async fn coalesced(handle: &Handle<i32, i32>) -> Vec<bool> {
    let mut included = Vec::new();
    for key in 0..1_000 {
        let ran = Count::default();
        let work = |ran: Count| {
            move || async move {
                ran.up();
                task::yield_now().await;
                key
            }
        };
        let (first, second) = tokio::join!(handle.join(key, work(ran.clone())), handle.join(key, work(ran.clone())));
        assert_eq!((first.unwrap(), second.unwrap()), (key, key));
        included.push(ran.get() == 1);
    }
    at_rest(handle).await;
    included
}

fn share(included: &[bool]) -> usize {
    included.iter().filter(|included| **included).count()
}

#[tokio::test]
async fn all_keys_are_coalesced_by_default() {
    limited(async {
        let handle = one_shard();
        assert_eq!(share(&coalesced(&handle).await), 1_000);
        assert_eq!(handle.stats().await.unwrap().bypasses, 0);
    })
    .await;
}

#[tokio::test]
async fn with_a_rollout_of_zero_every_join_runs_its_own_work() {
    limited(async {
        let handle = rolled_out(0.0);
        assert_eq!(share(&coalesced(&handle).await), 0);
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.bypasses, stats.executions, stats.coalesced), (2_000, 2_000, 0, 0));
        assert_eq!(stats.per_shard().iter().map(|shard| shard.bypasses).sum::<u64>(), 2_000);
    })
    .await;
}

#[tokio::test]
async fn a_rollout_coalesces_that_fraction_of_the_keys() {
    limited(async {
        let handle = rolled_out(0.25);
        let first = coalesced(&handle).await;
        assert!((150..350).contains(&share(&first)), "{}", share(&first));
        // The same keys again: each is wholly in or wholly out.
        assert_eq!(coalesced(&handle).await, first);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_in_stays_in_as_the_rollout_grows() {
    limited(async {
        let handle = rolled_out(0.01);
        let mut before = coalesced(&handle).await;
        for fraction in [0.1, 0.5, 0.9, 1.0] {
            handle.set_rollout(fraction).unwrap();
            let now = coalesced(&handle).await;
            assert!(before.iter().zip(&now).all(|(before, now)| *now || !*before));
            assert!(share(&now) > share(&before));
            before = now;
        }
        assert_eq!(share(&before), 1_000);
    })
    .await;
}

#[tokio::test]
async fn any_handle_sets_the_rollout_for_all() {
    limited(async {
        let handle = rolled_out(1.0);
        handle.clone().with_max_wait(Duration::from_secs(1)).set_rollout(0.0).unwrap();
        handle.join(1, returning(7)).await.unwrap();
        assert_eq!(handle.stats().await.unwrap().bypasses, 1);
    })
    .await;
}

#[tokio::test]
async fn switching_on_again_restores_the_rollout() {
    limited(async {
        let handle = rolled_out(0.25);
        let before = coalesced(&handle).await;
        handle.set_enabled(false);
        assert_eq!(share(&coalesced(&handle).await), 0);
        handle.clone().set_enabled(true);
        assert_eq!(coalesced(&handle).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_rollout_set_while_switched_off_counts_later() {
    limited(async {
        let handle = rolled_out(0.0);
        handle.set_enabled(false);
        handle.set_rollout(1.0).unwrap();
        assert_eq!(share(&coalesced(&handle).await), 0);
        handle.set_enabled(true);
        assert_eq!(share(&coalesced(&handle).await), 1_000);
    })
    .await;
}

#[tokio::test]
async fn live_flights_go_on_when_switched_off() {
    limited(async {
        let (handle, gate) = (rolled_out(1.0), Gate::new());
        let mut leader = handle.join(1, gate.then(7));
        let mut follower = handle.join(1, returning(8));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        handle.set_enabled(false);
        assert_eq!(handle.join(1, returning(9)).await.unwrap(), 9);
        assert!(poll_once(&mut leader).is_pending() && poll_once(&mut follower).is_pending());
        gate.open();
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (7, 7));
    })
    .await;
}

#[tokio::test]
async fn bypassed_work_runs_in_its_callers_task() {
    limited(async {
        let handle = rolled_out(0.0);
        let caller = tokio::spawn(async move {
            let caller = task::id();
            let mut join = handle.join(1, move || async move { i32::from(task::id() == caller) });
            // Its own poll runs the work, so ready work is an answer at once.
            let Poll::Ready(answer) = poll_once(&mut join) else { panic!("it waits for another task") };
            answer.unwrap()
        });
        assert_eq!(caller.await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn bypassed_work_is_dropped_with_its_caller() {
    thread_local!(static IS_CALLED: Cell<bool> = const { Cell::new(false) });
    limited(async {
        let (handle, dropped) = (rolled_out(0.0), Count::default());
        let token = dropped.on_drop();
        let mut join = handle.join(1, move || {
            IS_CALLED.set(true);
            async move {
                let _token = token;
                pending().await
            }
        });
        assert_pending(&mut join);
        assert!(IS_CALLED.get(), "at the first poll, on the caller's own thread");
        assert_eq!(dropped.get(), 0);
        drop(join);
        assert_eq!(dropped.get(), 1);
        assert_eq!(at_rest(&handle).await.executions, 0);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_bypassed_work_is_its_callers_error() {
    limited(async {
        let handle = rolled_out(0.0);
        let in_future = handle.join(1, || async { panic_quietly("broken pipe") }).await.unwrap_err();
        let in_closure = handle.join(1, || -> futures::future::Ready<i32> { panic_quietly("broken pipe") });
        for error in [in_future, in_closure.await.unwrap_err()] {
            assert!(error.to_string().contains("broken pipe"));
            assert!(matches!(error, JoinError::Panicked(panic) if panic.message() == "broken pipe"));
        }
        assert_eq!(handle.join(1, returning(7)).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bypassed_callers_have_their_wait_timeout() {
    limited(async {
        let limit = Duration::from_secs(1);
        let answer = rolled_out(0.0).with_max_wait(limit).join(1, pending).await;
        assert!(matches!(answer, Err(JoinError::TimedOut { after }) if after == limit));
    })
    .await;
}

#[test]
fn bypassed_blocking_work_runs_on_its_callers_thread() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<i32, thread::ThreadId> =
            inside(&runtime, || Coalescer::builder().rollout(0.0).build().unwrap().handle());
        let here = thread::current().id();
        assert_eq!(handle.blocking_join(1, || thread::current().id()).unwrap(), here);
        let panicked = handle.blocking_join(1, || panic_quietly("broken pipe")).unwrap_err();
        assert!(panicked.to_string().contains("broken pipe"));
        assert_eq!(runtime.block_on(handle.stats()).unwrap().bypasses, 2);
    });
}

#[tokio::test]
async fn bypasses_are_reset_with_the_other_counters() {
    limited(async {
        let handle = rolled_out(0.0);
        join_all((0..10).map(|key| handle.join(key, returning(7)))).await;
        handle.reset_stats().await.unwrap();
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.bypasses), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn an_invalid_rollout_is_refused_and_changes_nothing() {
    limited(async {
        let handle = rolled_out(1.0);
        for fraction in [-0.1, 1.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let InvalidRollout { fraction: refused, .. } = handle.set_rollout(fraction).unwrap_err();
            assert_eq!(refused.to_bits(), fraction.to_bits());
            let message = handle.set_rollout(fraction).unwrap_err().to_string();
            assert!(message.contains(&fraction.to_string()) && message.contains("0.0 and 1.0"), "{message}");
        }
        assert_eq!(share(&coalesced(&handle).await), 1_000);
        assert_eq!(handle.stats().await.unwrap().bypasses, 0);
    })
    .await;
}

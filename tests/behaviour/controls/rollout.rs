//! Coalescing for some keys, for all, or for none, while traffic flows.

use std::{future::pending, task::Poll, time::Duration};

use futures::future::{join_all, ready};
use shardflight::{Coalescer, Handle, InvalidRollout, JoinError};
use tokio::task;

use crate::support::{
    Count, at_rest, embark, inside, limited, one_shard, panic_quietly, poll_once, two_workers, watched,
};

fn rolled_out(fraction: f64) -> Handle<i32, i32> {
    Coalescer::builder().shards(4).rollout(fraction).build().unwrap().handle()
}

/// Which of a thousand keys are coalesced, found out by joining each of them twice at once.
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
async fn all_keys_are_in_unless_told_otherwise() {
    limited(async {
        let handle = one_shard();
        assert_eq!(share(&coalesced(&handle).await), 1_000);
        assert_eq!(handle.stats().await.unwrap().bypasses, 0);
    })
    .await;
}

#[tokio::test]
async fn with_nothing_rolled_out_every_join_runs_its_own_work() {
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
async fn a_fraction_is_about_that_fraction_of_the_keys() {
    limited(async {
        let handle = rolled_out(0.25);
        let first = coalesced(&handle).await;
        assert!((150..350).contains(&share(&first)), "{}", share(&first));
        // One key is wholly in or wholly out.
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
async fn any_handle_changes_it_for_all() {
    limited(async {
        let handle = rolled_out(1.0);
        handle.clone().with_max_wait(Duration::from_secs(1)).set_rollout(0.0).unwrap();
        handle.join(1, || ready(7)).await.unwrap();
        assert_eq!(handle.stats().await.unwrap().bypasses, 1);
    })
    .await;
}

#[tokio::test]
async fn the_switch_turns_it_off_at_once_and_on_again_as_it_was() {
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
async fn a_rollout_set_while_it_is_off_counts_once_it_is_on() {
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
async fn flights_under_way_go_on_when_it_is_turned_off() {
    limited(async {
        let handle = rolled_out(1.0);
        let mut leader = handle.join(1, || async {
            task::yield_now().await;
            7
        });
        let mut follower = handle.join(1, || ready(8));
        embark(&mut leader);
        embark(&mut follower);
        handle.set_enabled(false);
        assert_eq!(handle.join(1, || ready(9)).await.unwrap(), 9);
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (7, 7));
    })
    .await;
}

#[tokio::test]
async fn bypassed_work_runs_in_its_callers_task_and_goes_with_it() {
    limited(async {
        let (handle, dropped) = (rolled_out(0.0), Count::default());
        let task = tokio::spawn({
            let handle = handle.clone();
            async move {
                let ran_in = handle.join(1, || async { i32::from(task::try_id().is_some()) });
                let mut join = handle.join_shared(2, || async {
                    let id = task::id();
                    i32::from(id == task::id())
                });
                assert!(matches!(poll_once(&mut join), Poll::Ready(Ok(_))), "it takes no turn of anyone else's");
                ran_in.await
            }
        });
        assert_eq!(task.await.unwrap().unwrap(), 1);
        let token = dropped.on_drop();
        let mut hasty = handle.join(1, move || async move {
            let _token = token;
            pending().await
        });
        embark(&mut hasty);
        assert_eq!(dropped.get(), 0);
        drop(hasty);
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_bypassed_work_is_panicked() {
    limited(async {
        let handle = rolled_out(0.0);
        let in_future = handle.join(1, || async { panic_quietly("broken pipe") }).await.unwrap_err();
        let in_closure = handle.join(1, || -> futures::future::Ready<i32> { panic_quietly("broken pipe") });
        for error in [in_future, in_closure.await.unwrap_err()] {
            assert!(matches!(error, JoinError::Panicked(_)));
            assert!(error.to_string().contains("broken pipe"));
        }
        assert_eq!(handle.join(1, || ready(7)).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bypassed_callers_keep_their_patience() {
    limited(async {
        let limit = Duration::from_secs(1);
        let answer = rolled_out(0.0).with_max_wait(limit).join(1, pending).await;
        assert!(matches!(answer, Err(JoinError::TimedOut { after }) if after == limit));
    })
    .await;
}

#[test]
fn bypassed_blocking_work_runs_on_the_thread_that_brought_it() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<i32, std::thread::ThreadId> =
            inside(&runtime, || Coalescer::builder().rollout(0.0).build().unwrap().handle());
        let here = std::thread::current().id();
        assert_eq!(handle.blocking_join(1, || std::thread::current().id()).unwrap(), here);
        let panicked = handle.blocking_join(1, || panic_quietly("broken pipe")).unwrap_err();
        assert!(panicked.to_string().contains("broken pipe"));
        assert_eq!(runtime.block_on(handle.stats()).unwrap().bypasses, 2);
    });
}

#[tokio::test]
async fn bypasses_are_reset_with_the_other_counters() {
    limited(async {
        let handle = rolled_out(0.0);
        join_all((0..10).map(|key| handle.join(key, || ready(7)))).await;
        handle.reset_stats().await.unwrap();
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.bypasses), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_fraction_is_refused_by_value_and_changes_nothing() {
    limited(async {
        let handle = rolled_out(1.0);
        for fraction in [-0.1, 1.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let InvalidRollout { fraction: told, .. } = handle.set_rollout(fraction).unwrap_err();
            assert_eq!(told.to_bits(), fraction.to_bits());
            let said = handle.set_rollout(fraction).unwrap_err().to_string();
            assert!(said.contains(&fraction.to_string()) && said.contains("0.0 and 1.0"), "{said}");
        }
        handle.join(1, || ready(7)).await.unwrap();
        assert_eq!(handle.stats().await.unwrap().bypasses, 0);
    })
    .await;
}

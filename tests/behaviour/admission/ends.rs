//! A permit is given back however its execution ends, and what has not begun may never begin.

use std::{future::pending, time::Duration};

use futures::future::FutureExt;
use shardflight::{Freshness, JoinError, OnAbandon, RunWork};

use super::{Site, join_by, open};
use crate::support::{
    Gate, assert_pending, at_rest, limited, panic_quietly, poll_once, settle, two_workers, until, watched,
};

#[tokio::test(start_paused = true)]
async fn a_permit_is_given_back_after_panics_aborts_and_deadlines() {
    limited(async {
        for policy in [OnAbandon::Finish, OnAbandon::Abort] {
            let limit = Duration::from_secs(1);
            let site = Site::new(1, |builder| builder.on_abandon(policy).max_flight_duration(limit));
            let panics = site.doing(1, || panic_quietly("no"));
            assert!(matches!(join_by(&site.handle, 1, panics).await, Err(JoinError::Panicked(_))));
            let panics = site.doing(1, || async { panic_quietly("later") }.boxed());
            assert!(matches!(join_by(&site.handle, 1, panics).await, Err(JoinError::Panicked(_))));
            let mut left = site.join(2, &Gate::new());
            assert_pending(&mut left);
            settle().await;
            drop(left);
            // Under `Finish`, its deadline has it end.
            let hangs = site.doing(3, || pending().boxed());
            let hangs = join_by(&site.handle, 3, hangs).await;
            assert_eq!(hangs, Err(JoinError::TimedOut { after: limit }));
            assert_eq!(site.join(4, &open()).await, Ok(4));
            assert_eq!(at_rest(&site.handle).await.executing, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_flight_that_waits_never_runs() {
    limited(async {
        for policy in [OnAbandon::Finish, OnAbandon::Abort] {
            let (site, gate) = Site::occupied(|builder| builder.on_abandon(policy).max_queued(1)).await;
            let mut joins = [site.join(1, &open()), site.join(1, &open())];
            joins.iter_mut().for_each(assert_pending);
            assert_eq!(until(&site.handle, |stats| stats.queue_len == 1).await.waiters, 3);
            drop(joins);
            // Its place is free at once, and its key.
            let mut other = site.join(2, &open());
            assert_pending(&mut other);
            assert_eq!(site.join(1, &open()).await, Err(JoinError::Overloaded { limit: 1 }), "{policy:?}");
            gate.open();
            assert_eq!(other.await, Ok(2));
            assert_eq!(site.join(1, &open()).await, Ok(1));
            assert_eq!(site.begun().await, [2, 1], "{policy:?}");
            assert_eq!(at_rest(&site.handle).await.aborts, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_flight_that_has_begun_runs_to_its_end() {
    limited(async {
        let site = Site::new(1, |builder| builder);
        let mut join = site.join(1, &open());
        assert_pending(&mut join);
        drop(join);
        at_rest(&site.handle).await;
        assert_eq!(site.begun().await, [1]);
    })
    .await;
}

#[tokio::test]
async fn a_successor_waits_as_any_other_and_never_begins_if_it_is_abandoned() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let fresh = site.handle.with_freshness(Freshness::StartedAfterCall);
        let mut successor = join_by(&fresh, 0, site.work(0, &open()));
        assert_pending(&mut successor);
        drop(successor);
        let mut successor = join_by(&fresh, 0, site.work(0, &open()));
        let mut other = site.join(1, &open());
        [&mut successor, &mut other].into_iter().for_each(assert_pending);
        gate.open();
        assert_eq!((successor.await, other.await), (Ok(0), Ok(1)));
        assert_eq!(site.begun().await, [1, 0], "it asks for a permit when it may begin");
        at_rest(&site.handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_flight_keeps_its_place() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let mut forgotten = site.join(1, &open());
        assert_pending(&mut forgotten);
        assert!(site.handle.forget(1).await.unwrap());
        let mut next = site.join(1, &open());
        assert_pending(&mut next);
        gate.open();
        assert_eq!((forgotten.await, next.await), (Ok(1), Ok(1)));
        assert_eq!(site.begun().await, [1, 1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_flights_begin_until_its_end_and_no_later() {
    limited(async {
        for opens in [true, false] {
            let coalescer = shardflight::Coalescer::builder().max_executions(1).build().unwrap();
            let site = Site { handle: coalescer.handle(), ..Site::new(1, |builder| builder) };
            let gate = Gate::new();
            let mut joins = [site.join(0, &gate), site.join(1, &open())];
            joins.iter_mut().for_each(assert_pending);
            let shutdown = tokio::spawn(async move { coalescer.shutdown(Duration::from_secs(1)).await });
            settle().await;
            if opens {
                gate.open();
            }
            let [first, second] = joins;
            let expected = |key| if opens { Ok(key) } else { Err(JoinError::Closed) };
            assert_eq!((first.await, second.await), (expected(0), expected(1)));
            shutdown.await.unwrap();
            assert_eq!(site.begun().await.len(), if opens { 2 } else { 1 });
        }
    })
    .await;
}

#[test]
fn the_end_of_a_runtime_answers_those_that_wait() {
    watched(|| {
        let runtime = two_workers();
        let (site, joins) = runtime.block_on(async {
            let (site, _gate) = Site::occupied(|builder| builder).await;
            let mut joins: Vec<_> = (1..5).map(|key| site.join(key, &open())).collect();
            until(&site.handle, |stats| stats.executing == 1).await;
            joins.iter_mut().for_each(assert_pending);
            (site, joins)
        });
        drop(runtime);
        for join in joins {
            assert!(matches!(futures::executor::block_on(join), Err(JoinError::Aborted | JoinError::Closed)));
        }
        drop(site);
    });
}

#[tokio::test]
async fn leaders_that_would_poll_their_own_work_and_are_polled_no_more_stall_none() {
    limited(async {
        let site = Site::new(1, |builder| builder.run_work(RunWork::InPlace).no_flight_deadline());
        let gate = Gate::new();
        // Each polled once: one that begins, and one that has to wait.
        let mut joins = [site.join(0, &gate), site.join(1, &open())];
        joins.iter_mut().for_each(assert_pending);
        gate.open();
        assert_eq!(site.join(2, &open()).await, Ok(2));
        assert_eq!(site.begun().await, [0, 1, 2]);
        assert!(joins.iter_mut().all(|join| poll_once(join).is_ready()));
        assert_eq!(at_rest(&site.handle).await.executing, 0);
    })
    .await;
}

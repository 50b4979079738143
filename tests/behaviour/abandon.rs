//! Work whose callers have all left (G10).

use std::future::pending;

use futures::executor::block_on;
use shardflight::Handle;

use crate::busy_shard::{BusyShard, SlowKey};
use crate::support::{
    Count, CountsDrop, Gate, Wall, assert_pending, at_rest, eventually, eventually_blocking, inside, limited,
    one_aborting_shard, one_shard, returning, settle, two_workers, until, watched,
};

#[tokio::test]
async fn finish_lets_abandoned_work_run_to_its_end() {
    limited(async {
        let handle = one_shard::<i32, ()>();
        let (gate, ends) = (Gate::new(), Count::default());
        let work = {
            let (gate, ends) = (gate.clone(), ends.clone());
            move || async move {
                gate.pass().await;
                ends.up();
            }
        };
        let mut leader = handle.join(1, work);
        assert_pending(&mut leader);
        until(&handle, |stats| stats.waiters == 1).await;
        drop(leader);
        assert_eq!(until(&handle, |stats| stats.waiters == 0).await.flights, 1);
        gate.open();
        assert_eq!(at_rest(&handle).await.aborts, 0);
        assert_eq!(ends.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn finish_lets_later_callers_share_abandoned_work() {
    limited(async {
        let handle = one_shard::<i32, &str>();
        let gate = Gate::new();
        let work = {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                "the first leader's"
            }
        };
        let mut leader = handle.join(1, work);
        assert_pending(&mut leader);
        settle().await;
        drop(leader);
        settle().await;
        let mut late = handle.join(1, returning("its own"));
        assert_pending(&mut late);
        settle().await;
        gate.open();
        assert_eq!(late.await.unwrap(), "the first leader's");
    })
    .await;
}

/// A caller of work that never ends by itself, and how often such work was dropped.
fn endless(handle: &Handle<i32, i32>, dropped: &Count) -> impl Future + Unpin + Send + 'static + use<> {
    let token = dropped.on_drop();
    handle.join(1, move || async move {
        let _token = token;
        pending().await
    })
}

#[tokio::test]
async fn abort_drops_the_work_when_the_last_caller_leaves() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard(), Count::default());
        let mut leader = endless(&handle, &dropped);
        assert_pending(&mut leader);
        until(&handle, |stats| stats.executions == 1).await;
        settle().await;
        assert_eq!(dropped.get(), 0);
        drop(leader);
        eventually(|| dropped.get() == 1).await;
        assert_eq!(at_rest(&handle).await.aborts, 1);
    })
    .await;
}

#[tokio::test]
async fn abort_waits_for_the_last_caller() {
    limited(async {
        for last in 0..4 {
            let (handle, dropped) = (one_aborting_shard(), Count::default());
            let leader = endless(&handle, &dropped);
            let mut callers = vec![Some(leader)];
            callers.extend((1..4).map(|_| Some(endless(&handle, &Count::default()))));
            callers.iter_mut().flatten().for_each(assert_pending);
            settle().await;
            for (number, caller) in callers.iter_mut().enumerate() {
                if number != last {
                    *caller = None;
                    settle().await;
                }
            }
            assert_eq!(handle.stats().await.unwrap().waiters, 1);
            assert_eq!(dropped.get(), 0);
            callers[last] = None;
            eventually(|| dropped.get() == 1).await;
            assert_eq!(at_rest(&handle).await.aborts, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn abort_unmaps_the_flight_so_that_the_next_join_starts_anew() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard(), Count::default());
        for round in 0..100 {
            let mut leader = endless(&handle, &dropped);
            assert_pending(&mut leader);
            until(&handle, |stats| stats.waiters == 1).await;
            drop(leader);
            // At once: the departure is on its way, the work not dropped yet.
            assert_eq!(handle.join(1, returning(round)).await.unwrap(), round);
        }
        eventually(|| dropped.get() == 100).await;
        let stats = at_rest(&handle).await;
        assert_eq!((stats.executions, stats.aborts), (100, 100), "the others were dropped before they were called");
    })
    .await;
}

#[test]
fn work_whose_callers_left_before_their_shard_saw_them_never_runs() {
    watched(|| {
        for build in [one_shard::<SlowKey, i32>, one_aborting_shard] {
            let runtime = two_workers();
            let handle = inside(&runtime, build);
            let (calls, dropped) = (Count::default(), Count::default());
            let (called, token) = (calls.clone(), dropped.on_drop());
            let busy = BusyShard::of(&handle);
            let mut leaves = handle.join(SlowKey::new(1), move || {
                let _token = token;
                called.up();
                pending()
            });
            assert_pending(&mut leaves);
            drop(leaves);
            busy.free();
            eventually_blocking(|| dropped.get() == 1);
            assert_eq!(calls.get(), 0);
            let stats = block_on(at_rest(&handle));
            // Those that kept the shard busy.
            assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.departures), (2, 1, 1, 0));
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_survives_a_thousand_callers_leaving_at_once() {
    limited(async {
        let (handle, dropped) = (one_aborting_shard(), Count::default());
        let mut callers: Vec<_> = (0..1_000).map(|_| endless(&handle, &dropped)).collect();
        callers.iter_mut().for_each(assert_pending);
        until(&handle, |stats| stats.waiters == 1_000).await;
        drop(callers);
        let stats = at_rest(&handle).await;
        assert_eq!((stats.aborts, stats.departures), (1, 1_000));
        eventually(|| dropped.get() == 1_000).await;
    })
    .await;
}

#[test]
fn the_late_result_of_aborted_work_changes_nothing() {
    watched(|| {
        let runtime = two_workers();
        let (wall, opener) = Wall::new();
        let (running, late) = (Count::default(), Count::default());
        // A result that counts its drop.
        let handle: Handle<i32, CountsDrop> = inside(&runtime, one_aborting_shard);
        let mut old = {
            let (running, result) = (running.clone(), late.on_drop());
            handle.join_shared(1, move || {
                running.up();
                // The thread is in the middle of it: the abort can't take hold before this poll has its result.
                wall.block();
                std::future::ready(result)
            })
        };
        assert_pending(&mut old);
        eventually_blocking(|| running.get() == 1);
        drop(old);
        runtime.block_on(limited(async {
            until(&handle, |stats| stats.aborts == 1).await;
            let gate = Gate::new();
            let fresh = Count::default();
            let mut new = {
                let (passed, result) = (gate.pass(), fresh.on_drop());
                handle.join_shared(1, move || async move {
                    passed.await;
                    result
                })
            };
            assert_pending(&mut new);
            until(&handle, |stats| stats.executions == 2).await;
            drop(opener);
            eventually(|| late.get() == 1).await;
            assert_eq!(handle.stats().await.unwrap().flights, 1);
            gate.open();
            let answer = new.await.unwrap();
            assert_eq!(fresh.get(), 0);
            drop(answer);
            assert_eq!((fresh.get(), late.get()), (1, 1));
            assert_eq!(at_rest(&handle).await.aborts, 1);
        }));
    });
}

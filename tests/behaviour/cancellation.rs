//! Callers come and go without effect on others (G2).

use futures::{executor::block_on, future::join_all};
use tokio::task::JoinSet;

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Count, Gate, assert_pending, at_rest, inside, limited, one_aborting_shard, one_shard, panic_quietly, returning,
        settle, two_workers, until, watched,
    },
};

#[tokio::test]
async fn a_leader_that_hangs_up_leaves_its_followers_their_answer() {
    limited(async {
        let handle = one_shard::<i32, usize>();
        let (gate, executions) = (Gate::new(), Count::default());
        let work = {
            let (gate, executions) = (gate.clone(), executions.clone());
            move || async move {
                let execution = executions.up();
                gate.pass().await;
                execution
            }
        };
        let leader = tokio::spawn(handle.join(1, work.clone()));
        until(&handle, |stats| stats.waiters == 1).await;
        let follower = tokio::spawn(handle.join(1, work));
        until(&handle, |stats| stats.waiters == 2).await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        gate.open();
        assert_eq!(follower.await.unwrap().unwrap(), 1);
        assert_eq!(executions.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn work_that_is_to_be_dropped_when_abandoned_survives_its_leader() {
    limited(async {
        let handle = one_aborting_shard::<i32, usize>();
        let (gate, executions) = (Gate::new(), Count::default());
        let work = {
            let (gate, executions) = (gate.clone(), executions.clone());
            move || async move {
                let execution = executions.up();
                gate.pass().await;
                execution
            }
        };
        let mut leader = handle.join(1, work.clone());
        let mut follower = handle.join(1, work);
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        settle().await;
        drop(leader);
        settle().await;
        gate.open();
        assert_eq!(follower.await.unwrap(), 1);
        assert_eq!(at_rest(&handle).await.aborts, 0);
    })
    .await;
}

#[test]
fn a_caller_that_leaves_before_its_shard_sees_it_leads_nothing() {
    watched(|| {
        let runtime = two_workers();
        let handle = inside(&runtime, one_shard::<SlowKey, i32>);
        let busy = BusyShard::of(&handle);
        let mut leaves = handle.join(SlowKey::new(1), returning(1));
        assert_pending(&mut leaves);
        let mut next = handle.join(SlowKey::new(1), returning(2));
        assert_pending(&mut next);
        drop(leaves);
        busy.free();
        assert_eq!(block_on(next).unwrap(), 2);
    });
}

#[tokio::test]
async fn a_caller_that_panics_harms_no_other() {
    limited(async {
        let handle = one_aborting_shard::<i32, i32>();
        let gate = Gate::new();
        let work = {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                7
            }
        };
        let mut leader = handle.join(1, work);
        let mut follower = handle.join(1, returning(0));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        let unwound = tokio::spawn(async move {
            let _leader = leader;
            panic_quietly("an unlucky caller")
        });
        assert!(unwound.await.unwrap_err().is_panic());
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn three_hundred_departures_leave_a_follower_its_answer() {
    limited(async {
        for handle in [one_shard::<i32, usize>(), one_aborting_shard()] {
            let (gate, executions) = (Gate::new(), Count::default());
            let work = {
                let (gate, executions) = (gate.clone(), executions.clone());
                move || async move {
                    executions.up();
                    gate.pass().await;
                    7
                }
            };
            let mut first = handle.join(1, work.clone());
            assert_pending(&mut first);
            let follower = tokio::spawn(handle.join(1, work.clone()));
            settle().await;
            drop(first);
            for _ in 0..300 {
                let leaves = tokio::spawn(handle.join(1, work.clone()));
                until(&handle, |stats| stats.waiters == 2).await;
                leaves.abort();
                assert!(leaves.await.unwrap_err().is_cancelled());
            }
            gate.open();
            assert_eq!(follower.await.unwrap().unwrap(), 7);
            assert_eq!(executions.get(), 1);
            assert_eq!(at_rest(&handle).await.departures, 301);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_join_works_after_all_callers_have_hung_up() {
    limited(async {
        for handle in [one_shard::<i32, i32>(), one_aborting_shard()] {
            let gate = Gate::new();
            let work = {
                let gate = gate.clone();
                move || async move {
                    gate.pass().await;
                    7
                }
            };
            let mut callers = JoinSet::new();
            for _ in 0..100 {
                callers.spawn(handle.join(1, work.clone()));
            }
            until(&handle, |stats| stats.waiters == 100).await;
            callers.shutdown().await;
            until(&handle, |stats| stats.waiters == 0 && stats.departures == 100).await;
            gate.open();
            assert_eq!(handle.join(1, work).await.unwrap(), 7);
        }
    })
    .await;
}

#[tokio::test]
async fn remaining_callers_are_answered() {
    limited(async {
        let handle = one_aborting_shard::<i32, usize>();
        let (gate, executions) = (Gate::new(), Count::default());
        let mut callers: Vec<_> = (0..1_000)
            .map(|_| {
                let (gate, executions) = (gate.clone(), executions.clone());
                handle.join(1, move || async move {
                    gate.pass().await;
                    executions.up()
                })
            })
            .collect();
        callers.iter_mut().for_each(assert_pending);
        settle().await;
        let mut number = 0;
        callers.retain(|_| {
            number += 1;
            number % 3 == 0
        });
        gate.open();
        let answers = join_all(callers).await;
        assert_eq!(answers.len(), 333);
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 1));
        assert_eq!(at_rest(&handle).await.departures, 667);
    })
    .await;
}

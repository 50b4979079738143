//! Forgetting detaches: a forgotten flight answers its callers and takes no more (G9).

use futures::future::join_all;
use shardflight::{Coalescer, Handle, JoinError};

use crate::support::{
    Count, Gate, assert_pending, at_rest, limited, one_aborting_shard, one_shard, panic_quietly, poll_once, returning,
    until,
};

/// A new flight whose work waits at a gate of its own.
async fn start(handle: &Handle<i32, i32>, value: i32) -> (Gate, impl Future<Output = Result<i32, JoinError>> + Unpin) {
    let gate = Gate::new();
    let work = {
        let gate = gate.clone();
        move || async move {
            gate.pass().await;
            value
        }
    };
    let mut join = handle.join(1, work);
    assert_pending(&mut join);
    handle.stats().await.unwrap();
    (gate, join)
}

#[tokio::test]
async fn the_join_after_a_forget_starts_anew_while_the_old_flight_goes_on() {
    limited(async {
        let handle = one_shard();
        let (old_gate, old) = start(&handle, 1).await;
        assert!(handle.forget(1).await.unwrap());
        assert_eq!(handle.join(1, returning(2)).await.unwrap(), 2);
        old_gate.open();
        assert_eq!(old.await.unwrap(), 1);
        assert_eq!(at_rest(&handle).await.executions, 2);
    })
    .await;
}

#[tokio::test]
async fn an_old_completion_never_touches_the_new_flight() {
    limited(async {
        let handle = one_shard();
        let (old_gate, old) = start(&handle, 1).await;
        handle.forget(1).await.unwrap();
        let (new_gate, new) = start(&handle, 2).await;
        old_gate.open();
        assert_eq!(old.await.unwrap(), 1);
        // If the old flight had taken the new one's place in the map with it, this would start a third.
        let mut follower = handle.join(1, returning(3));
        assert_pending(&mut follower);
        assert_eq!(handle.stats().await.unwrap().flights, 1);
        new_gate.open();
        assert_eq!(new.await.unwrap(), 2);
        assert_eq!(follower.await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn the_new_flight_may_end_before_the_old_one() {
    limited(async {
        let handle = one_shard();
        let (old_gate, mut old) = start(&handle, 1).await;
        handle.forget(1).await.unwrap();
        let (new_gate, new) = start(&handle, 2).await;
        new_gate.open();
        assert_eq!(new.await.unwrap(), 2);
        assert!(poll_once(&mut old).is_pending());
        assert_eq!(handle.stats().await.unwrap().flights, 1);
        assert_eq!(handle.join(1, returning(3)).await.unwrap(), 3);
        old_gate.open();
        assert_eq!(old.await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn forget_says_whether_there_was_a_live_flight() {
    limited(async {
        let handle = one_shard();
        assert!(!handle.forget(1).await.unwrap());
        let (gate, join) = start(&handle, 1).await;
        assert!(!handle.forget(2).await.unwrap());
        assert!(handle.forget(1).await.unwrap());
        assert!(!handle.forget(1).await.unwrap(), "it was forgotten before");
        gate.open();
        join.await.unwrap();
        assert!(!handle.forget(1).await.unwrap());
        assert_eq!(at_rest(&handle).await.forgets, 1);
    })
    .await;
}

#[tokio::test]
async fn a_hundred_forgotten_flights_each_answer_their_own_callers() {
    limited(async {
        let handle = one_shard();
        let mut flights = Vec::new();
        for value in 0..100 {
            let (gate, leader) = start(&handle, value).await;
            let mut follower = handle.join(1, || async { unreachable!("a follower's") });
            assert_pending(&mut follower);
            assert!(handle.forget(1).await.unwrap());
            flights.push((value, gate, leader, follower));
        }
        assert_eq!(handle.stats().await.unwrap().flights, 100);
        for (value, gate, leader, follower) in flights.into_iter().rev() {
            gate.open();
            assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (value, value));
        }
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_forget_takes_effect_even_if_it_is_dropped_after_its_first_poll() {
    limited(async {
        let handle = one_shard();
        let (gate, old) = start(&handle, 1).await;
        let mut question = Box::pin(handle.forget(1));
        let _ = poll_once(&mut question);
        drop(question);
        until(&handle, |stats| stats.forgets == 1).await;
        assert_eq!(handle.join(1, returning(2)).await.unwrap(), 2);
        gate.open();
        assert_eq!(old.await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_forget_never_polled_forgets_nothing() {
    limited(async {
        let handle = one_shard();
        let (gate, leader) = start(&handle, 1).await;
        drop(handle.forget(1));
        drop(handle.forget_all());
        let mut follower = handle.join(1, returning(2));
        assert_pending(&mut follower);
        handle.stats().await.unwrap();
        gate.open();
        assert_eq!((leader.await.unwrap(), follower.await.unwrap()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_flights_panic_is_its_own_callers_alone() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let gate = Gate::new();
        let work = {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                panic_quietly("the old one")
            }
        };
        let mut old = handle.join(1, work);
        assert_pending(&mut old);
        handle.forget(1).await.unwrap();
        let (new_gate, new) = start(&handle, 2).await;
        gate.open();
        assert!(matches!(old.await, Err(JoinError::Panicked(_))));
        new_gate.open();
        assert_eq!(new.await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_forgotten_flight_takes_only_its_own_work_with_it() {
    limited(async {
        let handle = one_aborting_shard();
        let (_old_gate, old) = start(&handle, 1).await;
        handle.forget(1).await.unwrap();
        let (new_gate, new) = start(&handle, 2).await;
        drop(old);
        assert_eq!(until(&handle, |stats| stats.aborts == 1).await.flights, 1);
        new_gate.open();
        assert_eq!(new.await.unwrap(), 2);
        assert_eq!(at_rest(&handle).await.aborts, 1);
    })
    .await;
}

#[tokio::test]
async fn forget_all_detaches_every_flight_of_every_shard_once() {
    limited(async {
        let handle = Coalescer::<i32, usize>::builder().shards(8).build().unwrap().handle();
        let (gate, executions) = (Gate::new(), Count::default());
        let join = |key: i32| {
            let (gate, executions) = (gate.clone(), executions.clone());
            handle.join(key, move || async move {
                executions.up();
                gate.pass().await;
                usize::try_from(key).unwrap()
            })
        };
        let mut old: Vec<_> = (0..100).map(join).collect();
        old.iter_mut().for_each(assert_pending);
        assert!(handle.forget(7).await.unwrap());
        assert_eq!(handle.forget_all().await.unwrap(), 99);
        assert_eq!(handle.forget_all().await.unwrap(), 0);
        let mut new: Vec<_> = (0..100).map(join).collect();
        new.iter_mut().for_each(assert_pending);
        gate.open();
        for (key, answer) in join_all(old).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), key);
        }
        join_all(new).await;
        assert_eq!(executions.get(), 200);
        assert_eq!(at_rest(&handle).await.forgets, 100);
    })
    .await;
}

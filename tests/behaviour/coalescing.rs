//! One execution for all concurrent callers of a key (G1), and its result for each.

use std::{
    cell::Cell,
    collections::HashSet,
    sync::{Arc, Mutex},
};

use futures::future::join_all;
use shardflight::{Coalescer, Handle};
use tokio::{
    sync::oneshot,
    task::{self, JoinSet},
};

use crate::support::{
    Count, Gate, assert_pending, at_rest, counting_polls, limited, one_shard, returning, settle, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_callers_share_one_execution() {
    limited(async {
        let coalescer = Coalescer::<String, usize>::new();
        let (gate, executions) = (Gate::new(), Count::default());
        let mut callers = JoinSet::new();
        for _ in 0..1_000 {
            let (gate, executions) = (gate.clone(), executions.clone());
            callers.spawn(coalescer.handle().join("key", move || async move {
                gate.pass().await;
                executions.up()
            }));
        }
        until(&coalescer.handle(), |stats| stats.waiters == 1_000).await;
        gate.open();
        while let Some(answer) = callers.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), 1);
        }
        assert_eq!(executions.get(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_different_keys_run_all_at_once() {
    limited(async {
        let handle = Coalescer::<usize, usize>::new().handle();
        let (all_running, running) = (Gate::new(), Count::default());
        let answers = join_all((0..1_000).map(|key| {
            let (all_running, running) = (all_running.clone(), running.clone());
            handle.join(key, move || async move {
                if running.up() == 1_000 {
                    all_running.open();
                }
                all_running.pass().await;
                key
            })
        }))
        .await;
        for (key, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), key);
        }
        assert_eq!(at_rest(&handle).await.executions, 1_000);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_joins_in_one_task_share_one_execution() {
    limited(async {
        let handle = one_shard::<i32, usize>();
        let executions = Count::default();
        let answers = join_all((0..10_000).map(|_| {
            let executions = executions.clone();
            handle.join(1, move || async move { executions.up() })
        }))
        .await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 1));
        assert_eq!(at_rest(&handle).await.coalesced, 9_999);
    })
    .await;
}

#[tokio::test]
async fn values_without_clone_are_shared() {
    struct Unique;

    limited(async {
        let handle = one_shard::<i32, Unique>();
        let (one, other) =
            tokio::join!(handle.join_shared(1, || async { Unique }), handle.join_shared(1, || async { Unique }));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
    })
    .await;
}

#[tokio::test]
async fn callers_with_handles_of_their_own_share_one_flight() {
    limited(async {
        let coalescer = Coalescer::<i32, i32>::new();
        let (one, other) = (coalescer.handle(), coalescer.handle().clone());
        let answers = tokio::join!(one.join(1, returning(1)), other.join(1, returning(2)));
        assert_eq!((answers.0.unwrap(), answers.1.unwrap()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn two_coalescers_know_nothing_of_each_other() {
    limited(async {
        let (one, other) = (one_shard::<i32, i32>(), one_shard::<i32, i32>());
        let answers = tokio::join!(one.join(1, returning(1)), other.join(1, returning(2)));
        assert_eq!((answers.0.unwrap(), answers.1.unwrap()), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_str_serves_a_string_key() {
    limited(async {
        let handle = one_shard::<String, i32>();
        let answers = tokio::join!(handle.join("key", returning(1)), handle.join("key".to_owned(), returning(2)));
        assert_eq!((answers.0.unwrap(), answers.1.unwrap()), (1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_may_be_neither_sync_nor_clone() {
    #[derive(PartialEq, Eq)]
    struct Awkward(Cell<i32>);

    impl std::hash::Hash for Awkward {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_i32(self.0.get());
        }
    }

    limited(async {
        let handle = Coalescer::<Awkward, i32>::new().handle();
        let caller = tokio::spawn(handle.join(Awkward(Cell::new(1)), returning(7)));
        assert_eq!(caller.await.unwrap().unwrap(), 7);
        assert!(!handle.forget(Awkward(Cell::new(1))).await.unwrap());
    })
    .await;
}

/// Remembers the task that each clone was made in.
#[derive(Debug, Default)]
struct Cloned(Arc<Mutex<Vec<Option<task::Id>>>>);

impl Clone for Cloned {
    fn clone(&self) -> Self {
        self.0.lock().unwrap().push(task::try_id());
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_lonely_caller_gets_its_value_without_a_clone() {
    limited(async {
        // In a task, so that its turn comes right after the shard's: nothing may still hold the value even then.
        let caller = tokio::spawn(one_shard::<i32, Cloned>().join(1, || async { Cloned::default() }));
        let value = caller.await.unwrap().unwrap();
        assert!(value.0.lock().unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_callers_clone_the_value() {
    limited(async {
        let handle = one_shard::<i32, Cloned>();
        let gate = Gate::new();
        let callers = (0..10).map(|_| {
            let gate = gate.clone();
            tokio::spawn(handle.join(1, move || async move {
                gate.pass().await;
                Cloned::default()
            }))
        });
        let callers: Vec<_> = callers.collect();
        let tasks: Vec<_> = callers.iter().map(task::JoinHandle::id).collect();
        until(&handle, |stats| stats.waiters == 10).await;
        gate.open();
        let values = join_all(callers).await;
        let value = values.into_iter().next().unwrap().unwrap().unwrap();
        let cloners = value.0.lock().unwrap().clone();
        assert!(cloners.iter().all(|cloner| cloner.is_some_and(|id| tasks.contains(&id))));
        assert_eq!(HashSet::<_>::from_iter(&cloners).len(), cloners.len(), "a caller made more than one");
    })
    .await;
}

#[tokio::test]
async fn followers_do_not_spin() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let (gate, polls) = (Gate::new(), Count::default());
        let work = {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                7
            }
        };
        let mut leader = handle.join(1, work);
        assert_pending(&mut leader);
        let follower = tokio::spawn(counting_polls(handle.join(1, returning(0)), polls.clone()));
        for key in 2..100 {
            handle.join(key, returning(0)).await.unwrap();
        }
        settle().await;
        assert_eq!(polls.get(), 1);
        gate.open();
        assert_eq!(follower.await.unwrap().unwrap(), 7);
        assert_eq!(polls.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_join_may_move_to_another_task_while_it_waits() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let (open, opened) = oneshot::channel();
        let mut join = handle.join(1, || async { opened.await.unwrap() });
        // The first task's waker is forgotten; only the second task's gets the answer to it.
        assert!(futures::poll!(&mut join).is_pending());
        let elsewhere = tokio::spawn(join);
        settle().await;
        open.send(7).unwrap();
        assert_eq!(elsewhere.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn keys_of_one_hash_do_not_share_a_flight() {
    #[derive(PartialEq, Eq)]
    struct Same(usize);

    impl std::hash::Hash for Same {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }

    limited(async {
        let handle: Handle<Same, usize> = Coalescer::new().handle();
        let answers = join_all((0..600).map(|n| handle.join(Same(n % 200), returning(n)))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n % 200);
        }
        assert_eq!(at_rest(&handle).await.executions, 200);
    })
    .await;
}

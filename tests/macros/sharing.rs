//! Which calls share an execution, and cancellation.

use futures::future::join_all;
use shardflight::coalesce;
use tokio::spawn;

use crate::{
    support::{Count, Gate, limited},
    waiting,
};

#[tokio::test]
async fn equal_arguments_share_one_execution() {
    #[coalesce(skip(gate, count))]
    async fn load(id: u32, gate: Gate, count: Count) -> u32 {
        count.up();
        gate.pass().await;
        id
    }

    limited(async {
        let (gate, count) = (Gate::new(), Count::default());
        let calls: Vec<_> = (0..1_000).map(|_| spawn(load(7, gate.clone(), count.clone()))).collect();
        waiting(1_000, load_stats).await;
        gate.open();
        for answer in join_all(calls).await {
            assert_eq!(answer.unwrap(), 7);
        }
        assert_eq!(count.get(), 1);
        assert_eq!(load_stats().await.coalesced, 999);
    })
    .await;
}

#[tokio::test]
async fn different_arguments_run_apart() {
    #[coalesce(skip(gate, count))]
    async fn load(tenant: u32, name: &str, pages: &[u8], gate: &Gate, count: &Count) -> String {
        count.up();
        gate.pass().await;
        format!("{tenant} {name} {pages:?}")
    }

    limited(async {
        let (gate, count) = (Gate::new(), Count::default());
        let (left, right) = tokio::join!(
            async {
                tokio::join!(
                    load(1, "a", &[1], &gate, &count),
                    load(2, "a", &[1], &gate, &count),
                    load(1, "b", &[1], &gate, &count),
                    load(1, "a", &[1, 2], &gate, &count),
                )
            },
            async {
                waiting(4, load_stats).await;
                gate.open();
            }
        );
        assert_eq!(left, ("1 a [1]".into(), "2 a [1]".into(), "1 b [1]".into(), "1 a [1, 2]".into()));
        assert_eq!((count.get(), right), (4, ()));
    })
    .await;
}

#[tokio::test]
async fn two_functions_share_nothing() {
    #[coalesce]
    async fn one(_id: u32) -> u32 {
        1
    }
    #[coalesce]
    async fn other(_id: u32) -> u32 {
        2
    }

    let answers = limited(async { tokio::join!(one(7), other(7)) }).await;
    assert_eq!(answers, (1, 2));
}

#[tokio::test]
async fn a_function_without_arguments_is_coalesced() {
    #[coalesce]
    async fn load() -> u32 {
        tokio::task::yield_now().await;
        7
    }

    let answers = limited(async { tokio::join!(load(), load(), load()) }).await;
    assert_eq!(answers, (7, 7, 7));
    let stats = load_stats().await;
    assert_eq!((stats.joins, stats.executions), (3, 1));
}

#[tokio::test]
async fn nothing_is_cached() {
    #[coalesce(skip(count))]
    async fn load(id: u32, count: &Count) -> u32 {
        10 * id + u32::from(count.up() > 1)
    }

    let count = Count::default();
    assert_eq!(limited(load(7, &count)).await, 70);
    assert_eq!(limited(load(7, &count)).await, 71);
}

#[tokio::test]
async fn a_leader_may_leave() {
    #[coalesce(skip(gate))]
    async fn load(id: u32, gate: Gate) -> u32 {
        gate.pass().await;
        id
    }

    limited(async {
        let gate = Gate::new();
        let leader = spawn(load(7, gate.clone()));
        waiting(1, load_stats).await;
        let follower = spawn(load(7, gate.clone()));
        waiting(2, load_stats).await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        gate.open();
        assert_eq!(follower.await.unwrap(), 7);
        assert_eq!(load_stats().await.executions, 1);
    })
    .await;
}

#[tokio::test]
async fn an_unpolled_call_does_nothing() {
    #[coalesce(skip(count))]
    async fn load(count: Count) -> usize {
        count.up()
    }

    let count = Count::default();
    drop(load(count.clone()));
    assert_eq!((count.get(), load_stats().await.joins), (0, 0));
}

//! The companion functions.

use shardflight::coalesce;
use tokio::spawn;

use crate::{
    support::{Count, Gate, limited},
    waiting,
};

#[tokio::test]
async fn forget_detaches_the_running_call() {
    #[coalesce(skip(gate, count))]
    async fn load(_name: &str, gate: &Gate, count: &Count) -> u32 {
        let run = u32::try_from(count.up()).unwrap();
        gate.pass().await;
        run
    }
    async fn call(gate: Gate, count: Count) -> u32 {
        load("ada", &gate, &count).await
    }

    limited(async {
        let (gate, count) = (Gate::new(), Count::default());
        assert!(!load_forget("ada", &gate, &count).await, "nothing has been called yet");
        let before = spawn(call(gate.clone(), count.clone()));
        waiting(1, load_stats).await;
        assert!(!load_forget("bob", &gate, &count).await);
        assert!(load_forget("ada", &gate, &count).await);
        assert!(!load_forget("ada", &gate, &count).await);
        let after = spawn(call(gate.clone(), count.clone()));
        waiting(2, load_stats).await;
        gate.open();
        let mut runs = [before.await.unwrap(), after.await.unwrap()];
        runs.sort_unstable();
        assert_eq!(runs, [1, 2]);
        assert_eq!(load_stats().await.forgets, 1);
    })
    .await;
}

#[tokio::test]
async fn no_coalesce_runs_the_function_as_written() {
    #[coalesce(skip(count))]
    async fn load(id: u32, count: &Count) -> u32 {
        count.up();
        id
    }

    let count = Count::default();
    let both = limited(async { tokio::join!(load_no_coalesce(7, &count), load_no_coalesce(7, &count)) }).await;
    assert_eq!((both, count.get()), ((7, 7), 2));
    assert_eq!(load_stats().await.joins, 0);
}

mod inside {
    #[shardflight::coalesce]
    pub(super) async fn load(id: u32) -> u32 {
        id
    }
}

#[tokio::test]
async fn companions_have_the_functions_visibility() {
    assert_eq!(limited(inside::load(7)).await, 7);
    assert_eq!(inside::load_no_coalesce(7).await, 7);
    assert!(!inside::load_forget(7).await);
    assert_eq!(inside::load_stats().await.joins, 1);
}

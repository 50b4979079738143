//! Nothing happens before a join's first poll.

use crate::support::{Count, limited, one_shard, settle};

#[tokio::test]
async fn nothing_happens_before_the_first_poll() {
    limited(async {
        let handle = one_shard::<String, usize>();
        let executions = Count::default();
        let join = {
            let executions = executions.clone();
            handle.join("key", move || async move { executions.up() })
        };
        settle().await;
        assert_eq!(executions.get(), 0);
        assert_eq!(handle.stats().await.unwrap().joins, 0);
        assert_eq!(join.await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn dropping_an_unpolled_join_runs_nothing() {
    limited(async {
        let handle = one_shard::<String, usize>();
        let (executions, drops) = (Count::default(), Count::default());
        let join = {
            let (executions, token) = (executions.clone(), drops.on_drop());
            handle.join("key", move || async move {
                let _token = token;
                executions.up()
            })
        };
        drop(join);
        assert_eq!(drops.get(), 1);
        settle().await;
        assert_eq!(executions.get(), 0);
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.departures, stats.waiters), (0, 0, 0));
    })
    .await;
}

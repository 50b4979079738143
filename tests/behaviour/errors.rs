//! Errors that the work returns are values: shared by the callers of their flight, and never remembered (G8).

use futures::future::join_all;
use shardflight::TryJoinError;

use crate::support::{Count, at_rest, limited, one_shard};

#[tokio::test]
async fn an_error_reaches_every_caller_of_its_one_execution() {
    limited(async {
        let handle = one_shard::<u8, Result<u8, String>>();
        let executions = Count::default();
        let answers = join_all((0..1_000).map(|_| {
            let executions = executions.clone();
            handle.try_join(1, move || async move {
                tokio::task::yield_now().await;
                Err(format!("failure {}", executions.up()))
            })
        }))
        .await;
        for answer in answers {
            assert!(matches!(answer, Err(TryJoinError::Work(error)) if error == "failure 1"));
        }
        assert_eq!(executions.get(), 1);
        assert_eq!(at_rest(&handle).await.errors, 1);
    })
    .await;
}

#[tokio::test]
async fn the_join_after_an_error_starts_afresh() {
    limited(async {
        let handle = one_shard::<u8, Result<u8, String>>();
        let failed = handle.try_join(1, || async { Err("no".to_owned()) }).await;
        assert!(matches!(failed, Err(TryJoinError::Work(_))));
        assert_eq!(handle.try_join(1, || async { Ok(7) }).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn only_the_side_of_the_result_that_is_there_has_to_be_cloned() {
    #[derive(Debug)]
    struct Fragile;

    impl Clone for Fragile {
        fn clone(&self) -> Self {
            unreachable!("there is none")
        }
    }

    limited(async {
        let handle = one_shard::<u8, Result<u8, Fragile>>();
        let answers = join_all((0..3).map(|_| handle.try_join(1, || async { Ok(7) }))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 7));
    })
    .await;
}

#[tokio::test]
async fn plain_join_gives_an_error_of_the_work_as_the_value_it_is() {
    limited(async {
        let handle = one_shard::<u8, Result<u8, String>>();
        assert_eq!(handle.join(1, || async { Err("no".to_owned()) }).await.unwrap(), Err("no".to_owned()));
    })
    .await;
}

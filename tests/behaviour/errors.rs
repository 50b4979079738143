//! Errors that the work returns are values: shared by the callers of their flight, and never remembered (G8).

use std::{collections::HashSet, error::Error, fmt, io, sync::Arc, time::Duration};

use futures::future::join_all;
use shardflight::{JoinError, JoinErrorKind, TryJoinError};

use crate::support::{Count, at_rest, limited, one_shard, panic_quietly, returning};

#[tokio::test]
async fn an_error_reaches_every_caller_of_its_one_execution() {
    limited(async {
        let handle = one_shard::<i32, Result<i32, String>>();
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
        let handle = one_shard::<i32, Result<i32, String>>();
        let failed = handle.try_join(1, || async { Err("no".to_owned()) }).await;
        assert!(matches!(failed, Err(TryJoinError::Work(_))));
        assert_eq!(handle.try_join(1, returning(Ok(7))).await.unwrap(), 7);
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
        let handle = one_shard::<i32, Result<i32, Fragile>>();
        let answers = join_all((0..3).map(|_| handle.try_join(1, returning(Ok(7))))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 7));
    })
    .await;
}

#[tokio::test]
async fn plain_join_gives_an_error_of_the_work_as_the_value_it_is() {
    limited(async {
        let handle = one_shard::<i32, Result<i32, String>>();
        assert_eq!(handle.join(1, || async { Err("no".to_owned()) }).await.unwrap(), Err("no".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_error_has_a_name_of_its_own() {
    limited(async {
        let panicked = one_shard::<i32, i32>().join(1, || async { panic_quietly("no such table") }).await.unwrap_err();
        let errors = [
            (panicked, JoinErrorKind::Panicked, "panicked"),
            (JoinError::TooManyWaiters { limit: 1 }, JoinErrorKind::TooManyWaiters, "too_many_waiters"),
            (JoinError::TooManyFlights { limit: 1 }, JoinErrorKind::TooManyFlights, "too_many_flights"),
            (JoinError::Overloaded { limit: 1 }, JoinErrorKind::Overloaded, "overloaded"),
            (JoinError::QueueTimedOut { after: Duration::ZERO }, JoinErrorKind::QueueTimedOut, "queue_timed_out"),
            (JoinError::TimedOut { after: Duration::ZERO }, JoinErrorKind::TimedOut, "timed_out"),
            (JoinError::Aborted, JoinErrorKind::Aborted, "aborted"),
            (JoinError::Reentrant, JoinErrorKind::Reentrant, "reentrant"),
            (JoinError::Closed, JoinErrorKind::Closed, "closed"),
            (JoinError::MixedJoins, JoinErrorKind::MixedJoins, "mixed_joins"),
        ];
        for (error, kind, name) in &errors {
            assert_eq!((error.kind(), kind.as_str()), (*kind, *name));
            assert_eq!(format!("{kind:>18}"), format!("{name:>18}"));
        }
        let kinds: HashSet<JoinErrorKind> = errors.iter().map(|(error, ..)| error.kind()).collect();
        assert_eq!(kinds.len(), errors.len());
    })
    .await;
}

#[test]
fn errors_of_joins_can_be_compared() {
    assert_eq!(JoinError::Closed, JoinError::Closed);
    assert_ne!(JoinError::Closed, JoinError::Aborted);
    assert_ne!(JoinError::TooManyWaiters { limit: 1 }, JoinError::TooManyWaiters { limit: 2 });
    assert_eq!(TryJoinError::<i32>::Join(JoinError::Closed), JoinError::Closed.into());
}

#[test]
fn an_error_is_taken_apart_without_a_match() {
    let (work, join) = (TryJoinError::Work("no"), TryJoinError::<&str>::Join(JoinError::Closed));
    assert_eq!((work.work(), work.join()), (Some(&"no"), None));
    assert_eq!((join.work(), join.join()), (None, Some(&JoinError::Closed)));
    assert_eq!((work.clone().into_work(), work.clone().into_join()), (Some("no"), None));
    assert_eq!((join.clone().into_work(), join.clone().into_join()), (None, Some(JoinError::Closed)));
    assert_eq!(work.map_work(str::len).into_work(), Some(2));
    assert_eq!(join.map_work(str::len).into_join(), Some(JoinError::Closed));
}

#[test]
fn a_match_needs_two_arms() {
    let said = match TryJoinError::<i32>::Join(JoinError::Closed) {
        TryJoinError::Work(error) => error.to_string(),
        TryJoinError::Join(error) => error.to_string(),
    };
    assert_eq!(said, JoinError::Closed.to_string());
}

/// An error with a cause, and without `Clone`.
#[derive(Debug)]
struct Unreadable(io::Error);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unreadable")
    }
}

impl Error for Unreadable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn a_question_mark_passes_on_a_shared_error_with_its_cause() {
    async fn ask() -> Result<i32, Box<dyn Error + Send + Sync>> {
        let handle = one_shard::<i32, Result<i32, Unreadable>>();
        Ok(handle.try_join_shared(1, || async { Err(Unreadable(io::ErrorKind::NotFound.into())) }).await?)
    }

    limited(async {
        let error = ask().await.unwrap_err();
        assert_eq!(error.to_string(), "unreadable");
        assert!(error.source().unwrap().is::<io::Error>());
        assert!(error.is::<TryJoinError<Arc<Unreadable>>>());
    })
    .await;
}

//! Errors and panics, with and without a `Result`.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::pending};
use shardflight::{JoinError, coalesce};
use tokio::{spawn, time::sleep};

use crate::{
    support::{Count, Gate, limited, panic_quietly},
    waiting,
};

#[derive(Clone, Debug)]
pub(crate) enum Failure {
    NoSuchUser,
    NoAnswer(JoinError),
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::NoAnswer(error)
    }
}

async fn panic_of(call: impl Future) -> String {
    let Err(payload) = AssertUnwindSafe(call).catch_unwind().await else { panic!("it should have panicked") };
    payload.downcast_ref::<String>().expect("a message").clone()
}

#[tokio::test]
async fn an_error_is_shared_and_not_remembered() {
    #[coalesce(skip(count))]
    async fn load(id: u32, count: &Count) -> Result<u32, Failure> {
        tokio::task::yield_now().await;
        if count.up() == 1 { Err(Failure::NoSuchUser) } else { Ok(id) }
    }

    limited(async {
        let count = Count::default();
        let both = tokio::join!(load(7, &count), load(7, &count));
        assert!(matches!(both, (Err(Failure::NoSuchUser), Err(Failure::NoSuchUser))));
        assert_eq!(load(7, &count).await.unwrap(), 7);
        assert_eq!(load_stats().await.errors, 1);
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_an_error_of_a_result() {
    #[coalesce]
    async fn load(id: u32) -> Result<u32, Failure> {
        panic_quietly(format!("no {id}"))
    }

    let error = limited(load(7)).await.unwrap_err();
    assert!(matches!(&error, Failure::NoAnswer(JoinError::Panicked(panic)) if panic.message() == "no 7"), "{error:?}");
}

#[tokio::test]
async fn a_panic_reaches_callers_without_a_result() {
    #[coalesce]
    async fn load(id: u32) -> u32 {
        tokio::task::yield_now().await;
        panic_quietly(format!("no {id}"))
    }

    let (one, other) = limited(async { tokio::join!(panic_of(load(7)), panic_of(load(7))) }).await;
    assert_eq!((&*one, &*other), ("no 7", "no 7"));
    assert_eq!(load_stats().await.panics, 1);
}

#[tokio::test]
async fn a_failed_join_panics_without_a_result() {
    #[coalesce]
    async fn cycle(id: u32) -> u32 {
        let next: std::pin::Pin<Box<dyn Future<Output = u32> + Send>> = again(id);
        next.await
    }
    fn again(id: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(cycle(id))
    }

    let message = limited(panic_of(cycle(7))).await;
    assert!(message.contains("`cycle` has no answer"), "{message}");
    assert!(message.contains("waits for its own flight"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn results_have_a_deadline() {
    #[coalesce]
    async fn by_default(_id: u32) -> Result<u32, Failure> {
        pending().await
    }
    #[coalesce(max_flight_duration = 5)]
    async fn seconds(_id: u32) -> Result<u32, Failure> {
        pending().await
    }
    #[coalesce(max_flight_duration = "Duration::from_millis(7)", on_expiry = "Fail")]
    async fn expression(_id: u32) -> Result<u32, Failure> {
        pending().await
    }
    let after = |answer: Result<u32, Failure>| match answer {
        Err(Failure::NoAnswer(JoinError::TimedOut { after })) => after,
        other => panic!("{other:?}"),
    };

    assert_eq!(after(limited(by_default(7)).await), Duration::from_secs(30));
    assert_eq!(after(limited(seconds(7)).await), Duration::from_secs(5));
    assert_eq!(after(limited(expression(7)).await), Duration::from_millis(7));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_makes_progress_moves_its_deadline() {
    #[coalesce(max_flight_duration = 5, max_extended_duration = 60)]
    async fn export(_id: u32) -> Result<u32, Failure> {
        let flight = export_current_flight().expect("this is its body");
        for _ in 0..3 {
            sleep(Duration::from_secs(4)).await;
            flight.extend(Duration::from_secs(5)).await.expect("it is in time");
        }
        Ok(7)
    }

    assert!(export_current_flight().is_none(), "no call has been made");
    assert_eq!(limited(export(7)).await.unwrap(), 7);
    assert!(export_current_flight().is_none(), "this is no body");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_may_be_absent() {
    #[coalesce]
    async fn plain() -> u32 {
        sleep(Duration::from_hours(24)).await;
        7
    }
    #[coalesce(no_flight_deadline)]
    async fn without(_id: u32) -> Result<u32, Failure> {
        sleep(Duration::from_hours(24)).await;
        Ok(7)
    }

    assert_eq!(plain().await, 7);
    assert_eq!(without(7).await.unwrap(), 7);
}

#[tokio::test]
async fn caps_are_errors() {
    #[coalesce(skip(gate), shards = 1, max_waiters_per_flight = 1, max_flights = "1 + 1", on_abandon = "Abort")]
    async fn load(id: u32, gate: Gate) -> Result<u32, Failure> {
        gate.pass().await;
        Ok(id)
    }

    limited(async {
        let gate = Gate::new();
        let calls = [spawn(load(1, gate.clone())), spawn(load(2, gate.clone()))];
        waiting(2, load_stats).await;
        let one_too_many = load(1, gate.clone()).await;
        assert!(
            matches!(one_too_many, Err(Failure::NoAnswer(JoinError::TooManyWaiters { limit: 1 }))),
            "{one_too_many:?}"
        );
        let one_flight_too_many = load(3, gate.clone()).await;
        assert!(
            matches!(one_flight_too_many, Err(Failure::NoAnswer(JoinError::TooManyFlights { limit: 2 }))),
            "{one_flight_too_many:?}"
        );
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        waiting(0, load_stats).await;
        assert_eq!(load_stats().await.aborts, 2);
    })
    .await;
}

#[tokio::test]
async fn results_are_recognised_by_name() {
    type LoadResult = Result<Arc<str>, Failure>;
    type Loaded = Result<u32, Failure>;
    #[derive(Clone, Debug, PartialEq)]
    struct SearchResult(u32);

    #[coalesce]
    async fn aliased(name: &str) -> LoadResult {
        if name.is_empty() {
            return Err(Failure::NoSuchUser);
        }
        Ok(name.into())
    }
    #[coalesce(result = true)]
    async fn said(_id: u32) -> Loaded {
        panic_quietly("no")
    }
    #[coalesce(result = false)]
    async fn denied(id: u32) -> SearchResult {
        SearchResult(id)
    }

    assert_eq!(&*limited(aliased("ada")).await.unwrap(), "ada");
    assert!(matches!(limited(aliased("")).await, Err(Failure::NoSuchUser)));
    assert!(matches!(limited(said(7)).await, Err(Failure::NoAnswer(JoinError::Panicked(_)))));
    assert_eq!(limited(denied(7)).await, SearchResult(7));
}

#[tokio::test]
async fn a_body_may_end_early() {
    #[coalesce]
    async fn parse(text: &str) -> Result<u32, Failure> {
        if text == "seven" {
            return Ok(7);
        }
        let number = text.parse().map_err(|_| Failure::NoSuchUser)?;
        Ok(number)
    }

    assert_eq!(limited(parse("seven")).await.unwrap(), 7);
    assert_eq!(limited(parse("8")).await.unwrap(), 8);
    assert!(matches!(limited(parse("ada")).await, Err(Failure::NoSuchUser)));
}

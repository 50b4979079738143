//! One caller's own patience.

use std::{future::pending, time::Duration};

use shardflight::JoinError;
use tokio::time::{Instant, sleep};

use crate::support::{at_rest, inside, limited, one_aborting_shard, one_shard, until, watched};

const WAIT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_gives_up_alone() {
    let handle = one_shard::<u8, u8>();
    let impatient = handle.with_max_wait(WAIT);
    let work = || async {
        sleep(2 * WAIT).await;
        7
    };
    let start = Instant::now();
    let gives_up = async {
        let answer = impatient.join(1, work).await;
        (answer, start.elapsed())
    };
    let ((gave_up, after), stayed) = tokio::join!(gives_up, handle.join(1, work));
    assert!(matches!(gave_up, Err(JoinError::TimedOut { after: WAIT })));
    assert!((WAIT..WAIT + Duration::from_millis(10)).contains(&after), "{after:?}");
    assert_eq!(stayed.unwrap(), 7);
    let stats = at_rest(&handle).await;
    assert_eq!((stats.departures, stats.timeouts, stats.executions), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_last_caller_that_gives_up_abandons_the_flight() {
    let handle = one_aborting_shard::<u8, u8>().with_max_wait(WAIT);
    assert!(handle.join(1, pending).await.is_err());
    assert_eq!(until(&handle, |stats| stats.flights == 0).await.aborts, 1);
}

#[tokio::test]
async fn a_wait_of_zero_gets_what_is_there_and_nothing_else() {
    limited(async {
        let handle = one_shard::<u8, u8>().with_max_wait(Duration::ZERO);
        assert!(matches!(handle.join(1, pending).await, Err(JoinError::TimedOut { after: Duration::ZERO })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_clock_is_none() {
    let handle = one_shard::<u8, u8>().with_max_wait(Duration::MAX);
    let answer = handle.join(1, || async {
        sleep(Duration::from_secs(20)).await;
        7
    });
    assert_eq!(answer.await.unwrap(), 7);
}

#[test]
fn a_caller_on_no_runtime_has_patience_too() {
    watched(|| {
        let runtime = crate::support::two_workers();
        let handle = inside(&runtime, || one_shard::<u8, u8>().with_max_wait(Duration::from_millis(5)));
        let answer = futures::executor::block_on(handle.join(1, pending));
        assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
    });
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_a_join_is_as_safe() {
    let handle = one_shard::<u8, u8>();
    let work = || async {
        sleep(2 * WAIT).await;
        7
    };
    let (gave_up, stayed) = tokio::join!(tokio::time::timeout(WAIT, handle.join(1, work)), handle.join(1, work));
    assert!(gave_up.is_err());
    assert_eq!(stayed.unwrap(), 7);
    assert_eq!(at_rest(&handle).await.executions, 1);
}

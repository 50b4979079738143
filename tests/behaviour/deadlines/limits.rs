//! The values that a deadline may have, and the clocks.

use std::{future::pending, time::Duration};

use futures::join;

use shardflight::{Coalescer, JoinError, OnExpiry};
use tokio::{
    runtime,
    time::{Instant, sleep, timeout},
};

use super::{SECOND, timed_out, with_deadline};
use crate::support::{at_rest, limited, one_shard, until, watched};

#[tokio::test(start_paused = true)]
async fn a_flight_does_not_expire_early() {
    limited(async {
        let handle = with_deadline(5 * SECOND, OnExpiry::Fail);
        let just_in_time = || async {
            sleep(Duration::from_millis(4_999)).await;
            7
        };
        assert_eq!(handle.join(1, just_in_time).await.unwrap(), 7);
        assert_eq!(at_rest(&handle).await.timeouts, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_default_is_thirty_seconds() {
    timeout(100 * SECOND, async {
        let handle = one_shard::<i32, i32>();
        let begun = Instant::now();
        assert!(timed_out(&handle.join(1, pending).await, 30 * SECOND));
        assert_eq!(begun.elapsed().as_secs(), 30);
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_a_flight_never_expires() {
    let handle = Coalescer::<i32, i32>::builder().shards(1).no_flight_deadline().build().unwrap().handle();
    let slow = || async {
        sleep(1_000_000 * SECOND).await;
        7
    };
    assert_eq!(timeout(2_000_000 * SECOND, handle.join(1, slow)).await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_the_clock_is_none() {
    for limit in [Duration::MAX, Duration::from_secs(u64::MAX / 4), Duration::from_secs(1 << 40)] {
        limited(async {
            let handle = with_deadline(limit, OnExpiry::Fail);
            let slow = || async {
                sleep(10 * SECOND).await;
                7
            };
            assert_eq!(handle.join(1, slow).await.unwrap(), 7);
            assert_eq!(at_rest(&handle).await.timeouts, 0);
        })
        .await;
    }
}

#[test]
fn deadlines_need_no_timers() {
    watched(|| {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let builder = Coalescer::<i32, i32>::builder().max_flight_duration(Duration::from_millis(20));
            let handle = builder.build().unwrap().handle();
            assert!(matches!(handle.join(1, pending).await, Err(JoinError::TimedOut { .. })));
            let short = handle.with_max_wait(Duration::from_millis(1));
            assert!(matches!(short.join(1, pending).await, Err(JoinError::TimedOut { .. })));
        });
    });
}

#[tokio::test]
async fn deadlines_hold_on_the_real_clock() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().max_flight_duration(Duration::from_millis(20));
        let handle = builder.build().unwrap().handle();
        assert!(matches!(handle.join(1, pending).await, Err(JoinError::TimedOut { .. })));
        assert_eq!(until(&handle, |stats| stats.flights == 0).await.timeouts, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_has_a_limit_for_the_flights_that_it_leads() {
    limited(async {
        let handle = with_deadline(SECOND, OnExpiry::Fail);
        let patient = handle.with_max_flight_duration(10 * SECOND).unwrap();
        let slow = || async {
            sleep(5 * SECOND).await;
            7
        };
        let (led, followed, other) = join!(patient.join(1, slow), handle.join(1, slow), handle.join(2, slow));
        assert_eq!((led.unwrap(), followed.unwrap()), (7, 7), "a follower has its leader's limit");
        assert!(matches!(other, Err(JoinError::TimedOut { after: SECOND })));
        let hasty = handle.with_max_flight_duration(SECOND / 2).unwrap().join(1, pending).await;
        assert!(matches!(hasty, Err(JoinError::TimedOut { after }) if after == SECOND / 2));
        assert_eq!(at_rest(&handle).await.timeouts, 2);
    })
    .await;
}

#[tokio::test]
async fn a_limit_of_zero_is_refused() {
    let handle = with_deadline(SECOND, OnExpiry::Fail);
    let refused = handle.with_max_flight_duration(Duration::ZERO).unwrap_err();
    assert_eq!(refused.to_string(), "a flight duration of 0 was asked for; the least is 1 ns");
}

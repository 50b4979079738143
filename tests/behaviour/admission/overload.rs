//! A queue that is full, or in which a flight has waited for too long.

use std::time::Duration;

use shardflight::{JoinError, OnExpiry, Priority};

use super::{Site, join_by, open};
use crate::support::{assert_pending, at_rest, limited, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_full_queue_gives_up_the_newest_of_the_lowest_class_at_once() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder.max_queued(2)).await;
        let background = site.handle.with_priority(Priority::Background);
        let mut lowest = join_by(&background, 1, site.work(1, &open()));
        let mut follower = join_by(&background, 1, site.work(1, &open()));
        let mut normal = site.join(2, &open());
        [&mut lowest, &mut follower, &mut normal].into_iter().for_each(assert_pending);
        let mut high = join_by(&site.handle.with_priority(Priority::High), 3, site.work(3, &open()));
        assert_pending(&mut high);
        // The first flight, with both its callers; and then that which has just come.
        let overloaded = Err(JoinError::Overloaded { limit: 2 });
        assert_eq!(lowest.await, overloaded);
        assert_eq!(follower.await, overloaded);
        assert_eq!(join_by(&background, 4, site.work(4, &open())).await, overloaded);
        assert_eq!(site.join(5, &open()).await, overloaded);
        gate.open();
        assert_eq!((normal.await, high.await), (Ok(2), Ok(3)));
        assert_eq!(site.begun().await, [3, 2]);
        let stats = at_rest(&site.handle).await;
        assert_eq!((stats.shed, stats.rejections, stats.coalesced, stats.executions), (3, 3, 1, 3));
    })
    .await;
}

#[tokio::test]
async fn flights_that_were_given_up_are_refusals_and_not_executions_to_come() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder.max_queued(1)).await;
        let mut waits = site.join(1, &open());
        assert_pending(&mut waits);
        assert_eq!(site.join(2, &open()).await, Err(JoinError::Overloaded { limit: 1 }));
        let stats = site.handle.stats().await.unwrap();
        assert_eq!((stats.joins, stats.executions, stats.pending, stats.rejections), (3, 1, 1, 1));
        gate.open();
        assert_eq!(waits.await, Ok(1));
        let stats = at_rest(&site.handle).await;
        assert_eq!((stats.joins, stats.executions, stats.pending, stats.rejections), (3, 2, 0, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_waits_for_too_long_is_given_up_and_says_how_long() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder.queue_timeout(SECOND)).await;
        let timed_out = site.join(1, &open()).await;
        assert_eq!(timed_out, Err(JoinError::QueueTimedOut { after: SECOND }));
        assert!(timed_out.unwrap_err().to_string().contains("queue_timeout"));
        gate.open();
        let stats = at_rest(&site.handle).await;
        assert_eq!((stats.shed, stats.rejections, stats.timeouts, stats.queue_len), (1, 1, 0, 0));
        assert!(site.begun().await.is_empty());
        assert_eq!(site.join(1, &open()).await, Ok(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_time_in_the_queue_counts_for_the_flight_s_deadline() {
    limited(async {
        let configure = |builder: shardflight::Builder<u8, u8>| builder.max_flight_duration(SECOND).max_queued(1);
        let (site, _gate) = Site::occupied(|builder| configure(builder).on_expiry(OnExpiry::Detach)).await;
        let mut detached = site.join(1, &open());
        assert_pending(&mut detached);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(until(&site.handle, |stats| stats.timeouts == 2).await.queue_len, 1, "it keeps its place");
        let site = Site::new(1, configure);
        let mut running = site.join(0, &crate::support::Gate::new());
        assert_pending(&mut running);
        assert_eq!(site.join(1, &open()).await, Err(JoinError::TimedOut { after: SECOND }));
        assert_eq!(running.await, Err(JoinError::TimedOut { after: SECOND }));
        assert_eq!(site.begun().await, [0]);
        assert_eq!(site.join(1, &open()).await, Ok(1), "both permit and place are free");
    })
    .await;
}

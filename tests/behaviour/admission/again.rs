//! Further executions of a flight take a permit of their own, or don't begin.

use std::{future::pending, thread, time::Duration};

use futures::future::FutureExt;
use shardflight::OnStall;
use tokio::{task::yield_now, time::sleep};

use super::{Site, join_by, open};
use crate::support::{Gate, Wall, assert_pending, inside, limited, panic_quietly, two_workers, until, watched};

const SECOND: Duration = Duration::from_secs(1);

/// A flight that has stalled, and a follower whose work would end it.
fn stalled(limit: usize) -> (Site, [futures::future::BoxFuture<'static, Result<u8, shardflight::JoinError>>; 2]) {
    let site = Site::new(limit, |builder| builder.on_stall(OnStall::Takeover { after: SECOND, at_most: 1 }));
    let hangs = site.doing(0, || pending().boxed());
    let mut joins = [join_by(&site.handle, 0, hangs), site.join(0, &open())];
    joins.iter_mut().for_each(assert_pending);
    (site, joins)
}

#[tokio::test(start_paused = true)]
async fn a_flight_is_taken_over_only_if_a_permit_is_left() {
    limited(async {
        let (site, joins) = stalled(2);
        for join in joins {
            assert_eq!(join.await, Ok(0));
        }
        assert_eq!(site.begun().await, [0, 0]);
        assert_eq!(until(&site.handle, |stats| stats.flights == 0).await.takeovers, 1);
        assert_eq!(until(&site.handle, |stats| stats.executing == 0).await.executions, 1);

        let (site, mut joins) = stalled(1);
        sleep(3 * SECOND).await;
        assert_eq!(site.begun().await, [0]);
        joins.iter_mut().for_each(assert_pending);
        assert_eq!(site.handle.stats().await.unwrap().takeovers, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_panics_beside_another_gives_its_permit_back() {
    limited(async {
        let takeover = OnStall::Takeover { after: SECOND, at_most: 1 };
        let site = Site::new(2, |builder| builder.on_stall(takeover).no_flight_deadline());
        let hangs = site.doing(0, || pending().boxed());
        let panics = site.doing(0, || async { panic_quietly("planned") }.boxed());
        let mut joins = [join_by(&site.handle, 0, hangs), join_by(&site.handle, 0, panics)];
        joins.iter_mut().for_each(assert_pending);
        sleep(2 * SECOND).await;
        assert_eq!(site.join(1, &open()).await, Ok(1));
        let stats = site.handle.stats().await.unwrap();
        assert_eq!((stats.takeovers, stats.executing), (1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_time_until_a_takeover_begins_when_the_flight_has_its_permit() {
    limited(async {
        let (site, joins) = stalled(1);
        let mut waits = site.join(1, &Gate::new());
        let mut follows = site.join(1, &open());
        [&mut waits, &mut follows].into_iter().for_each(assert_pending);
        sleep(3 * SECOND).await;
        assert_eq!(site.begun().await, [0], "it waits, and is not taken over");
        drop(joins);
        drop((waits, follows));
        assert_eq!(until(&site.handle, |stats| stats.queue_len == 0).await.aborts, 1);
    })
    .await;
}

#[test]
fn an_execution_whose_answer_comes_too_late_has_a_permit_until_it_ends() {
    watched(|| {
        let runtime = two_workers();
        let takeover = OnStall::Takeover { after: Duration::from_millis(1), at_most: 1 };
        let site = inside(&runtime, || Site::new(2, |builder| builder.on_stall(takeover)));
        let (wall, opener) = Wall::new();
        let leader = {
            let site = site.clone();
            thread::spawn(move || {
                site.handle.blocking_join(1, move || {
                    wall.block();
                    1
                })
            })
        };
        runtime.block_on(until(&site.handle, |stats| stats.executions == 1));
        assert_eq!(site.handle.blocking_join(1, || 2), Ok(2));
        assert_eq!(leader.join().unwrap(), Ok(2));
        runtime.block_on(async {
            let (mut runs, mut waits) = (site.join(2, &Gate::new()), site.join(3, &open()));
            [&mut runs, &mut waits].into_iter().for_each(assert_pending);
            let stats = until(&site.handle, |stats| stats.queue_len == 1 || stats.executions == 3).await;
            assert_eq!((stats.executing, stats.queue_len), (2, 1), "the first execution still blocks its thread");
            drop(opener);
            assert_eq!(waits.await, Ok(3));
        });
    });
}

#[test]
fn a_permits_late_wake_up_ends_no_flight() {
    watched(|| {
        let runtime = two_workers();
        let takeover = OnStall::Takeover { after: 10 * SECOND, at_most: 1 };
        let site = inside(&runtime, || Site::new(1, |builder| builder.on_stall(takeover)));
        runtime.block_on(async {
            for _ in 0..100 {
                let inner = site.clone();
                // It has the permit of the work that joins it at once, and its task is woken for that by another thread.
                let second = site.doing(2, || {
                    async {
                        for _ in 0..200 {
                            yield_now().await;
                        }
                        2
                    }
                    .boxed()
                });
                let first = site.doing(1, move || {
                    async move { join_by(&inner.handle, 2, second).await.expect("it ends by itself") }.boxed()
                });
                assert_eq!(join_by(&site.handle, 1, first).await, Ok(2));
            }
        });
    });
}

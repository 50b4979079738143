//! Which flight begins next.

use std::{future::pending, time::Duration};

use futures::future::join_all;
use shardflight::Priority;
use tokio::{task::yield_now, time::timeout};

use super::{Site, join_by, open};
use crate::support::{Gate, assert_pending, at_rest, limited, returning, two_workers, until};

#[test]
fn no_more_executions_run_than_may_whoever_comes_and_goes() {
    const LIMIT: usize = 3;
    let runtime = two_workers();
    runtime.block_on(limited(async {
        let site = Site::new(LIMIT, |builder| builder.on_abandon(shardflight::OnAbandon::Abort));
        let callers = (0..16_u8).map(|caller| {
            let site = site.clone();
            tokio::spawn(async move {
                for round in 0..200_u8 {
                    let key = caller.wrapping_mul(31).wrapping_add(round) % 23;
                    let class = [Priority::Background, Priority::Normal, Priority::High][usize::from(round % 3)];
                    let work = site.doing(key, move || {
                        Box::pin(async move {
                            for _ in 0..round % 4 {
                                yield_now().await;
                            }
                            key
                        })
                    });
                    let join = join_by(&site.handle.with_priority(class), key, work);
                    if round % 5 == caller % 5 {
                        // Leaves before its answer, as a rule.
                        let _ = timeout(Duration::ZERO, join).await;
                    } else {
                        assert_eq!(join.await.unwrap(), key);
                    }
                }
            })
        });
        join_all(callers).await.into_iter().for_each(|caller| caller.unwrap());
        let stats = at_rest(&site.handle).await;
        assert_eq!(site.most.load(std::sync::atomic::Ordering::SeqCst), LIMIT, "{stats:?}");
        until(&site.handle, |stats| stats.executing == 0 && stats.queue_len == 0).await;
    }));
}

#[tokio::test]
async fn those_of_a_class_begin_in_their_order_and_those_of_a_higher_one_before_them() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let classes = [Priority::Low, Priority::Normal, Priority::Background, Priority::High, Priority::Normal];
        let mut joins: Vec<_> = (1..=5)
            .zip(classes)
            .map(|(key, class)| join_by(&site.handle.with_priority(class), key, site.work(key, &open())))
            .collect();
        joins.iter_mut().for_each(assert_pending);
        let stats = until(&site.handle, |stats| stats.queue_len == 5).await;
        assert_eq!((stats.executing, stats.queued, stats.pending), (1, 5, 5));
        gate.open();
        join_all(joins).await;
        assert_eq!(site.begun().await, [4, 2, 5, 1, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_caller_of_a_higher_class_raises_the_flight_that_it_joins() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let background = site.handle.with_priority(Priority::Background);
        let mut joins =
            vec![join_by(&background, 1, site.work(1, &open())), site.join(1, &open()), site.join(2, &open())];
        joins.iter_mut().for_each(assert_pending);
        assert_eq!(until(&site.handle, |stats| stats.waiters == 4).await.raised, 1);
        gate.open();
        join_all(joins).await;
        assert_eq!(site.begun().await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_flight_is_lowered_when_the_caller_that_raised_it_leaves() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let background = site.handle.with_priority(Priority::Background);
        let mut high = join_by(&site.handle.with_priority(Priority::High), 1, site.work(1, &open()));
        let mut joins = vec![join_by(&background, 1, site.work(1, &open())), site.join(2, &open())];
        joins.iter_mut().for_each(assert_pending);
        assert_pending(&mut high);
        drop(high);
        until(&site.handle, |stats| stats.departures == 1).await;
        gate.open();
        join_all(joins).await;
        assert_eq!(site.begun().await, [2, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_flight_of_the_lowest_class_is_not_overtaken_for_ever() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let mut joins = vec![join_by(&site.handle.with_priority(Priority::Background), 99, site.work(99, &open()))];
        let high = site.handle.with_priority(Priority::High);
        joins.extend((1..=40).map(|key| join_by(&high, key, site.work(key, &open()))));
        joins.iter_mut().for_each(assert_pending);
        gate.open();
        join_all(joins).await;
        assert_eq!(site.begun().await.iter().position(|&key| key == 99), Some(15), "by age, after fifteen by class");
    })
    .await;
}

#[tokio::test]
async fn without_a_limit_classes_change_nothing() {
    limited(async {
        let handle = crate::support::one_shard::<u8, u8>();
        let low = handle.with_priority(Priority::Background);
        assert_eq!(low.join(1, returning(7)).await.unwrap(), 7);
        let mut waits = low.join(2, pending);
        assert_pending(&mut waits);
        assert_eq!(until(&handle, |stats| stats.flights == 1).await.executing, 0);
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_waits_is_shared() {
    limited(async {
        let (site, gate) = Site::occupied(|builder| builder).await;
        let mut joins: Vec<_> = (0..5).map(|_| site.join(1, &Gate::new())).collect();
        joins.push(site.join(1, &open()));
        joins.iter_mut().for_each(assert_pending);
        until(&site.handle, |stats| stats.waiters == 7).await;
        drop(joins);
        let mut joins: Vec<_> = (0..5).map(|_| site.join(2, &open())).collect();
        joins.iter_mut().for_each(assert_pending);
        gate.open();
        for answer in join_all(joins).await {
            assert_eq!(answer.unwrap(), 2);
        }
        assert_eq!(site.begun().await, [2]);
    })
    .await;
}

//! Work that joins other keys under full permits lends its own.

use std::sync::atomic::Ordering;

use futures::future::{FutureExt, join};
use tokio::select;

use super::{Site, join_by, open};
use crate::support::{Gate, assert_pending, at_rest, limited, settle, two_workers, until, watched};

impl Site {
    /// Work that joins the next key, whose work joins the next, and so on.
    fn chain(&self, key: u8, last: u8) -> super::Work {
        let site = self.clone();
        self.doing(key, move || {
            async move {
                if key < last {
                    join_by(&site.handle, key + 1, site.chain(key + 1, last)).await.unwrap();
                }
                key
            }
            .boxed()
        })
    }
}

#[tokio::test]
async fn work_that_joins_other_keys_ends_though_it_has_the_only_permit() {
    limited(async {
        let site = Site::new(1, |builder| builder);
        assert_eq!(join_by(&site.handle, 1, site.chain(1, 20)).await, Ok(1));
        // The other way to come to wait: the flight is in the queue before work joins it.
        let (joins, begins) = (site.clone(), Gate::new());
        let passed = begins.pass();
        let work = site.doing(50, move || {
            async move {
                passed.await;
                joins.join(51, &open()).await.unwrap()
            }
            .boxed()
        });
        let mut outer = join_by(&site.handle, 50, work);
        let mut inner = site.join(51, &open());
        assert_pending(&mut outer);
        assert_pending(&mut inner);
        until(&site.handle, |stats| stats.queue_len == 1).await;
        begins.open();
        assert_eq!((outer.await, inner.await), (Ok(51), Ok(51)));
        let stats = at_rest(&site.handle).await;
        assert_eq!((stats.executing, stats.queue_len), (0, 0));
        assert_eq!(site.join(1, &open()).await, Ok(1), "the permit is there again");
    })
    .await;
}

#[tokio::test]
async fn a_permit_is_lent_to_one_flight_at_a_time() {
    limited(async {
        let site = Site::new(1, |builder| builder);
        let (inside, gates) = (site.clone(), [Gate::new(), Gate::new()]);
        let opens = gates.clone();
        let outer = site.doing(1, move || {
            async move {
                let [first, second] = &gates;
                let (first, second) = join(inside.join(2, first), inside.join(3, second)).await;
                first.unwrap() + second.unwrap()
            }
            .boxed()
        });
        let mut outer = join_by(&site.handle, 1, outer);
        assert_pending(&mut outer);
        assert_eq!(site.begun().await, [1, 2]);
        opens[0].open();
        assert_eq!(site.begun().await, [3]);
        opens[1].open();
        assert_eq!(outer.await, Ok(5));
        at_rest(&site.handle).await;
    })
    .await;
}

#[tokio::test]
async fn work_that_stops_waiting_goes_on_and_the_next_permit_makes_up_for_it() {
    limited(async {
        let site = Site::new(1, |builder| builder);
        let [stops, ends, borrowed] = [Gate::new(), Gate::new(), Gate::new()];
        let (inside, lent) = (site.clone(), borrowed.clone());
        let (stopped, ended) = (stops.pass(), ends.pass());
        let outer = site.doing(1, move || {
            async move {
                select! {
                    _ = inside.join(2, &lent) => panic!("it has not ended"),
                    () = stopped => {}
                }
                ended.await;
                1
            }
            .boxed()
        });
        let mut outer = join_by(&site.handle, 1, outer);
        let mut second = site.join(2, &borrowed);
        assert_pending(&mut outer);
        assert_eq!(site.begun().await, [1, 2]);
        assert_pending(&mut second);
        let mut next = site.join(3, &open());
        assert_pending(&mut next);
        stops.open();
        settle().await;
        assert_eq!(site.handle.stats().await.unwrap().executing, 2);
        ends.open();
        assert_eq!(outer.await, Ok(1));
        assert!(site.begun().await.is_empty(), "there is one permit, and the borrower has it");
        borrowed.open();
        assert_eq!((second.await, next.await), (Ok(2), Ok(3)));
        assert_eq!(at_rest(&site.handle).await.executing, 0);
    })
    .await;
}

#[test]
fn blocking_work_lends_its_permit_too() {
    watched(|| {
        let runtime = two_workers();
        let site = crate::support::inside(&runtime, || Site::new(1, |builder| builder));
        let (outer, inner) = (site.handle.clone(), site.handle.clone());
        let innermost = site.handle.clone();
        let value = outer.blocking_join(1, move || {
            inner.blocking_join(2, move || innermost.blocking_join(3, || 7).unwrap()).unwrap()
        });
        assert_eq!(value, Ok(7));
        assert_eq!(runtime.block_on(at_rest(&site.handle)).executing, 0);
    });
}

#[test]
fn blocking_work_waits_before_it_takes_a_thread() {
    watched(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).build().unwrap();
        let site = crate::support::inside(&runtime, || Site::new(1, |builder| builder));
        let (wall, opener) = crate::support::Wall::new();
        let callers: Vec<_> = (0..4_u8)
            .map(|key| {
                let (site, wall) = (site.clone(), wall.clone());
                std::thread::spawn(move || {
                    let inside = site.clone();
                    site.handle.blocking_join(key, move || {
                        let _running = inside.begin(key);
                        wall.block();
                        key
                    })
                })
            })
            .collect();
        runtime.block_on(until(&site.handle, |stats| stats.queue_len == 3 && stats.executing == 1));
        // The other thread of the pool is free.
        assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 7)).unwrap(), 7);
        drop(opener);
        for (key, caller) in (0..).zip(callers) {
            assert_eq!(caller.join().unwrap(), Ok(key));
        }
        assert_eq!(site.most.load(Ordering::SeqCst), 1);
    });
}

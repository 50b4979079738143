//! A published result is held by its callers alone, and nothing else outlives its use (G6).

use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{executor::block_on, future::join_all};
use shardflight::{Coalescer, Handle};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Count, CountsDrop, Gate, Wall, assert_pending, at_rest, eventually, eventually_blocking, inside, limited,
        one_aborting_shard, one_shard, returning, settle, two_workers, until, watched,
    },
};

#[tokio::test]
async fn a_result_dies_with_its_last_caller() {
    limited(async {
        let handle = one_shard::<i32, CountsDrop>();
        let dropped = Count::default();
        let answers = join_all((0..10).map(|_| {
            let dropped = dropped.clone();
            handle.join_shared(1, move || async move { dropped.on_drop() })
        }))
        .await;
        let values: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(Arc::strong_count(&values[0]), 10);
        drop(values);
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_unread_answer_dies_with_its_caller() {
    limited(async {
        let handle = one_shard::<i32, CountsDrop>();
        let dropped = Count::default();
        let mut parked = {
            let dropped = dropped.clone();
            handle.join_shared(1, move || async move { dropped.on_drop() })
        };
        assert_pending(&mut parked);
        settle().await;
        at_rest(&handle).await;
        assert_eq!(dropped.get(), 0);
        drop(parked);
        assert_eq!(dropped.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_join_that_gave_its_answer_holds_no_part_of_it() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let mut join = handle.join_shared(1, returning(7));
        let value = (&mut join).await.unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
        drop(join);
    })
    .await;
}

#[tokio::test]
async fn keys_and_closures_are_gone_by_the_time_of_the_answer() {
    limited(async {
        let handle = one_shard::<i32, i32>();
        let dropped = Count::default();
        let joins = (0..1_000).map(|_| {
            let token = dropped.on_drop();
            handle.join(1, move || async move {
                let _token = token;
                7
            })
        });
        join_all(joins).await;
        assert_eq!(dropped.get(), 1_000);
    })
    .await;
}

/// A key that is known to be alive for as long as its `Arc` is held.
#[derive(PartialEq, Eq, Hash)]
struct Traced(i32, Arc<()>);

#[tokio::test]
async fn keys_are_gone_at_rest() {
    limited(async {
        let handle = one_shard::<Traced, i32>();
        let trace = Arc::new(());
        join_all((0..100).map(|n| handle.join(Traced(n % 10, Arc::clone(&trace)), returning(7)))).await;
        handle.forget(Traced(1, Arc::clone(&trace))).await.unwrap();
        at_rest(&handle).await;
        eventually(|| Arc::strong_count(&trace) == 1).await;
    })
    .await;
}

/// Ready at once; its drop takes as long as a wall stands.
struct SlowToDrop(Wall, Count);

impl Future for SlowToDrop {
    type Output = i32;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<i32> {
        Poll::Ready(7)
    }
}

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        self.1.up();
        self.0.block();
    }
}

#[test]
fn work_is_dropped_before_its_result_is_published() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<i32, i32> = inside(&runtime, one_shard);
        let ((wall, opener), dropping) = (Wall::new(), Count::default());
        let work = SlowToDrop(wall, dropping.clone());
        let caller = runtime.spawn(handle.join(1, move || work));
        eventually_blocking(|| dropping.get() == 1);
        assert_eq!(block_on(handle.stats()).unwrap().flights, 1);
        drop(opener);
        assert_eq!(block_on(caller).unwrap().unwrap(), 7);
    });
}

/// Takes as long to drop as its wall stands.
struct Heavy(Wall, Count);

impl Drop for Heavy {
    fn drop(&mut self) {
        self.1.up();
        self.0.block();
    }
}

#[test]
fn the_key_of_a_question_whose_asker_has_left_is_not_dropped_by_its_shard() {
    watched(|| {
        let runtime = two_workers();
        let handle: Handle<SlowKey, i32> = inside(&runtime, one_shard);
        let busy = BusyShard::of(&handle);
        let ((wall, opener), dropping) = (Wall::new(), Count::default());
        let mut question = Box::pin(handle.forget(SlowKey::holding(1, Heavy(wall, dropping.clone()))));
        assert_pending(&mut question);
        drop(question);
        assert_eq!(dropping.get(), 0, "the shard has the key");
        busy.free();
        eventually_blocking(|| dropping.get() == 1);
        for key in 2..50 {
            assert_eq!(block_on(handle.join(SlowKey::new(key), returning(key))).unwrap(), key);
        }
        drop(opener);
    });
}

#[tokio::test]
async fn departed_callers_are_reclaimed_while_the_flight_runs() {
    limited(async {
        let handle = one_shard::<Traced, i32>();
        let (dropped, trace) = (Count::default(), Arc::new(()));
        let mut leader = handle.join(Traced(1, Arc::new(())), pending);
        assert_pending(&mut leader);
        for _ in 0..20 {
            let mut burst: Vec<_> = (0..1_000)
                .map(|_| {
                    let token = dropped.on_drop();
                    handle.join(Traced(1, Arc::clone(&trace)), move || async move {
                        let _token = token;
                        7
                    })
                })
                .collect();
            burst.iter_mut().for_each(assert_pending);
            until(&handle, |stats| stats.waiters == 1_001).await;
        }
        // No look at the statistics from here on: the departures alone have to do it.
        eventually(|| dropped.get() == 20_000 && Arc::strong_count(&trace) == 1).await;
        assert_eq!(handle.stats().await.unwrap().flights, 1);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_cancelled_keys_leave_nothing_behind() {
    limited(async {
        for handle in [one_shard::<String, CountsDrop>(), one_aborting_shard()] {
            let (dropped, gate) = (Count::default(), Gate::new());
            let mut callers: Vec<_> = (0..10_000)
                .map(|key| {
                    let (token, gate) = (dropped.on_drop(), gate.clone());
                    handle.join_shared(format!("key {key}"), move || async move {
                        gate.pass().await;
                        token
                    })
                })
                .collect();
            callers.iter_mut().for_each(assert_pending);
            until(&handle, |stats| stats.flights == 10_000).await;
            drop(callers);
            assert_eq!(until(&handle, |stats| stats.waiters == 0).await.departures, 10_000);
            gate.open();
            at_rest(&handle).await;
            eventually(|| dropped.get() == 10_000).await;
        }
    })
    .await;
}

#[tokio::test]
async fn forgotten_flights_leave_nothing_behind() {
    limited(async {
        let handle = Coalescer::<i32, CountsDrop>::new().handle();
        let dropped = Count::default();
        for _ in 0..100 {
            let token = dropped.on_drop();
            let mut old = handle.join_shared(1, || async { token });
            assert_pending(&mut old);
            handle.forget(1).await.unwrap();
            drop(old.await.unwrap());
        }
        assert_eq!(dropped.get(), 100);
        at_rest(&handle).await;
    })
    .await;
}

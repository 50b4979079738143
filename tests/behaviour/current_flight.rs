//! Work asks for its own flight.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use futures::poll;
use shardflight::{Coalescer, Flight, Freshness, Handle, JoinError, OnAbandon, OnExpiry, RunWork};
use tokio::time::advance;

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Gate, assert_pending, at_rest, eventually, limited, one_aborting_shard, one_shard, panic_quietly, poll_once,
        settle, two_workers, until, watched,
    },
};

/// Where work leaves its flight for the test.
#[derive(Clone, Default)]
struct Found(Arc<Mutex<Option<Flight>>>);

impl Found {
    fn flight(&self) -> Flight {
        self.0.lock().unwrap().clone().expect("the work has begun, and found its flight")
    }

    /// Work that leaves its flight here, and then waits at the gate.
    fn by_work(
        &self,
        handle: &Handle<i32, i32>,
        gate: &Gate,
    ) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = i32> + Send>> + Send + 'static + use<> {
        let (found, handle, gate) = (self.0.clone(), handle.clone(), gate.pass());
        move || {
            Box::pin(async move {
                *found.lock().unwrap() = handle.current_flight();
                drop(handle);
                gate.await;
                7
            })
        }
    }
}

type Joined = std::pin::Pin<Box<dyn Future<Output = Result<i32, JoinError>> + Send>>;

/// A flight whose work has begun, and waits.
async fn start(handle: &Handle<i32, i32>) -> (Flight, Gate, Joined) {
    let (found, gate) = (Found::default(), Gate::new());
    let mut join: Joined = Box::pin(handle.join(1, found.by_work(handle, &gate)));
    assert_pending(&mut join);
    settle().await;
    (found.flight(), gate, join)
}

fn in_place() -> Handle<i32, i32> {
    Coalescer::builder().shards(1).run_work(RunWork::InPlace).build().unwrap().handle()
}

#[tokio::test]
async fn only_work_finds_a_flight() {
    limited(async {
        let handle = one_shard::<i32, bool>();
        let (inside, of_another) = (handle.clone(), one_shard::<i32, bool>());
        assert!(handle.current_flight().is_none());
        let work = move || {
            let in_the_closure = inside.current_flight().is_some();
            async move {
                let in_a_task = {
                    let inside = inside.clone();
                    tokio::spawn(async move { inside.current_flight().is_some() }).await.unwrap()
                };
                let in_the_future = inside.current_flight().is_some();
                in_the_closure && in_the_future && !in_a_task && of_another.current_flight().is_none()
            }
        };
        assert!(handle.join(1, work).await.unwrap());
        assert!(handle.current_flight().is_none());
    })
    .await;
}

#[tokio::test]
async fn bypassed_work_has_no_flight() {
    limited(async {
        let handle = one_shard::<i32, bool>();
        handle.set_enabled(false);
        let inside = handle.clone();
        assert!(handle.join(1, move || async move { inside.current_flight().is_none() }).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn work_that_has_polled_other_work_in_place_finds_its_own_flight_again() {
    limited(async {
        let handle = in_place();
        let inside = handle.clone();
        let number = |flight: Option<Flight>| format!("{:?}", flight.expect("this is work"));
        let work = move || async move {
            let outer = number(inside.current_flight());
            let innermost = inside.clone();
            let inner = inside.join(2, move || async move {
                assert_ne!(number(innermost.current_flight()), "");
                tokio::task::yield_now().await;
                number(innermost.current_flight()).len().try_into().unwrap()
            });
            assert!(inner.await.is_ok());
            assert_eq!(number(inside.current_flight()), outer);
            7
        };
        assert_eq!(handle.join(1, work).await.unwrap(), 7);
    })
    .await;
}

#[tokio::test]
async fn work_that_becomes_a_task_has_the_same_flight() {
    limited(async {
        let handle = in_place();
        let (gate, inside) = (Gate::new(), handle.clone());
        let passed = gate.pass();
        let mut leader = handle.join(1, move || async move {
            let before = inside.current_flight().unwrap();
            passed.await;
            assert_eq!(format!("{before:?}"), format!("{:?}", inside.current_flight().unwrap()));
            before.info().await.unwrap().waiters.try_into().unwrap()
        });
        assert_pending(&mut leader);
        let mut follower = handle.join(1, || async { unreachable!("a follower's") });
        assert_pending(&mut follower);
        gate.open();
        assert_eq!((follower.await.unwrap(), leader.await.unwrap()), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn a_flight_is_forgotten_once_forget_has_returned() {
    limited(async {
        let handle = one_shard();
        let (flight, gate, join) = start(&handle).await;
        assert!(!flight.is_forgotten());
        handle.forget(2).await.unwrap();
        assert!(!flight.is_forgotten(), "another key was");
        handle.forget(1).await.unwrap();
        assert!(flight.is_forgotten());
        assert_eq!(flight.info().await.unwrap().waiters, 1, "its caller still waits");
        gate.open();
        join.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_flight_is_forgotten_once_forget_all_has_returned() {
    limited(async {
        let handle = one_shard();
        let (flight, _gate, _join) = start(&handle).await;
        handle.forget_all().await.unwrap();
        assert!(flight.is_forgotten());
    })
    .await;
}

#[tokio::test]
async fn the_flight_that_waits_for_a_forgotten_one_is_forgotten_with_it() {
    limited(async {
        let handle = one_shard();
        let (_, first_gate, first) = start(&handle).await;
        let (found, gate) = (Found::default(), Gate::new());
        let mut second = handle.with_freshness(Freshness::StartedAfterCall).join(1, found.by_work(&handle, &gate));
        assert_pending(&mut second);
        handle.forget(1).await.unwrap();
        first_gate.open();
        first.await.unwrap();
        until(&handle, |stats| stats.executions == 2).await;
        assert!(found.flight().is_forgotten());
        let (third, ..) = start(&handle).await;
        assert!(!third.is_forgotten(), "it came after the forget");
        gate.open();
        second.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_is_detached_by_its_deadline_is_forgotten_and_its_successor_is_not() {
    limited(async {
        let limit = Duration::from_secs(1);
        let builder = Coalescer::builder().shards(1).max_flight_duration(limit).on_expiry(OnExpiry::Detach);
        let handle = builder.build().unwrap().handle();
        let (flight, _gate, _join) = start(&handle).await;
        let (found, gate) = (Found::default(), Gate::new());
        let mut second = handle.with_freshness(Freshness::StartedAfterCall).join(1, found.by_work(&handle, &gate));
        assert_pending(&mut second);
        assert!(!flight.is_forgotten());
        advance(limit).await;
        handle.forget(2).await.unwrap();
        assert!(flight.is_forgotten());
        until(&handle, |stats| stats.executions == 2).await;
        assert!(!found.flight().is_forgotten());
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_flight_is_forgotten_when_it_is_aborted() {
    limited(async {
        let handle = one_aborting_shard();
        let (flight, _gate, join) = start(&handle).await;
        drop(join);
        assert!(flight.is_forgotten());
        assert!(flight.info().await.is_none());
    })
    .await;
}

#[test]
fn blocking_work_that_outlives_its_deadline_knows() {
    watched(|| {
        let runtime = two_workers();
        let builder = Coalescer::<i32, i32>::builder().shards(1).max_flight_duration(Duration::from_millis(1));
        let handle = builder.build_on(runtime.handle()).unwrap().handle();
        // Work that no thread has begun by its deadline never begins: then once more.
        let told = loop {
            let (inside, (end, ended), (tell, told)) = (handle.clone(), mpsc::channel::<()>(), mpsc::channel());
            let answer = handle.blocking_join(1, move || {
                let flight = inside.current_flight().unwrap();
                ended.recv().unwrap();
                tell.send((flight.is_forgotten(), flight.blocking_info().is_none())).unwrap();
                7
            });
            assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
            if end.send(()).is_ok()
                && let Ok(told) = told.recv()
            {
                break told;
            }
        };
        assert_eq!(told, (true, true));
    });
}

#[test]
fn blocking_work_sees_its_callers() {
    watched(|| {
        let runtime = two_workers();
        let handle = Coalescer::<i32, usize>::builder().build_on(runtime.handle()).unwrap().handle();
        let inside = handle.clone();
        let waiters =
            handle.blocking_join(1, move || inside.current_flight().unwrap().blocking_info().unwrap().waiters);
        assert_eq!(waiters.unwrap(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn info_tells_callers_and_age() {
    limited(async {
        let handle = one_shard();
        let (flight, gate, mut leader) = start(&handle).await;
        let mut follower = handle.join(1, || async { unreachable!("a follower's") });
        assert_pending(&mut follower);
        advance(Duration::from_secs(5)).await;
        let info = flight.info().await.unwrap();
        assert_eq!((info.waiters, info.age), (2, Duration::from_secs(5)));
        assert!(poll_once(&mut leader).is_pending());
        drop((leader, follower));
        assert_eq!(flight.info().await.unwrap().waiters, 0, "abandoned, and not forgotten");
        assert!(!flight.is_forgotten());
        gate.open();
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn a_flight_that_is_over_is_forgotten_and_keeps_no_value() {
    for handle in [Coalescer::new().handle(), in_place_of_arcs()] {
        limited(async {
            let (flight, inside): (Arc<Mutex<Option<Flight>>>, _) = (Arc::default(), handle.clone());
            let leaves = Arc::clone(&flight);
            let value: Arc<i32> = handle
                .join(1, move || async move {
                    *leaves.lock().unwrap() = inside.current_flight();
                    Arc::new(7)
                })
                .await
                .unwrap();
            let flight = flight.lock().unwrap().clone().unwrap();
            at_rest(&handle).await;
            assert_eq!(Arc::strong_count(&value), 1);
            assert!(flight.is_forgotten());
            assert!(flight.info().await.is_none());
        })
        .await;
    }
}

fn in_place_of_arcs() -> Handle<i32, Arc<i32>> {
    Coalescer::builder().run_work(RunWork::InPlace).build().unwrap().handle()
}

#[tokio::test]
async fn a_kept_flight_keeps_no_coalescer_alive() {
    limited(async {
        let builder = Coalescer::builder().shards(1).on_abandon(OnAbandon::Abort);
        let handle = builder.build().unwrap().handle();
        let (flight, _gate, join) = start(&handle).await;
        drop((handle, join));
        let metrics = tokio::runtime::Handle::current().metrics();
        eventually(|| metrics.num_alive_tasks() == 0).await;
        assert!(flight.is_forgotten());
        assert!(flight.info().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn work_that_asks_and_panics_still_ends_its_flight() {
    for handle in [one_shard::<i32, i32>(), in_place()] {
        limited(async {
            let inside = handle.clone();
            let answer = handle.join(1, move || async move {
                let _flight = inside.current_flight();
                panic_quietly("work")
            });
            assert!(matches!(answer.await, Err(JoinError::Panicked(_))));
            assert_eq!(at_rest(&handle).await.panics, 1);
        })
        .await;
    }
}

#[test]
fn a_taken_shard_delays_info_alone() {
    watched(|| {
        let runtime = two_workers();
        let handle = Coalescer::<SlowKey, i32>::builder().shards(1).build_on(runtime.handle()).unwrap().handle();
        let (inside, (tell, told), gate) = (handle.clone(), mpsc::channel(), Gate::new());
        let (passed, work_handle) = (gate.pass(), inside.clone());
        let mut join = Box::pin(handle.join(SlowKey::new(1), move || async move {
            tell.send(work_handle.current_flight().unwrap()).unwrap();
            drop(work_handle);
            passed.await;
            7
        }));
        assert_pending(&mut join);
        let flight = told.recv().unwrap();
        let busy = BusyShard::of(&handle);
        assert!(!flight.is_forgotten());
        let mut info = Box::pin(flight.info());
        assert!(poll_once(&mut info).is_pending());
        busy.free();
        let waiters = futures::executor::block_on(async {
            assert!(poll!(&mut join).is_pending());
            info.await.unwrap().waiters
        });
        assert_eq!(waiters, 1);
        gate.open();
        assert_eq!(futures::executor::block_on(join).unwrap(), 7);
    });
}

//! Flights that stall and are taken over by a follower's work (`OnStall::Takeover`).

mod ends;
mod threads;

use std::{future::pending, pin::Pin, time::Duration};

use shardflight::{BuildError, Builder, Coalescer, Freshness, Handle, JoinError, OnStall, RunWork, TryJoinError};
use tokio::time::{Instant, advance, sleep};

use crate::support::{
    Count, Gate, assert_pending, at_rest, eventually, limited, panic_quietly, returning, settle, until,
};

/// After which a flight is taken over.
const AFTER: Duration = Duration::from_millis(200);

fn taken_over<V: Send + Sync + 'static>(
    at_most: usize,
    configure: impl FnOnce(Builder<i32, V>) -> Builder<i32, V>,
) -> Handle<i32, V> {
    let builder = Coalescer::builder().shards(1).on_stall(OnStall::Takeover { after: AFTER, at_most });
    configure(builder).build().unwrap().handle()
}

fn once() -> Handle<i32, i32> {
    taken_over(1, |builder| builder)
}

/// Lets a flight stall that has a follower.
async fn is_taken_over<V: Send + Sync + 'static>(handle: &Handle<i32, V>) {
    // On a paused clock, time passes only while every task sleeps.
    sleep(AFTER).await;
    until(handle, |stats| stats.takeovers == 1).await;
}

/// Work that never ends by itself, and how often such work was called and dropped.
#[derive(Clone, Default)]
struct Stalls {
    called: Count,
    dropped: Count,
}

impl Stalls {
    fn work(&self) -> impl FnOnce() -> Pin<Box<dyn Future<Output = i32> + Send>> + Send + use<> {
        let (called, token) = (self.called.clone(), self.dropped.on_drop());
        move || {
            called.up();
            Box::pin(async move {
                let _token = token;
                pending().await
            })
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_flight_is_taken_over_by_its_follower() {
    limited(async {
        let (handle, stalls, began) = (once(), Stalls::default(), Instant::now());
        let (leader, follower) = (handle.join(1, stalls.work()), handle.join(1, returning(2)));
        let answers = tokio::join!(leader, follower);
        assert_eq!(answers, (Ok(2), Ok(2)));
        assert_eq!(began.elapsed().as_millis(), AFTER.as_millis());
        eventually(|| stalls.dropped.get() == 1).await;
        let stats = at_rest(&handle).await;
        assert_eq!((stats.joins, stats.executions, stats.coalesced, stats.takeovers), (2, 1, 1, 1));
        handle.reset_stats().await.unwrap();
        assert_eq!(handle.stats().await.unwrap().takeovers, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_ends_in_time_is_not_taken_over() {
    limited(async {
        let (handle, stalls) = (once(), Stalls::default());
        let in_time = || async {
            sleep(Duration::from_millis(199)).await;
            1
        };
        let answers = tokio::join!(handle.join(1, in_time), handle.join(1, stalls.work()));
        assert_eq!(answers, (Ok(1), Ok(1)));
        sleep(AFTER).await;
        assert_eq!((stalls.called.get(), stalls.dropped.get()), (0, 1));
        assert_eq!(at_rest(&handle).await.takeovers, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_first_follower_of_a_flight_that_stalled_before_takes_over_at_once() {
    limited(async {
        let (handle, stalls) = (once(), Stalls::default());
        let mut leader = handle.join(1, stalls.work());
        assert_pending(&mut leader);
        sleep(3 * AFTER).await;
        let came = Instant::now();
        assert_eq!(handle.join(1, returning(2)).await, Ok(2));
        assert_eq!(came.elapsed().as_millis(), 0);
        assert_eq!(leader.await, Ok(2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_takeover_begins_after_the_one_before_and_there_are_at_most_so_many() {
    limited(async {
        let (handle, stalls) = (taken_over(2, |builder| builder), Stalls::default());
        let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, stalls.work())).collect();
        callers.iter_mut().for_each(assert_pending);
        assert_eq!(stalls.dropped.get(), 2, "a flight keeps no work that it can't use");
        settle().await;
        for (begun, wait) in [(1, AFTER / 2), (1, AFTER / 2), (2, AFTER / 2), (2, AFTER / 2), (3, 10 * AFTER)] {
            assert_eq!(stalls.called.get(), begun);
            advance(wait).await;
            settle().await;
        }
        assert_eq!(stalls.called.get(), 3);
        assert_eq!(handle.stats().await.unwrap().takeovers, 2);
        drop(callers);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_work_is_an_answer() {
    limited(async {
        let handle = taken_over::<Result<i32, String>>(1, |builder| builder);
        let failing = || async { Err("no".to_owned()) };
        let answers = tokio::join!(handle.try_join(1, pending), handle.try_join(1, failing));
        let error = Err(TryJoinError::Work("no".to_owned()));
        assert_eq!(answers, (error.clone(), error));
        assert_eq!(at_rest(&handle).await.errors, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_beside_another_execution_reaches_no_caller() {
    limited(async {
        for leader_panics in [true, false] {
            let (handle, gates) = (once(), [Gate::new(), Gate::new()]);
            let works = gates.clone().map(|gate| {
                move |panics: bool, value: i32| async move {
                    gate.pass().await;
                    if panics { panic_quietly("planned") } else { value }
                }
            });
            let [first, second] = works;
            let mut leader = handle.join(1, move || first(leader_panics, 1));
            let mut follower = handle.join(1, move || second(!leader_panics, 2));
            assert_pending(&mut leader);
            assert_pending(&mut follower);
            is_taken_over(&handle).await;
            gates[usize::from(!leader_panics)].open();
            settle().await;
            assert_pending(&mut leader);
            gates.iter().for_each(Gate::open);
            let answer = Ok(if leader_panics { 2 } else { 1 });
            assert_eq!((leader.await, follower.await), (answer.clone(), answer));
            assert_eq!(at_rest(&handle).await.panics, 0);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn if_all_executions_panic_so_does_the_flight() {
    limited(async {
        let (handle, gate) = (once(), Gate::new());
        let work = |message: &'static str| {
            let gate = gate.clone();
            move || async move {
                gate.pass().await;
                panic_quietly(message)
            }
        };
        let (mut leader, mut follower) = (handle.join(1, work("first")), handle.join(1, work("second")));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        is_taken_over(&handle).await;
        gate.open();
        for answer in [leader.await, follower.await] {
            assert!(matches!(answer, Err(JoinError::Panicked(_))), "{answer:?}");
        }
        assert_eq!(at_rest(&handle).await.panics, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_starts_no_execution() {
    limited(async {
        let (handle, stalls) = (once(), Stalls::default());
        let panics = || async { panic_quietly("planned") };
        let answers = tokio::join!(handle.join(1, panics), handle.join(1, stalls.work()));
        assert!(matches!(answers, (Err(JoinError::Panicked(_)), Err(JoinError::Panicked(_)))), "{answers:?}");
        sleep(2 * AFTER).await;
        assert_eq!((stalls.called.get(), stalls.dropped.get()), (0, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_has_left_leaves_its_work() {
    limited(async {
        let (handle, stalls) = (once(), Stalls::default());
        let mut leader = handle.join(1, stalls.work());
        assert_pending(&mut leader);
        let mut follower = handle.join(1, returning(2));
        assert_pending(&mut follower);
        drop(follower);
        assert_eq!(leader.await, Ok(2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_takeover_that_waits_for_its_own_flight_is_reentrant() {
    limited(async {
        let handle = once();
        let inner = handle.clone();
        let nested = move || async move {
            let flight = inner.current_flight().expect("it is work of a flight");
            assert!(!flight.is_forgotten());
            assert_eq!(flight.info().await.expect("it is under way").waiters, 2);
            i32::from(inner.join(1, returning(7)).await == Err(JoinError::Reentrant))
        };
        let answers = tokio::join!(handle.join(1, pending), handle.join(1, nested));
        assert_eq!(answers, (Ok(1), Ok(1)));
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_flight_that_waits_begins_with_its_work() {
    limited(async {
        let (handle, stalls, gate) = (taken_over(1, |builder| builder), Stalls::default(), Gate::new());
        let fresh = handle.with_freshness(Freshness::StartedAfterCall);
        let mut under_way = handle.join(1, gate.then(1));
        assert_pending(&mut under_way);
        let (mut leader, mut follower) = (fresh.join(1, stalls.work()), fresh.join(1, returning(3)));
        assert_pending(&mut leader);
        assert_pending(&mut follower);
        sleep(5 * AFTER).await;
        gate.open();
        assert_eq!(under_way.await, Ok(1));
        let began = Instant::now();
        assert_eq!((leader.await, follower.await), (Ok(3), Ok(3)));
        assert_eq!(began.elapsed().as_millis(), AFTER.as_millis());
        at_rest(&handle).await;
    })
    .await;
}

#[tokio::test]
async fn takeovers_that_make_no_sense_are_refused() {
    let build = |after, at_most, configure: fn(Builder<i32, i32>) -> Builder<i32, i32>| {
        configure(Coalescer::builder().on_stall(OnStall::Takeover { after, at_most })).build().map(drop)
    };
    let limit = OnStall::MAX_TAKEOVERS;
    assert_eq!(build(Duration::ZERO, 1, |builder| builder), Err(BuildError::ZeroTakeoverAfter));
    for at_most in [0, limit + 1] {
        assert_eq!(build(AFTER, at_most, |builder| builder), Err(BuildError::InvalidTakeovers { at_most, limit }));
    }
    let short = build(AFTER, 1, |builder| builder.max_flight_duration(AFTER));
    assert_eq!(short, Err(BuildError::TakeoverPastDeadline { after: AFTER, limit: AFTER }));
    assert_eq!(short.unwrap_err().to_string().matches("200ms").count(), 2);
    assert_eq!(build(AFTER, 1, |builder| builder.run_work(RunWork::InPlace)), Err(BuildError::TakeoverInPlace));
    assert_eq!(build(Duration::MAX, limit, Builder::no_flight_deadline), Ok(()));
}

//! The events that tracing receives. Each test is a process of its own: whether an event is wanted is remembered for the
//! whole process, and other tests have no subscriber.

use std::{collections::BTreeSet, future::pending, time::Duration};

use futures::future::join_all;
use shardflight::{Coalescer, Handle, OnStall};
use tokio::time::sleep;
use tracing::{
    Instrument, Span, info_span,
    subscriber::{DefaultGuard, set_default},
};
use tracing_subscriber::{layer::SubscriberExt, registry};

use crate::{
    events::{COMPLETED, CROWDED, Events, FOLLOWED, OVERDUE, REJECTED, STARTED, TAKEN_OVER},
    support::{assert_pending, in_a_child_process, one_shard, panic_quietly, returning, settle},
};

fn listen() -> (Events, DefaultGuard) {
    let events = Events::default();
    (events.clone(), set_default(registry().with(events)))
}

fn with_threshold(callers: usize) -> Handle<i32, i32> {
    let builder = Coalescer::builder().shards(1).crowd_threshold(callers).max_waiters_per_flight(5);
    builder.max_flight_duration(Duration::from_secs(10)).build().unwrap().handle()
}

#[test]
fn a_flight_reports_its_start_and_completion() {
    in_a_child_process("tracing::a_flight_reports_its_start_and_completion", || async {
        tokio::time::pause();
        let (events, _listening) = listen();
        let handle = with_threshold(100);
        let work = || async {
            sleep(Duration::from_secs(2)).await;
            7
        };
        join_all((0..3).map(|_| handle.join(1, work)).map(|join| join.instrument(info_span!("caller")))).await;
        let (started, completed) = (events.of(STARTED), events.of(COMPLETED));
        assert_eq!((started.len(), completed.len()), (1, 1));
        assert_eq!((started[0]["level"].as_str(), completed[0]["level"].as_str()), ("DEBUG", "DEBUG"));
        assert_eq!(started[0]["flight"], completed[0]["flight"]);
        assert_eq!(started[0]["span"], "flight");
        assert_eq!((completed[0]["outcome"].as_str(), completed[0]["waiters"].as_str()), ("value", "3"));
        let latency: f64 = completed[0]["latency"].parse().unwrap();
        assert!((2.0..2.1).contains(&latency), "{latency}");
    });
}

#[test]
fn a_takeover_is_reported_and_runs_in_its_flights_span() {
    in_a_child_process("tracing::a_takeover_is_reported_and_runs_in_its_flights_span", || async {
        tokio::time::pause();
        let (events, _listening) = listen();
        let stall = OnStall::Takeover { after: Duration::from_secs(2), at_most: 1 };
        let handle: Handle<i32, i32> = Coalescer::builder().shards(1).on_stall(stall).build().unwrap().handle();
        let in_span = || async { i32::from(Span::current().metadata().is_some_and(|span| span.name() == "flight")) };
        assert_eq!(tokio::join!(handle.join(1, pending), handle.join(1, in_span)), (Ok(1), Ok(1)));
        let ([taken_over], [started]) = (&events.of(TAKEN_OVER)[..], &events.of(STARTED)[..]) else { panic!() };
        assert_eq!((taken_over["level"].as_str(), taken_over["takeover"].as_str()), ("WARN", "1"));
        assert_eq!(taken_over["flight"], started["flight"]);
        let age: f64 = taken_over["age"].parse().unwrap();
        assert!((2.0..2.1).contains(&age), "{age}");
    });
}

#[test]
fn bypassed_work_reports_no_flight() {
    in_a_child_process("tracing::bypassed_work_reports_no_flight", || async {
        let (events, _listening) = listen();
        let handle = one_shard::<i32, i32>();
        handle.set_enabled(false);
        handle.join(1, returning(7)).instrument(info_span!("caller")).await.unwrap();
        assert!(events.all().iter().all(|event| !event["message"].contains("flight")), "{:?}", events.all());
    });
}

#[test]
fn each_outcome_has_its_name() {
    in_a_child_process("tracing::each_outcome_has_its_name", || async {
        tokio::time::pause();
        let (events, _listening) = listen();
        let handle = with_threshold(100);
        handle.join(1, || async { panic_quietly("broken") }).await.unwrap_err();
        handle.join(1, pending).await.unwrap_err();
        let outcomes: Vec<_> = events.of(COMPLETED).into_iter().map(|event| event["outcome"].clone()).collect();
        assert_eq!(outcomes, ["panicked", "timed_out"]);
    });
}

#[test]
fn each_flight_has_a_number_of_its_own() {
    in_a_child_process("tracing::each_flight_has_a_number_of_its_own", || async {
        let (events, _listening) = listen();
        let handle: Handle<i32, i32> = Coalescer::builder().shards(3).build().unwrap().handle();
        for _ in 0..2 {
            join_all((0..10).map(|key| handle.join(key, returning(7)))).await;
        }
        let completed = events.of(COMPLETED);
        let numbers: BTreeSet<_> = completed.iter().map(|event| &event["flight"]).collect();
        assert_eq!((events.of(STARTED).len(), completed.len(), numbers.len()), (20, 20, 20), "{numbers:?}");
    });
}

#[test]
fn a_follower_reports_its_flight_in_its_own_span() {
    in_a_child_process("tracing::a_follower_reports_its_flight_in_its_own_span", || async {
        let (events, _listening) = listen();
        let handle = with_threshold(100);
        let leader = handle.join(1, returning(7)).instrument(info_span!("leader"));
        let follower = handle.join(1, returning(8)).instrument(info_span!("follower"));
        let _ = tokio::join!(leader, follower);
        let reports = events.of(FOLLOWED);
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert_eq!(reports[0]["span"], "follower");
        assert_eq!(reports[0]["flight"], events.of(COMPLETED)[0]["flight"]);
    });
}

#[test]
fn a_crowd_is_reported_once_at_its_threshold() {
    in_a_child_process("tracing::a_crowd_is_reported_once_at_its_threshold", || async {
        let (events, _listening) = listen();
        let handle = with_threshold(3);
        let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
        for (n, caller) in callers.iter_mut().enumerate() {
            assert_pending(caller);
            settle().await;
            assert_eq!(events.of(CROWDED).len(), usize::from(n >= 2), "{n}");
        }
        callers.truncate(1);
        settle().await;
        callers.extend((0..4).map(|_| handle.join(1, pending)));
        callers.iter_mut().for_each(assert_pending);
        settle().await;
        let crowded = events.of(CROWDED);
        assert_eq!(crowded.len(), 1);
        assert_eq!((crowded[0]["level"].as_str(), crowded[0]["waiters"].as_str()), ("WARN", "3"));
        assert_eq!(crowded[0]["flight"], handle.inspect(1).await.unwrap().oldest[0].flight.to_string());
    });
}

#[test]
fn a_leader_alone_meets_a_threshold_of_one() {
    in_a_child_process("tracing::a_leader_alone_meets_a_threshold_of_one", || async {
        let (events, _listening) = listen();
        let handle = Coalescer::<i32, i32>::builder().shards(1).crowd_threshold(1).build().unwrap().handle();
        handle.join(1, returning(7)).await.unwrap();
        assert_eq!(events.of(CROWDED).len(), 1);
    });
}

#[test]
fn an_overdue_flight_reports_its_age_and_callers() {
    in_a_child_process("tracing::an_overdue_flight_reports_its_age_and_callers", || async {
        tokio::time::pause();
        let (events, _listening) = listen();
        let handle = with_threshold(100);
        join_all([handle.join(1, pending), handle.join(1, pending)]).await;
        let overdue = events.of(OVERDUE);
        assert_eq!(overdue.len(), 1);
        assert_eq!((overdue[0]["level"].as_str(), overdue[0]["waiters"].as_str()), ("WARN", "2"));
        let age: f64 = overdue[0]["age"].parse().unwrap();
        assert!((10.0..10.1).contains(&age), "{age}");
    });
}

#[test]
fn each_rejected_join_reports_its_reason() {
    in_a_child_process("tracing::each_rejected_join_reports_its_reason", || async {
        let (events, _listening) = listen();
        let handle = with_threshold(100);
        let mut callers: Vec<_> = (0..5).map(|_| handle.join(1, pending)).collect();
        callers.iter_mut().for_each(assert_pending);
        for rejections in 1..=2 {
            assert!(handle.join(1, pending).await.is_err());
            let rejected = events.of(REJECTED);
            assert_eq!(rejected.len(), rejections);
            let last = &rejected[rejections - 1];
            assert_eq!((last["level"].as_str(), last["reason"].as_str()), ("DEBUG", "too_many_waiters"));
        }
        assert!(events.of(COMPLETED).is_empty(), "a rejection completes no flight");
    });
}

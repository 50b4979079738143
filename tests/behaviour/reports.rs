//! What a join reports of its flight.

use std::{
    future::pending,
    io,
    time::{Duration, Instant},
};

use futures::{executor::block_on, future::join_all, join};
use shardflight::{CallerRole, Coalescer, FlightReport, Freshness, Handle, JoinError, OnExpiry, RunWork, TryJoinError};
use tokio::time::{self, advance, sleep};

use crate::{
    busy_shard::{BusyShard, SlowKey},
    support::{
        Gate, assert_pending, limited, one_shard, panic_quietly, poll_once, returning, settle, two_workers, watched,
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Instant {
    time::Instant::now().into_std()
}

async fn a_second() -> i32 {
    sleep(SECOND).await;
    7
}

fn assert_report(report: &FlightReport, role: CallerRole, started: Instant, ran: Duration) {
    assert_eq!((report.role, report.started, report.ran), (role, Some(started), Some(ran)));
}

fn in_place() -> Handle<i32, i32> {
    Coalescer::builder().shards(1).run_work(RunWork::InPlace).build().unwrap().handle()
}

#[tokio::test(start_paused = true)]
async fn a_leader_and_its_followers_report_one_flight() {
    for handle in [one_shard::<i32, i32>(), in_place()] {
        limited(async {
            let started = now();
            let mut leader = handle.join(1, a_second).with_report();
            assert_pending(&mut leader);
            settle().await;
            advance(SECOND / 2).await;
            let followers = join_all((0..3).map(|_| handle.join(1, pending).with_report()));
            let ((answer, report), followers) = join!(leader, followers);
            assert_eq!(answer.unwrap(), 7);
            assert_report(&report, CallerRole::Leader, started, SECOND);
            for (answer, report) in followers {
                assert_eq!(answer.unwrap(), 7);
                assert_report(&report, CallerRole::Follower, started, SECOND);
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_asks_of_a_flight_whose_leader_does_not() {
    for handle in [one_shard::<i32, i32>(), in_place()] {
        limited(async {
            let (started, mut leader) = (now(), handle.join(1, a_second));
            assert_pending(&mut leader);
            let (answer, (_, report)) = join!(leader, handle.join(1, pending).with_report());
            assert_eq!(answer.unwrap(), 7);
            assert_report(&report, CallerRole::Follower, started, SECOND);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_alone_reports_work_that_it_ran_in_place() {
    limited(async {
        let (handle, started) = (in_place(), now());
        let (_, report) = handle.join(1, returning(7)).with_report().await;
        assert_report(&report, CallerRole::Leader, started, Duration::ZERO);
        let (_, report) = handle.join(1, a_second).with_report().await;
        assert_report(&report, CallerRole::Leader, started, SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_polled_late_reports_when_the_flight_ended() {
    limited(async {
        let (handle, started) = (one_shard::<i32, i32>(), now());
        let mut join = handle.join(1, a_second).with_report();
        assert_pending(&mut join);
        settle().await;
        advance(SECOND).await;
        settle().await;
        advance(60 * SECOND).await;
        let (answer, report) = join.await;
        assert_eq!(answer.unwrap(), 7);
        assert_report(&report, CallerRole::Leader, started, SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bypassed_join_reports_its_own_work() {
    limited(async {
        let (handle, started) = (one_shard::<i32, i32>(), now());
        handle.set_enabled(false);
        let (answer, report) = handle.join(1, a_second).with_report().await;
        assert_eq!(answer.unwrap(), 7);
        assert_report(&report, CallerRole::Bypassed, started, SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_flight_is_reported_to_its_own_callers() {
    limited(async {
        let (handle, started) = (one_shard::<i32, i32>(), now());
        let mut old = handle.join(1, a_second).with_report();
        assert_pending(&mut old);
        settle().await;
        advance(SECOND / 2).await;
        handle.forget(1).await.unwrap();
        let ((_, new), (_, old)) = join!(handle.join(1, a_second).with_report(), old);
        assert_report(&old, CallerRole::Leader, started, SECOND);
        assert_report(&new, CallerRole::Leader, started + SECOND / 2, SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_waits_for_another_reports_when_its_work_began() {
    limited(async {
        let (handle, started) = (one_shard::<i32, i32>(), now());
        let fresh = handle.with_freshness(Freshness::StartedAfterCall);
        let mut first = handle.join(1, a_second);
        assert_pending(&mut first);
        let (_, (_, leader), (_, follower)) =
            join!(first, fresh.join(1, a_second).with_report(), fresh.join(1, pending).with_report());
        assert_report(&leader, CallerRole::Leader, started + SECOND, SECOND);
        assert_report(&follower, CallerRole::Follower, started + SECOND, SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_come_with_a_report() {
    limited(async {
        let (handle, started) = (Coalescer::<i32, Result<i32, io::ErrorKind>>::new().handle(), now());
        let fails = || async {
            sleep(SECOND).await;
            Err(io::ErrorKind::NotFound)
        };
        let (plain, shared) =
            join!(handle.try_join(1, fails).with_report(), handle.try_join_shared(1, fails).with_report());
        assert_eq!(plain.0, Err(TryJoinError::Work(io::ErrorKind::NotFound)));
        assert_report(&plain.1, CallerRole::Leader, started, SECOND);
        assert!(matches!(shared.0, Err(TryJoinError::Work(_))));
        assert_report(&shared.1, CallerRole::Follower, started, SECOND);

        let (answer, report) = handle.join_shared(1, || async { panic_quietly("work") }).with_report().await;
        assert!(matches!(answer, Err(JoinError::Panicked(_))));
        assert_report(&report, CallerRole::Leader, started + SECOND, Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_is_past_its_deadline_reports_that() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().max_flight_duration(SECOND).on_expiry(OnExpiry::Fail);
        let (handle, started) = (builder.build().unwrap().handle(), now());
        let (answer, report) = handle.join(1, pending).with_report().await;
        assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
        assert_eq!((report.role, report.started), (CallerRole::Leader, Some(started)));
        assert!(report.ran.is_some_and(|ran| ran >= SECOND));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_no_longer_does_not_know_how_long_the_work_runs() {
    limited(async {
        let (handle, started) = (one_shard::<i32, i32>(), now());
        let (answer, report) = handle.with_max_wait(SECOND).join(1, pending).with_report().await;
        assert!(matches!(answer, Err(JoinError::TimedOut { .. })));
        assert_eq!((report.role, report.started, report.ran), (CallerRole::Leader, Some(started), None));
    })
    .await;
}

#[tokio::test]
async fn a_refused_join_reports_no_flight() {
    limited(async {
        let builder = Coalescer::<i32, i32>::builder().max_waiters_per_flight(1);
        let (handle, gate) = (builder.build().unwrap().handle(), Gate::new());
        let mut leader = handle.join(1, gate.then(7));
        assert_pending(&mut leader);
        let (answer, report) = handle.join(1, pending).with_report().await;
        assert!(matches!(answer, Err(JoinError::TooManyWaiters { .. })));
        assert_eq!((report.role, report.started, report.ran), (CallerRole::Refused, None, None));
        assert_eq!(report.role.as_str(), "refused");
    })
    .await;
}

#[test]
fn joins_that_find_their_shard_taken_report_the_same() {
    watched(|| {
        let runtime = two_workers();
        let handle = Coalescer::<SlowKey, i32>::builder().shards(1).build_on(runtime.handle()).unwrap().handle();
        let gate = Gate::new();
        let busy = BusyShard::of(&handle);
        let before = Instant::now();
        let mut leader = Box::pin(handle.join(SlowKey::new(1), gate.then(7)).with_report());
        let mut follower = Box::pin(handle.join(SlowKey::new(1), pending).with_report());
        assert!(poll_once(&mut leader).is_pending() && poll_once(&mut follower).is_pending());
        busy.free();
        gate.open();
        let (leader, follower) = block_on(async { join!(leader, follower) });
        assert_eq!((leader.0.unwrap(), follower.0.unwrap()), (7, 7));
        assert_eq!((leader.1.role, follower.1.role), (CallerRole::Leader, CallerRole::Follower));
        assert!(leader.1.started.is_some_and(|started| started >= before));
        assert_eq!((leader.1.started, leader.1.ran), (follower.1.started, follower.1.ran));
        assert!(leader.1.ran.is_some());
    });
}

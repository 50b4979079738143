//! Leaders that poll their own work (`RunWork::InPlace`), until others need it.

use std::{convert::identity, future::pending, panic::resume_unwind, time::Duration};

use shuttle::future::spawn;

use super::{
    fixture::{Configure, Fixture, KEY, LIMIT, NEIGHBOUR, join, run},
    futures::{Gate, begun, begun_beside, pause, ready},
};
use crate::{JoinError, OnAbandon, RunWork};

fn in_place(configure: impl FnOnce(Configure) -> Configure, scenario: impl AsyncFnOnce(Fixture)) {
    run(1, |builder| configure(builder.run_work(RunWork::InPlace)), scenario);
}

fn aborting(builder: Configure) -> Configure {
    builder.on_abandon(OnAbandon::Abort)
}

/// While it polls, and between its polls.
pub(super) fn a_follower_joins_at_any_time() {
    in_place(identity, async |fixture| {
        let twice = async || {
            pause().await;
            pause().await;
        };
        let (leader, follower) = (spawn(fixture.join(KEY, twice)), spawn(fixture.join(KEY, twice)));
        assert!(leader.await.unwrap().outcome.is_ok());
        assert!(follower.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn a_follower_joins_beside_the_leaders_completion() {
    in_place(identity, async |fixture| {
        let callers = [(); 3].map(|()| spawn(fixture.join(KEY, ready)));
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn a_leader_in_place_that_is_never_polled_again_stalls_no_follower() {
    in_place(identity, async |fixture| {
        let parked = begun(fixture.call(KEY));
        let followers = [fixture.caller(KEY), fixture.caller(KEY)];
        for follower in followers {
            assert!(follower.await.unwrap().outcome.is_ok());
        }
        assert!(parked.await.outcome.is_ok());
        fixture.finish().await;
    });
}

/// Its one poll goes on while the follower joins.
pub(super) fn a_leader_in_place_that_is_polled_once_stalls_no_follower() {
    in_place(identity, async |fixture| {
        let leader = fixture.call(KEY);
        let parked = begun_beside(leader);
        assert!(fixture.caller(KEY).await.unwrap().outcome.is_ok());
        let parked = parked.await.unwrap();
        assert!(fixture.call(KEY).await.outcome.is_ok());
        assert!(parked.await.outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn a_leader_in_place_is_woken_in_the_task_that_it_moves_to() {
    in_place(identity, async |fixture| {
        let gate = Gate::default();
        let leader = spawn(begun(fixture.join(KEY, gate.work())));
        let follower = spawn(fixture.join(KEY, gate.work()));
        gate.open();
        assert!(leader.await.unwrap().outcome.is_ok());
        assert!(follower.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

async fn leaves_between_two_joins(fixture: Fixture) {
    let leader = begun(fixture.call(KEY));
    let first = fixture.caller(KEY);
    let leaving = spawn(async move { drop(leader) });
    let second = fixture.caller(KEY);
    for caller in [first, second] {
        assert!(caller.await.unwrap().outcome.is_ok());
    }
    leaving.await.unwrap();
    fixture.finish().await;
}

pub(super) fn a_leader_in_place_leaves_beside_a_followers_join() {
    in_place(identity, leaves_between_two_joins);
}

pub(super) fn no_follower_joins_in_place_work_that_is_aborted() {
    in_place(aborting, leaves_between_two_joins);
}

/// With messages of others, among which its departure may be queued.
pub(super) fn abandoned_in_place_work_goes_on_as_a_task() {
    in_place(identity, async |fixture| {
        let busy = [fixture.caller(NEIGHBOUR), fixture.caller(NEIGHBOUR)];
        let gate = Gate::default();
        drop(begun(fixture.join(KEY, gate.work())));
        let beside = spawn(fixture.join(KEY, gate.work()));
        gate.open();
        for caller in busy.into_iter().chain([beside]) {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn abandoned_in_place_work_is_dropped_wherever_it_is() {
    in_place(aborting, async |fixture| {
        let busy = fixture.caller(NEIGHBOUR);
        let follower = fixture.join(KEY, pending);
        let leader = begun(fixture.join(KEY, pending));
        let following = spawn(async move { drop(begun(follower)) });
        drop(leader);
        following.await.unwrap();
        assert!(busy.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn in_place_work_expires_while_it_is_polled() {
    in_place(
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let (leader, beside) = (fixture.caller(KEY), fixture.caller(KEY));
            fixture.runtime.advance(LIMIT);
            for caller in [leader, beside] {
                assert!(matches!(caller.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
            }
            assert!(fixture.call(KEY).await.outcome.is_ok());
            fixture.finish().await;
        },
    );
}

/// The work never ends by itself, so it has to be dropped wherever it is.
pub(super) fn expired_in_place_work_is_dropped_wherever_it_is() {
    in_place(
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let stuck = async || {
                pause().await;
                pause().await;
                pending::<()>().await;
            };
            let stuck = spawn(begun(fixture.join(KEY, stuck)));
            // In the map, with its time running.
            fixture.handle().stats().await.unwrap();
            fixture.runtime.advance(LIMIT);
            assert!(matches!(stuck.await.unwrap().outcome, Err(JoinError::TimedOut { after: LIMIT })));
            fixture.finish().await;
        },
    );
}

/// Its one poll goes on while its time is up.
pub(super) fn expired_in_place_work_of_a_leader_that_is_polled_once_is_dropped() {
    in_place(
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let leader = fixture.join(KEY, pending);
            let parked = begun_beside(leader);
            fixture.runtime.advance(LIMIT);
            let parked = parked.await.unwrap();
            // It may have begun only now.
            fixture.handle().stats().await.unwrap();
            fixture.runtime.advance(LIMIT);
            fixture.runtime.until(|_| fixture.history.alive_count() == 0).await;
            assert!(matches!(parked.await.outcome, Err(JoinError::TimedOut { after: LIMIT })));
            fixture.finish().await;
        },
    );
}

pub(super) fn a_shutdown_cuts_in_place_work() {
    in_place(identity, async |fixture| {
        let (leader, follower) = (fixture.caller(KEY), fixture.caller(KEY));
        fixture.coalescer.shutdown(Duration::ZERO).await;
        for caller in [leader, follower] {
            assert!(matches!(caller.await.unwrap().outcome, Ok(_) | Err(JoinError::Closed)));
        }
        fixture.runtime.until(|alive| alive == 0).await;
        fixture.end().await;
    });
}

pub(super) fn a_panic_of_in_place_work_reaches_its_flights_callers() {
    in_place(identity, async |fixture| {
        let failing = async || {
            pause().await;
            // Without the panic hook, which would print a schedule each time.
            resume_unwind(Box::new("planned"));
        };
        let callers = [spawn(fixture.join(KEY, failing)), spawn(fixture.join(KEY, failing))];
        for caller in callers {
            assert!(matches!(caller.await.unwrap().outcome, Err(JoinError::Panicked(_))));
        }
        assert!(fixture.call(KEY).await.outcome.is_ok(), "G8: a panic is not remembered");
        fixture.finish().await;
    });
}

pub(super) fn a_forgotten_flight_in_place_ends_beside_the_new_one() {
    in_place(identity, async |fixture| {
        fixture.history.excuse(KEY);
        let old = spawn(begun(fixture.call(KEY)));
        fixture.handle().forget(KEY).await.unwrap();
        let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
        let old = old.await.unwrap().outcome.unwrap();
        for new in [first, second] {
            assert_ne!(new.await.unwrap().outcome.unwrap(), old, "G9");
        }
        fixture.finish().await;
    });
}

pub(super) fn in_place_work_that_joins_its_own_key_is_told() {
    in_place(identity, async |fixture| {
        let (handle, history) = (fixture.handle(), fixture.history.clone());
        let nested = async move || {
            pause().await;
            let outcome = join(handle, history.clone(), KEY, ready).await.outcome;
            if !matches!(outcome, Err(JoinError::Reentrant)) {
                history.violation(format!("G12: {outcome:?}"));
            }
        };
        let leader = spawn(begun(fixture.join(KEY, nested)));
        let follower = fixture.caller(KEY);
        assert!(leader.await.unwrap().outcome.is_ok());
        assert!(follower.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

//! Callers that leave before they have their answer, or are no longer polled.

use std::{convert::identity, future::pending};

use shuttle::future::spawn;

use super::{
    fixture::{KEY, LIMIT, NEIGHBOUR, TWIN, join, run},
    futures::{Gate, begun, pause},
};
use crate::{JoinError, OnAbandon};

pub(super) fn a_leader_that_leaves_at_once_leaves_its_follower_the_result() {
    run(1, identity, async |fixture| {
        let leader = begun(fixture.call(KEY));
        let (before, after) = (fixture.caller(KEY), fixture.caller(KEY));
        drop(leader);
        for follower in [before, after] {
            assert!(follower.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn a_leader_that_is_never_polled_again_stalls_no_follower() {
    run(1, identity, async |fixture| {
        let parked = begun(fixture.call(KEY));
        let follower = fixture.caller(KEY).await.unwrap();
        assert!(follower.outcome.is_ok());
        // Its answer has been there since its flight ended, which need not have been the follower's.
        assert!(parked.await.outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn a_departure_beside_the_completion_costs_the_others_nothing() {
    run(1, identity, async |fixture| {
        let (departing, other) = (fixture.caller(KEY), fixture.caller(KEY));
        departing.abort();
        assert!(other.await.unwrap().outcome.is_ok());
        if let Ok(answer) = departing.await {
            assert!(answer.outcome.is_ok());
        }
        assert!(fixture.call(KEY).await.outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn no_caller_joins_an_aborted_flight() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let departing = begun(fixture.call(KEY));
            let first = fixture.caller(KEY);
            let leaving = spawn(async move { drop(departing) });
            let second = fixture.caller(KEY);
            for caller in [first, second] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            leaving.await.unwrap();
            fixture.finish().await;
        },
    );
}

pub(super) fn abandoned_work_is_dropped_wherever_it_is() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let departing = begun(fixture.join(KEY, pending));
            let beside = fixture.caller(NEIGHBOUR);
            drop(departing);
            assert!(beside.await.unwrap().outcome.is_ok());
            // Waits for the task that never ends by itself.
            fixture.finish().await;
        },
    );
}

pub(super) fn a_departure_counts_for_its_own_key_where_hashes_are_equal() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let departing = fixture.caller(KEY);
            let (first, second) = (fixture.caller(TWIN), fixture.caller(TWIN));
            departing.abort();
            for caller in [first, second] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            if let Ok(answer) = departing.await {
                assert!(answer.outcome.is_ok());
            }
            fixture.finish().await;
        },
    );
}

pub(super) fn a_departure_frees_its_slot_at_once() {
    run(
        1,
        |builder| builder.max_waiters_per_flight(3),
        async |fixture| {
            let gate = Gate::default();
            let leader = begun(fixture.join(KEY, gate.work()));
            let follower = begun(fixture.join(KEY, gate.work()));
            let departing = begun(fixture.join(KEY, gate.work()));
            let beside = spawn(fixture.join(KEY, gate.work()));
            spawn(async move { drop(departing) }).await.unwrap();
            let after = spawn(fixture.join(KEY, gate.work()));
            let handle = fixture.handle();
            let stats = spawn(async move { handle.stats().await.unwrap() }).await.unwrap();
            assert!(stats.waiters <= 3, "G7: {stats:?}");
            gate.open();
            let outcomes = [beside.await.unwrap().outcome, after.await.unwrap().outcome];
            assert!(leader.await.outcome.is_ok() && follower.await.outcome.is_ok());
            let is_refused = |outcome: &Result<_, _>| matches!(outcome, Err(JoinError::TooManyWaiters { limit: 3 }));
            let refused = outcomes.iter().filter(|outcome| is_refused(outcome)).count();
            assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() + refused == 2, "{outcomes:?}");
            assert!(refused <= 1, "G7: one of the two has the free slot");
            fixture.finish().await;
        },
    );
}

pub(super) fn a_caller_whose_wait_times_out_leaves_alone() {
    run(1, identity, async |fixture| {
        let limited = fixture.handle().with_max_wait(LIMIT);
        let limited = spawn(join(limited, fixture.history.clone(), KEY, pause));
        let unlimited = fixture.caller(KEY);
        fixture.runtime.advance(LIMIT);
        assert!(matches!(limited.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
        assert!(unlimited.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

/// Before its reply is sent, while it is, and after.
pub(super) fn a_queued_caller_may_leave_at_any_time() {
    run(1, identity, async |fixture| {
        let busy = [fixture.caller(NEIGHBOUR), fixture.caller(NEIGHBOUR)];
        let leader = fixture.caller(KEY);
        let departing = begun(fixture.call(KEY));
        let follower = fixture.caller(KEY);
        drop(departing);
        for caller in busy.into_iter().chain([leader, follower]) {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

/// No caller is left to ask anything of the shard: what the queued join left behind has to go by itself.
pub(super) fn the_last_queued_caller_may_leave_at_any_time() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let join = fixture.join(KEY, pending);
            let leaving = spawn(async move { drop(begun(join)) });
            let beside = begun(fixture.join(NEIGHBOUR, pending));
            drop(beside);
            leaving.await.unwrap();
            fixture.finish().await;
        },
    );
}

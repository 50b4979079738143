//! Flights whose work waits until the work before it is gone.

use std::{convert::identity, future::pending};

use shuttle::future::spawn;

use super::{
    fixture::{Fixture, KEY, LIMIT, NEIGHBOUR, run},
    futures::begun,
};
use crate::{JoinError, OnAbandon, RunWork};

pub(super) fn fresh_callers_share_the_next_flight_whenever_they_come() {
    run(1, identity, async |fixture| {
        let under_way = fixture.caller(KEY);
        let fresh = [spawn(fixture.fresh_call(KEY)), spawn(fixture.fresh_call(KEY))];
        for caller in fresh.into_iter().chain([under_way]) {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        assert!(fixture.history.executions() <= 3);
        fixture.finish().await;
    });
}

pub(super) fn the_leader_of_a_flight_that_waits_may_leave_at_any_time() {
    leaves_while_it_waits(identity);
}

pub(super) fn the_leader_of_a_flight_that_waits_may_leave_work_that_is_polled_in_place() {
    leaves_while_it_waits(|builder| builder.run_work(RunWork::InPlace));
}

pub(super) fn the_last_caller_of_a_flight_that_waits_may_leave_at_any_time() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let under_way = fixture.caller(KEY);
            let waiting = fixture.fresh_call(KEY);
            let leaving = spawn(async move { drop(begun(waiting)) });
            let beside = spawn(fixture.fresh_call(KEY));
            for caller in [under_way, beside] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            leaving.await.unwrap();
            fixture.finish().await;
        },
    );
}

fn leaves_while_it_waits(configure: impl FnOnce(super::fixture::Configure) -> super::fixture::Configure) {
    run(1, configure, async |fixture: Fixture| {
        let busy = fixture.caller(NEIGHBOUR);
        let under_way = fixture.caller(KEY);
        let leader = begun(fixture.fresh_call(KEY));
        let follower = spawn(fixture.fresh_call(KEY));
        drop(leader);
        for caller in [busy, under_way, follower] {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

/// Each time a caller leaves, the next one's work waits for the work of the one before.
pub(super) fn callers_that_come_and_go_never_overlap() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let leavers = [(); 2].map(|()| {
                let join = fixture.call(KEY);
                spawn(async move { drop(begun(join)) })
            });
            let fresh = spawn(fixture.fresh_call(KEY));
            assert!(fresh.await.unwrap().outcome.is_ok());
            for leaver in leavers {
                leaver.await.unwrap();
            }
            fixture.finish().await;
        },
    );
}

/// The flight under way expires while another waits for it, which then has its own time.
pub(super) fn a_flight_that_waits_for_an_expired_one_begins() {
    run(
        1,
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let stuck = spawn(begun(fixture.join(KEY, pending)));
            // In the map, with its time running.
            fixture.handle().stats().await.unwrap();
            let fresh = spawn(fixture.fresh_call(KEY));
            fixture.runtime.advance(LIMIT);
            assert!(matches!(stuck.await.unwrap().outcome, Err(JoinError::TimedOut { after: LIMIT })));
            // It may have read the clock before it went on.
            assert!(matches!(fresh.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
            fixture.finish().await;
        },
    );
}

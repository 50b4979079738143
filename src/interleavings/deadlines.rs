//! Flights that are forgotten, or whose time is up.

use std::{convert::identity, future::pending};

use shuttle::future::spawn;

use super::{
    fixture::{KEY, LIMIT, NEIGHBOUR, run},
    futures::{Gate, begun},
};
use crate::{JoinError, OnExpiry};

pub(super) fn a_join_after_a_forget_starts_anew_while_the_old_flight_ends() {
    run(1, identity, async |fixture| {
        let old = spawn(begun(fixture.call(KEY)));
        fixture.history.excuse(KEY);
        let forgetting = fixture.history.now();
        fixture.handle().forget(KEY).await.unwrap();
        let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
        let old = old.await.unwrap().outcome.unwrap();
        for new in [first, second] {
            let new = new.await.unwrap().outcome.unwrap();
            assert!(
                new != old && fixture.history.began(new) > forgetting,
                "G9: {new} of the flight that was forgotten"
            );
        }
        fixture.finish().await;
    });
}

pub(super) fn a_forget_comes_after_the_joins_that_were_sent_before_it() {
    run(1, identity, async |fixture| {
        // Enough for a queue that is longer than what one turn handles.
        let busy = [(); 3].map(|()| fixture.caller(NEIGHBOUR));
        let gate = Gate::default();
        let old = begun(fixture.join(KEY, gate.work()));
        fixture.history.excuse(KEY);
        assert!(fixture.handle().forget(KEY).await.unwrap(), "the flight waits at the gate");
        let new = fixture.call(KEY).await.outcome.unwrap();
        gate.open();
        assert_ne!(old.await.outcome.unwrap(), new);
        for caller in busy {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn a_flight_that_ends_as_its_time_is_up_answers_once() {
    run(
        1,
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
            fixture.runtime.advance(LIMIT);
            for caller in [first, second] {
                assert!(matches!(caller.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
            }
            assert!(fixture.call(KEY).await.outcome.is_ok());
            fixture.finish().await;
        },
    );
}

/// Without any traffic: the actor alone notices.
pub(super) fn a_flight_without_traffic_expires_in_time() {
    run(
        1,
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let stuck = spawn(begun(fixture.join(KEY, pending)));
            // In the map, with its time running.
            fixture.handle().stats().await.unwrap();
            fixture.runtime.advance(LIMIT);
            let outcome = stuck.await.unwrap().outcome;
            assert!(matches!(outcome, Err(JoinError::TimedOut { after: LIMIT })));
            fixture.finish().await;
        },
    );
}

pub(super) fn an_expired_flight_keeps_no_later_caller() {
    run(
        1,
        |builder| builder.max_flight_duration(LIMIT),
        async |fixture| {
            let stuck = spawn(begun(fixture.join(KEY, pending)));
            // In the map, with its time running.
            fixture.handle().stats().await.unwrap();
            let beside = fixture.caller(KEY);
            fixture.runtime.advance(LIMIT);
            assert!(matches!(stuck.await.unwrap().outcome, Err(JoinError::TimedOut { after: LIMIT })));
            assert!(matches!(beside.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
            fixture.finish().await;
        },
    );
}

pub(super) fn a_flight_that_expiry_detaches_still_answers_its_callers() {
    let configure = |builder: crate::Builder<_, _, _>| builder.max_flight_duration(LIMIT).on_expiry(OnExpiry::Detach);
    run(1, configure, async |fixture| {
        fixture.history.excuse(KEY);
        let gate = Gate::default();
        let old = spawn(begun(fixture.join(KEY, gate.work())));
        fixture.handle().stats().await.unwrap();
        fixture.runtime.advance(LIMIT);
        let is_detached = fixture.handle().stats().await.unwrap().timeouts == 1;
        let beside = fixture.caller(KEY);
        let opening = spawn(async move { gate.open() });
        let (old, new) = (old.await.unwrap().outcome.unwrap(), beside.await.unwrap().outcome.unwrap());
        assert!(!is_detached || old != new, "G11: new joins start anew");
        opening.await.unwrap();
        fixture.finish().await;
    });
}

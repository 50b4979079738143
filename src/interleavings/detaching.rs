//! Flights that are forgotten, or whose time is up.

use std::{convert::identity, future::pending};

use shuttle::future::spawn;

use super::scene::{Gate, KEY, LIMIT, begun, play};
use crate::{JoinError, OnExpiry};

pub(super) fn a_join_after_a_forget_starts_anew_while_the_old_flight_ends() {
    play(1, identity, async |scene| {
        let old = spawn(begun(scene.call(KEY)));
        scene.record.excuse(KEY);
        let forgetting = scene.record.now();
        scene.handle().forget(KEY).await.unwrap();
        let (first, second) = (scene.caller(KEY), scene.caller(KEY));
        let old = old.await.unwrap().outcome.unwrap();
        for new in [first, second] {
            let new = new.await.unwrap().outcome.unwrap();
            assert!(new != old && scene.record.began(new) > forgetting, "G9: {new} of the flight that was forgotten");
        }
        scene.finish().await;
    });
}

pub(super) fn a_flight_that_ends_as_its_time_is_up_answers_once() {
    play(
        1,
        |builder| builder.max_flight_duration(LIMIT),
        async |scene| {
            scene.record.excuse(KEY);
            let (first, second) = (scene.caller(KEY), scene.caller(KEY));
            scene.world.advance(LIMIT);
            for caller in [first, second] {
                assert!(matches!(caller.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
            }
            // A turn has one time, from its beginning on: one that began before the second had passed is over after this.
            scene.handle().stats().await.unwrap();
            assert!(scene.call(KEY).await.outcome.is_ok());
            scene.finish().await;
        },
    );
}

pub(super) fn a_flight_past_its_time_keeps_only_those_aboard() {
    play(
        1,
        |builder| builder.max_flight_duration(LIMIT),
        async |scene| {
            scene.record.excuse(KEY);
            let stuck = spawn(begun(scene.join(KEY, pending)));
            // In the map, with its time running.
            scene.handle().stats().await.unwrap();
            let beside = scene.caller(KEY);
            scene.world.advance(LIMIT);
            assert!(matches!(stuck.await.unwrap().outcome, Err(JoinError::TimedOut { after: LIMIT })));
            assert!(matches!(beside.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
            scene.finish().await;
        },
    );
}

pub(super) fn a_detached_flight_past_its_time_still_answers_those_aboard() {
    let choices = |builder: crate::Builder<_, _, _>| builder.max_flight_duration(LIMIT).on_expiry(OnExpiry::Detach);
    play(1, choices, async |scene| {
        scene.record.excuse(KEY);
        let gate = Gate::default();
        let slow = gate.clone();
        let old = spawn(begun(scene.join(KEY, move || slow.pass())));
        scene.handle().stats().await.unwrap();
        scene.world.advance(LIMIT);
        let is_detached = scene.handle().stats().await.unwrap().timeouts == 1;
        let beside = scene.caller(KEY);
        let opening = spawn(async move { gate.open() });
        let (old, new) = (old.await.unwrap().outcome.unwrap(), beside.await.unwrap().outcome.unwrap());
        assert!(!is_detached || old != new, "G11: new joins start anew");
        opening.await.unwrap();
        scene.finish().await;
    });
}

//! Callers that leave, or might as well have.

use std::convert::identity;

use shuttle::future::spawn;

use super::scene::{Gate, KEY, LIMIT, TWIN, begun, join, pause, play};
use crate::{JoinError, OnAbandon};

pub(super) fn a_leader_dropped_right_after_its_join_leaves_its_follower_the_result() {
    play(1, identity, async |scene| {
        let leader = begun(scene.call(KEY));
        let (before, after) = (scene.caller(KEY), scene.caller(KEY));
        drop(leader);
        for follower in [before, after] {
            assert!(follower.await.unwrap().outcome.is_ok());
        }
        scene.finish().await;
    });
}

pub(super) fn a_leader_that_is_never_polled_again_stalls_no_follower() {
    play(1, identity, async |scene| {
        let parked = begun(scene.call(KEY));
        let follower = scene.caller(KEY).await.unwrap();
        assert!(follower.outcome.is_ok());
        // Its answer has been there since its flight landed, which need not have been the follower's.
        assert!(parked.await.outcome.is_ok());
        scene.finish().await;
    });
}

pub(super) fn a_departure_beside_the_completion_costs_nobody_else_anything() {
    play(1, identity, async |scene| {
        let (leaver, stayer) = (scene.caller(KEY), scene.caller(KEY));
        leaver.abort();
        assert!(stayer.await.unwrap().outcome.is_ok());
        if let Ok(answer) = leaver.await {
            assert!(answer.outcome.is_ok());
        }
        assert!(scene.call(KEY).await.outcome.is_ok());
        scene.finish().await;
    });
}

pub(super) fn nobody_joins_a_dying_flight() {
    play(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |scene| {
            // Its work may be on its way out of the runtime while the next begins.
            scene.record.excuse(KEY);
            let leaver = begun(scene.call(KEY));
            let first = scene.caller(KEY);
            let leaving = spawn(async move { drop(leaver) });
            let second = scene.caller(KEY);
            for caller in [first, second] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            leaving.await.unwrap();
            scene.finish().await;
        },
    );
}

pub(super) fn a_departure_is_about_its_own_key_even_where_hashes_are_equal() {
    play(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |scene| {
            let leaver = scene.caller(KEY);
            let (first, second) = (scene.caller(TWIN), scene.caller(TWIN));
            leaver.abort();
            for caller in [first, second] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            if let Ok(answer) = leaver.await {
                assert!(answer.outcome.is_ok());
            }
            scene.finish().await;
        },
    );
}

pub(super) fn a_seat_is_free_for_whoever_joins_after_a_departure() {
    play(
        1,
        |builder| builder.max_waiters_per_flight(3),
        async |scene| {
            let gate = Gate::default();
            let behind = |gate: &Gate| {
                let gate = gate.clone();
                move || gate.pass()
            };
            // Of three, one that leaves is no reason to look who is left: only a full flight's being joined is.
            let leader = begun(scene.join(KEY, behind(&gate)));
            let stayer = begun(scene.join(KEY, behind(&gate)));
            let goer = begun(scene.join(KEY, behind(&gate)));
            let beside = spawn(scene.join(KEY, behind(&gate)));
            let left = spawn(async move { drop(goer) });
            left.await.unwrap();
            let after = spawn(scene.join(KEY, behind(&gate)));
            let handle = scene.handle();
            let watching = spawn(async move { handle.stats().await.unwrap() });
            let stats = watching.await.unwrap();
            assert!(stats.waiters <= 3, "G7: {stats:?}");
            // Nobody is let through before all joins have come to the shard.
            scene.handle().stats().await.unwrap();
            gate.open();
            let outcomes = [beside.await.unwrap().outcome, after.await.unwrap().outcome];
            assert!(leader.await.outcome.is_ok() && stayer.await.outcome.is_ok());
            let refused =
                outcomes.iter().filter(|outcome| matches!(outcome, Err(JoinError::TooManyWaiters { limit: 3 })));
            let refused = refused.count();
            assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() + refused == 2, "{outcomes:?}");
            assert!(refused <= 1, "G7: one of the two has the free seat");
            scene.finish().await;
        },
    );
}

pub(super) fn a_caller_out_of_patience_leaves_alone() {
    play(1, identity, async |scene| {
        let hurried = scene.handle().with_max_wait(LIMIT);
        let impatient = spawn(join(hurried, scene.record.clone(), KEY, pause));
        let patient = scene.caller(KEY);
        scene.world.advance(LIMIT);
        assert!(matches!(impatient.await.unwrap().outcome, Ok(_) | Err(JoinError::TimedOut { after: LIMIT })));
        assert!(patient.await.unwrap().outcome.is_ok());
        scene.finish().await;
    });
}

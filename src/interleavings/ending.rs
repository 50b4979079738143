//! The coalescer, or what it runs on, goes away.

use std::{convert::identity, time::Duration};

use shuttle::future::spawn;

use super::{
    record::Answer,
    scene::{ELSEWHERE, KEY, begun, play},
};
use crate::{JoinError, OnAbandon};

fn is_served_or_refused(answer: &Answer) -> bool {
    matches!(answer.outcome, Ok(_) | Err(JoinError::Closed))
}

/// Nobody may ever hang on the runtime's going away; what it gets is told by what was dropped first.
fn is_answered(answer: &Answer) -> bool {
    matches!(answer.outcome, Ok(_) | Err(JoinError::Closed | JoinError::Aborted))
}

pub(super) fn a_join_beside_a_shutdown_is_served_or_refused() {
    play(1, identity, async |scene| {
        let (first, second) = (scene.caller(KEY), scene.caller(KEY));
        scene.coalescer.shutdown(Duration::ZERO).await;
        for caller in [first, second] {
            assert!(is_served_or_refused(&caller.await.unwrap()));
        }
        assert!(matches!(scene.call(KEY).await.outcome, Err(JoinError::Closed)));
        // The shards have stopped though there are handles.
        scene.world.at_most(0).await;
        scene.end().await;
    });
}

pub(super) fn a_shutdown_that_waits_cuts_no_flight() {
    play(1, identity, async |scene| {
        let leader = spawn(begun(scene.call(KEY)));
        let follower = scene.caller(KEY);
        let shutdown = scene.coalescer.shutdown(Duration::MAX).await;
        assert_eq!(shutdown.cut, 0);
        assert!(leader.await.unwrap().outcome.is_ok());
        assert!(is_served_or_refused(&follower.await.unwrap()));
        scene.world.at_most(0).await;
        scene.end().await;
    });
}

pub(super) fn callers_outlive_the_last_handle() {
    play(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |scene| {
            let (first, second) = (scene.caller(KEY), scene.caller(KEY));
            let record = scene.leave().await;
            for caller in [first, second] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            record.judge();
        },
    );
}

pub(super) fn shards_stop_beside_work_that_nobody_awaits() {
    play(1, identity, async |scene| {
        let (first, second) = (scene.caller(KEY), scene.caller(KEY));
        first.abort();
        second.abort();
        let record = scene.leave().await;
        for caller in [first, second] {
            if let Ok(answer) = caller.await {
                assert!(answer.outcome.is_ok());
            }
        }
        record.judge();
    });
}

pub(super) fn a_runtime_that_goes_away_leaves_nobody_waiting() {
    play(2, identity, async |scene| {
        let (first, second, other) = (scene.caller(KEY), scene.caller(KEY), scene.caller(ELSEWHERE));
        scene.world.shut_down();
        for caller in [first, second, other] {
            assert!(is_answered(&caller.await.unwrap()));
        }
        scene.world.at_most(0).await;
        assert!(matches!(scene.call(KEY).await.outcome, Err(JoinError::Closed)));
        scene.end().await;
    });
}

pub(super) fn a_shard_that_is_dropped_leaves_nobody_waiting() {
    play(1, identity, async |scene| {
        let (first, second) = (scene.caller(KEY), scene.caller(KEY));
        // The only task so far that is sure to be there: the shard's. Works that it had started run on.
        scene.world.drop_tasks(0..1);
        for caller in [first, second] {
            assert!(is_served_or_refused(&caller.await.unwrap()));
        }
        scene.world.at_most(0).await;
        assert!(scene.handle().stats().await.is_err());
        scene.end().await;
    });
}

pub(super) fn work_that_the_runtime_drops_is_an_answer() {
    play(1, identity, async |scene| {
        // A dropped task tells of its end before it drops its work, which may be there still when the next begins.
        (0..2).for_each(|_| scene.record.excuse(KEY));
        let (first, second) = (spawn(begun(scene.call(KEY))), scene.caller(KEY));
        // The flight has been launched.
        scene.handle().stats().await.unwrap();
        scene.world.drop_tasks(1..);
        for caller in [first, second] {
            assert!(matches!(caller.await.unwrap().outcome, Ok(_) | Err(JoinError::Aborted)));
        }
        assert!(scene.call(KEY).await.outcome.is_ok());
        scene.finish().await;
    });
}

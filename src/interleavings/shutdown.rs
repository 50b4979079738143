//! The coalescer, or the runtime below it, goes away.

use std::{convert::identity, future::pending, time::Duration};

use shuttle::future::spawn;

use super::{
    fixture::{ELSEWHERE, KEY, LIMIT, NEIGHBOUR, run},
    futures::begun,
    history::Answer,
};
use crate::{JoinError, OnAbandon};

fn is_served_or_refused(answer: &Answer) -> bool {
    matches!(answer.outcome, Ok(_) | Err(JoinError::Closed))
}

/// What a caller gets from a runtime that shuts down depends on which task is dropped first.
fn is_answered(answer: &Answer) -> bool {
    matches!(answer.outcome, Ok(_) | Err(JoinError::Closed | JoinError::Aborted))
}

pub(super) fn a_join_beside_a_shutdown_is_served_or_refused() {
    run(1, identity, async |fixture| {
        let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
        fixture.coalescer.shutdown(Duration::ZERO).await;
        for caller in [first, second] {
            assert!(is_served_or_refused(&caller.await.unwrap()));
        }
        assert!(matches!(fixture.call(KEY).await.outcome, Err(JoinError::Closed)));
        // The shards have stopped though there are handles.
        fixture.runtime.until(|alive| alive == 0).await;
        fixture.end().await;
    });
}

pub(super) fn a_shutdown_without_a_deadline_cuts_no_flight() {
    run(1, identity, async |fixture| {
        let leader = spawn(begun(fixture.call(KEY)));
        let follower = fixture.caller(KEY);
        let shutdown = fixture.coalescer.shutdown(Duration::MAX).await;
        assert_eq!(shutdown.cut, 0);
        assert!(leader.await.unwrap().outcome.is_ok());
        assert!(is_served_or_refused(&follower.await.unwrap()));
        fixture.runtime.until(|alive| alive == 0).await;
        fixture.end().await;
    });
}

pub(super) fn the_earlier_of_two_shutdowns_cuts_what_does_not_end() {
    run(1, identity, async |fixture| {
        let stuck = spawn(begun(fixture.join(KEY, pending)));
        let beside = fixture.caller(NEIGHBOUR);
        let drain = |within| {
            let handle = fixture.handle();
            spawn(begun(async move { handle.drain(within).await }))
        };
        let (unlimited, limited) = (drain(Duration::MAX), drain(LIMIT));
        fixture.runtime.advance(LIMIT);
        for drained in [unlimited.await.unwrap(), limited.await.unwrap()] {
            assert!(drained.cut == 1 || drained.cut == 2, "{drained:?}");
        }
        assert!(matches!(stuck.await.unwrap().outcome, Err(JoinError::Closed)));
        assert!(is_served_or_refused(&beside.await.unwrap()));
        fixture.runtime.until(|alive| alive == 0).await;
        fixture.end().await;
    });
}

pub(super) fn callers_outlive_the_last_handle() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
            let history = fixture.release().await;
            for caller in [first, second] {
                assert!(caller.await.unwrap().outcome.is_ok());
            }
            history.judge();
        },
    );
}

pub(super) fn shards_stop_beside_work_that_no_caller_awaits() {
    run(1, identity, async |fixture| {
        let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
        first.abort();
        second.abort();
        let history = fixture.release().await;
        for caller in [first, second] {
            if let Ok(answer) = caller.await {
                assert!(answer.outcome.is_ok());
            }
        }
        history.judge();
    });
}

/// The last caller leaves with a departure in the queue, perhaps, and the last handle goes beside it.
pub(super) fn the_last_handle_may_go_beside_a_queued_message() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let (join, other) = (fixture.join(KEY, pending), fixture.join(NEIGHBOUR, pending));
            let leaving = [spawn(async move { drop(begun(join)) }), spawn(async move { drop(begun(other)) })];
            fixture.end().await;
            for leaving in leaving {
                leaving.await.unwrap();
            }
        },
    );
}

pub(super) fn a_runtime_that_shuts_down_answers_every_caller() {
    run(2, identity, async |fixture| {
        let (first, second, other) = (fixture.caller(KEY), fixture.caller(KEY), fixture.caller(ELSEWHERE));
        fixture.runtime.shut_down();
        for caller in [first, second, other] {
            assert!(is_answered(&caller.await.unwrap()));
        }
        fixture.runtime.until(|alive| alive == 0).await;
        assert!(matches!(fixture.call(KEY).await.outcome, Err(JoinError::Closed)));
        fixture.end().await;
    });
}

pub(super) fn a_shard_whose_actor_is_dropped_answers_every_caller() {
    run(1, identity, async |fixture| {
        let (first, second) = (fixture.caller(KEY), fixture.caller(KEY));
        // The only task that is sure to be there: the actor's. Works that have begun go on.
        fixture.runtime.drop_tasks(0..1);
        for caller in [first, second] {
            assert!(is_served_or_refused(&caller.await.unwrap()));
        }
        fixture.runtime.until(|alive| alive == 0).await;
        assert!(fixture.handle().stats().await.is_err());
        fixture.end().await;
    });
}

/// With more messages than turns handle at once: what they leave behind, the actor no longer looks after.
pub(super) fn a_closed_shard_answers_whatever_comes_at_once() {
    run(1, identity, async |fixture| {
        fixture.runtime.drop_tasks(0..1);
        let callers: Vec<_> = [KEY, NEIGHBOUR, KEY, NEIGHBOUR, KEY].map(|key| fixture.caller(key)).into();
        for caller in callers {
            assert!(is_served_or_refused(&caller.await.unwrap()));
        }
        fixture.runtime.until(|alive| alive == 0).await;
        fixture.end().await;
    });
}

pub(super) fn work_that_the_runtime_drops_is_an_answer() {
    run(1, identity, async |fixture| {
        // A dropped task tells of its end before it drops its work, which may be there still when the next begins.
        (0..2).for_each(|_| fixture.history.excuse(KEY));
        let (first, second) = (spawn(begun(fixture.call(KEY))), fixture.caller(KEY));
        fixture.handle().stats().await.unwrap();
        fixture.runtime.drop_tasks(1..);
        for caller in [first, second] {
            assert!(matches!(caller.await.unwrap().outcome, Ok(_) | Err(JoinError::Aborted)));
        }
        assert!(fixture.call(KEY).await.outcome.is_ok());
        fixture.finish().await;
    });
}

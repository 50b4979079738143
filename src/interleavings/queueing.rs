//! Messages that find their shard in its cell, or out of it.

use std::convert::identity;

use shuttle::future::spawn;

use super::{
    fixture::{ELSEWHERE, KEY, NEIGHBOUR, run},
    futures::{begun, pause, ready},
};
use crate::OnAbandon;

pub(super) fn a_join_is_answered_whether_its_shard_is_in_or_out() {
    run(1, identity, async |fixture| {
        let callers = [fixture.caller(KEY), fixture.caller(NEIGHBOUR), fixture.caller(KEY)];
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

/// No later message comes that could find what was left in the queue.
pub(super) fn no_message_is_left_in_the_queue() {
    run(1, identity, async |fixture| {
        let joins = [KEY, NEIGHBOUR, KEY].map(|key| fixture.join(key, ready));
        let senders = joins.map(|join| spawn(async move { drop(begun(join)) }));
        for sender in senders {
            sender.await.unwrap();
        }
        fixture.at_rest().await;
        fixture.finish().await;
    });
}

/// What a caller's bounded turn leaves behind, the actor handles.
pub(super) fn more_messages_than_turns_handle_are_handled_by_the_actor() {
    run(1, identity, async |fixture| {
        let joins = [KEY, NEIGHBOUR, KEY, NEIGHBOUR, KEY].map(|key| fixture.join(key, pause));
        let callers = joins.map(|join| spawn(begun(join)));
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn a_question_comes_after_what_was_sent_before_it() {
    run(1, identity, async |fixture| {
        let beside = fixture.caller(KEY);
        let asked = begun(fixture.call(KEY));
        let stats = fixture.handle().stats().await.unwrap();
        assert!(stats.joins >= 1, "{stats:?}");
        assert!(beside.await.unwrap().outcome.is_ok());
        assert!(asked.await.outcome.is_ok());
        fixture.finish().await;
    });
}

/// Whichever way the departure and the question go.
pub(super) fn a_departed_caller_is_not_counted_by_a_later_question() {
    run(
        1,
        |builder| builder.on_abandon(OnAbandon::Abort),
        async |fixture| {
            let busy = fixture.caller(NEIGHBOUR);
            let leaver = begun(fixture.call(KEY));
            drop(leaver);
            let stats = fixture.handle().stats().await.unwrap();
            assert!(stats.waiters <= 1 && stats.flights <= 1, "G7: {stats:?}");
            assert!(busy.await.unwrap().outcome.is_ok());
            fixture.finish().await;
        },
    );
}

/// G3, whichever way the completion goes: who asks after an answer was heard gets another.
pub(super) fn no_result_is_given_to_a_later_join() {
    run(1, identity, async |fixture| {
        let twice = || {
            let (first, second) = (fixture.join(KEY, ready), fixture.join(KEY, ready));
            spawn(async move { (first.await.outcome, second.await.outcome) })
        };
        let pairs = [twice(), twice()];
        for pair in pairs {
            let (first, second) = pair.await.unwrap();
            assert_ne!(first.unwrap(), second.unwrap(), "G3");
        }
        fixture.finish().await;
    });
}

pub(super) fn questions_to_all_shards_are_answered_beside_joins() {
    run(2, identity, async |fixture| {
        let callers = [fixture.caller(KEY), fixture.caller(ELSEWHERE)];
        let handle = fixture.handle();
        (0..2).for_each(|_| {
            fixture.history.excuse(KEY);
            fixture.history.excuse(ELSEWHERE);
        });
        let forgetting = spawn(async move { handle.forget_all().await.unwrap() });
        let stats = fixture.handle().stats().await.unwrap();
        assert!(stats.executions <= 2, "{stats:?}");
        assert!(forgetting.await.unwrap() <= 2);
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

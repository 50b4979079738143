//! Callers that are polled by one task and then by another, or for no reason.

use std::convert::identity;

use shuttle::future::spawn;

use super::{
    fixture::{KEY, NEIGHBOUR, run},
    futures::{Gate, begun, ready},
};

/// Its first waker wakes no task.
pub(super) fn a_caller_that_moves_to_another_task_is_woken_there() {
    run(1, identity, async |fixture| {
        let busy = fixture.caller(NEIGHBOUR);
        let caller = begun(fixture.call(KEY));
        assert!(spawn(caller).await.unwrap().outcome.is_ok());
        assert!(busy.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

/// It moves as its flight ends: its new waker may come too late, and then has to be woken at once.
pub(super) fn a_caller_that_moves_beside_the_completion_is_woken() {
    run(1, identity, async |fixture| {
        let gate = Gate::default();
        let caller = begun(fixture.join(KEY, gate.work()));
        let busy = spawn(fixture.join(NEIGHBOUR, ready));
        let moved = spawn(caller);
        gate.open();
        assert!(moved.await.unwrap().outcome.is_ok());
        assert!(busy.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn a_follower_that_moves_beside_the_completion_is_woken() {
    run(1, identity, async |fixture| {
        let gate = Gate::default();
        let leader = spawn(fixture.join(KEY, gate.work()));
        let caller = begun(fixture.join(KEY, gate.work()));
        let moved = spawn(caller);
        gate.open();
        assert!(moved.await.unwrap().outcome.is_ok());
        assert!(leader.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn polls_for_no_reason_change_nothing() {
    run(1, identity, async |fixture| {
        let busy = fixture.caller(NEIGHBOUR);
        let mut caller = begun(fixture.call(KEY));
        caller.poll_again();
        caller.poll_again();
        assert!(spawn(caller).await.unwrap().outcome.is_ok());
        assert!(busy.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

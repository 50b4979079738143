//! Flights that stall and are taken over (`OnStall::Takeover`).

use std::{
    convert::identity,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use shuttle::future::spawn;

use super::{
    admission::Meter,
    fixture::{Configure, ELSEWHERE, Fixture, KEY, LIMIT, NEIGHBOUR, TWIN, run, run_on},
    futures::{Gate, begun, begun_beside, pause, ready},
};
use crate::{JoinError, OnAbandon, OnStall, sync::Runtime};

fn stalling(configure: impl FnOnce(Configure) -> Configure, scenario: impl AsyncFnOnce(Fixture)) {
    let stall = OnStall::Takeover { after: LIMIT, at_most: 1 };
    run(
        1,
        |builder| configure(builder.on_stall(stall)),
        async |fixture| {
            fixture.history.excuse(KEY);
            scenario(fixture).await;
        },
    );
}

pub(super) fn two_executions_end_at_once() {
    stalling(identity, async |fixture| {
        let gate = Gate::default();
        let callers = [(); 2].map(|()| spawn(fixture.join(KEY, gate.work())));
        fixture.runtime.advance(LIMIT);
        gate.open();
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

/// The first execution never ends.
pub(super) fn a_follower_that_comes_beside_the_time_takes_over() {
    stalling(identity, async |fixture| {
        let (gate, history) = (Gate::default(), fixture.history.clone());
        let leader = spawn(fixture.join(KEY, gate.work()));
        fixture.runtime.until(|_| history.executions() == 1).await;
        let follower = spawn(fixture.join(KEY, pause));
        fixture.runtime.advance(LIMIT);
        assert!(follower.await.unwrap().outcome.is_ok());
        assert!(leader.await.unwrap().outcome.is_ok());
        fixture.finish().await;
    });
}

/// A caller that is never polled again has the flight's record.
pub(super) fn work_that_is_left_beside_the_end_is_not_kept() {
    stalling(identity, async |fixture| {
        let leader = spawn(fixture.join(KEY, ready));
        let parked = begun_beside(fixture.join(KEY, ready));
        assert!(leader.await.unwrap().outcome.is_ok());
        let parked = parked.await.unwrap();
        fixture.at_rest().await;
        assert!(fixture.history.alive_count() <= 1, "G6: work is left beside the value");
        assert!(parked.await.outcome.is_ok());
        fixture.finish().await;
    });
}

pub(super) fn a_flight_that_is_aborted_beside_its_takeover_ends_with_both() {
    let configure = |builder: Configure| builder.on_abandon(OnAbandon::Abort).abort_grace(10 * LIMIT);
    stalling(configure, async |fixture| {
        let running = Arc::new(AtomicUsize::new(0));
        let stalls = || {
            let running = Arc::clone(&running);
            async move || {
                let _running = Running::begin(running);
                Gate::default().pass().await;
            }
        };
        let (leader, follower) = (begun(fixture.join(KEY, stalls())), begun(fixture.join(KEY, stalls())));
        let leaving = spawn(async move { drop((leader, follower)) });
        fixture.runtime.advance(LIMIT);
        leaving.await.unwrap();
        let (left, history) = (Arc::clone(&running), fixture.history.clone());
        let next = fixture.join(KEY, async move || {
            if left.load(Ordering::Relaxed) > 0 {
                history.violation("G10: the next flight begins beside aborted work".to_owned());
            }
        });
        assert!(next.await.outcome.is_ok());
        fixture.finish().await;
    });
}

/// An execution of a flight that is aborted.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All but the shard's actor.
pub(super) fn executions_that_the_runtime_drops_are_an_answer() {
    stalling(identity, async |fixture| {
        let (gate, history) = (Gate::default(), fixture.history.clone());
        let callers = [(); 2].map(|()| spawn(fixture.join(KEY, gate.work())));
        fixture.runtime.until(|_| history.executions() == 1).await;
        fixture.runtime.advance(LIMIT);
        fixture.runtime.drop_tasks(1..);
        // A caller that came later has a flight of its own.
        gate.open();
        for caller in callers {
            let outcome = caller.await.unwrap().outcome;
            assert!(matches!(outcome, Ok(_) | Err(JoinError::Aborted)), "G5: {outcome:?}");
        }
        fixture.finish().await;
    });
}

/// A flight that stalls has one of two permits, and gets the other one for its takeover only if no flight waits for it. Flights
/// come, are shed, are left and begin beside it.
pub(super) fn takeovers_beside_a_queue_keep_to_the_limit() {
    let stall = OnStall::Takeover { after: LIMIT, at_most: 1 };
    let configure =
        |builder: Configure| builder.max_executions(2).max_queued(1).on_stall(stall).on_abandon(OnAbandon::Abort);
    run_on(Runtime::begin(true), 2, configure, async |fixture| {
        fixture.history.excuse(KEY);
        let (gate, meter) = (Gate::default(), Meter::default());
        let call = |key| {
            let meter = meter.clone();
            fixture.join(key, move || meter.measured(pause()))
        };
        let stalls = (gate.clone(), meter.clone());
        let stalled = spawn(fixture.join(KEY, move || stalls.1.measured(stalls.0.pass())));
        let follower = spawn(call(KEY));
        let others = [ELSEWHERE, NEIGHBOUR, TWIN].map(|key| spawn(call(key)));
        let (joins, leads) = (begun(call(KEY)), begun(call(NEIGHBOUR | 1)));
        let leaving = spawn(async move { drop((joins, leads)) });
        fixture.runtime.advance(LIMIT);
        let mut outcomes = Vec::new();
        for caller in others {
            outcomes.push(caller.await.unwrap().outcome);
        }
        fixture.runtime.advance(LIMIT);
        gate.open();
        for caller in [stalled, follower] {
            outcomes.push(caller.await.unwrap().outcome);
        }
        leaving.await.unwrap();
        for outcome in outcomes {
            assert!(matches!(outcome, Ok(_) | Err(JoinError::Overloaded { limit: 1 })), "{outcome:?}");
        }
        assert!(meter.most() <= 2, "{} executions where two are allowed", meter.most());
        fixture.finish().await;
    });
}

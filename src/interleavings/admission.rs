//! Executions that have a limit: grants beside departures, raises, arrivals and loans.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use shuttle::future::spawn;

use super::{
    fixture::{Configure, ELSEWHERE, Fixture, KEY, LIMIT, NEIGHBOUR, TWIN, join, run},
    futures::{Gate, begun, begun_beside, pause, ready},
};
use crate::{JoinError, OnAbandon, Priority, Stats};

/// One execution at a time.
fn one(builder: Configure) -> Configure {
    builder.max_executions(1)
}

/// Without deadlines no actor takes a shard, so those who alone use one find it in its cell.
fn one_and_no_alarm(builder: Configure) -> Configure {
    one(builder).no_flight_deadline()
}

/// Waits until the statistics say so, and what their turns have left to do is done.
///
/// A shard answers in a turn, and the thread that ran that turn, or one before it, may have yet to carry out what it asked for: the
/// change of a flight's class, for instance, which the scheduler hears of by then. It does so in the poll in which it ran the turn,
/// so once no task of the runtime is being polled, it is done. What is sent to the scheduler later is handled later.
async fn settled(fixture: &Fixture, condition: impl Fn(&Stats) -> bool) {
    while !condition(&fixture.handle().stats().await.expect("the shards are there")) {
        pause().await;
    }
    fixture.runtime.until(|_| true).await;
}

/// Counts what runs at once.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<(AtomicUsize, AtomicUsize)>);

impl Meter {
    pub(super) async fn measured(self, work: impl Future<Output = ()>) {
        let (running, most) = &*self.0;
        most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let running = Running(running);
        work.await;
        drop(running);
    }

    pub(super) fn most(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn no_more_executions_run_than_may() {
    run(2, one, async |fixture| {
        let meter = Meter::default();
        let call = |key| {
            let meter = meter.clone();
            spawn(fixture.join(key, move || meter.measured(pause())))
        };
        let callers = [KEY, NEIGHBOUR, ELSEWHERE, NEIGHBOUR].map(call);
        callers[3].abort();
        for caller in callers {
            assert!(caller.await.map_or(true, |answer| answer.outcome.is_ok()));
        }
        assert_eq!(meter.most(), 1);
        fixture.finish().await;
    });
}

pub(super) fn a_permit_that_is_given_back_beside_an_arrival_is_not_lost() {
    run(2, one, async |fixture| {
        let callers = [KEY, ELSEWHERE, NEIGHBOUR].map(|key| spawn(fixture.join(key, ready)));
        for caller in callers {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

fn departs_beside_its_grant(policy: OnAbandon) {
    run(
        2,
        |builder| one(builder).on_abandon(policy),
        async |fixture| {
            let running = fixture.caller(ELSEWHERE);
            let departing = begun(fixture.call(KEY));
            let leaving = spawn(async move { drop(departing) });
            let (next, other) = (fixture.caller(KEY), fixture.caller(NEIGHBOUR));
            for caller in [running, next, other] {
                assert!(caller.await.unwrap().outcome.is_ok(), "G10: it has joined a flight that never begins");
            }
            leaving.await.unwrap();
            fixture.finish().await;
        },
    );
}

pub(super) fn the_last_caller_leaves_beside_its_flights_grant() {
    departs_beside_its_grant(OnAbandon::Finish);
}

pub(super) fn the_last_caller_leaves_and_aborts_beside_its_flights_grant() {
    departs_beside_its_grant(OnAbandon::Abort);
}

pub(super) fn what_was_abandoned_before_its_grant_never_begins() {
    run(2, one_and_no_alarm, async |fixture| {
        let gate = Gate::default();
        let running = begun(fixture.join(ELSEWHERE, gate.work()));
        settled(&fixture, |stats| stats.executing == 1).await;
        let beside = fixture.caller(ELSEWHERE | NEIGHBOUR);
        drop(begun(fixture.call(KEY)));
        settled(&fixture, |stats| (stats.waiters, stats.queue_len) == (2, 1)).await;
        gate.open();
        assert!(running.await.outcome.is_ok() && beside.await.unwrap().outcome.is_ok());
        fixture.at_rest().await;
        assert_eq!(fixture.history.executions(), 2);
        fixture.finish().await;
    });
}

/// Which of two flights that wait begins first, if a caller of a higher class joins the second one, and stays or leaves.
///
/// The class counts for a permit that is given back after the turn in which it changed, and after what that turn asked for was
/// carried out; a permit that is given back meanwhile may go either way. Two such changes may reach the scheduler in the wrong
/// order, as two threads may carry them out. Each has it read the record, whose class only turns change: the later of the two is
/// sent after the later turn, so it reads the class of then.
fn raised(stays: bool) {
    run(2, one_and_no_alarm, async |fixture| {
        let gate = Gate::default();
        let running = begun(fixture.join(ELSEWHERE, gate.work()));
        settled(&fixture, |stats| stats.executing == 1).await;
        let first = begun(fixture.call(TWIN));
        settled(&fixture, |stats| stats.queue_len == 1).await;
        let second = begun(fixture.call(KEY));
        settled(&fixture, |stats| stats.queue_len == 2).await;
        let beside = fixture.caller(ELSEWHERE | NEIGHBOUR);
        let high = fixture.handle().with_priority(Priority::High);
        let high = begun_beside(join(high, fixture.history.clone(), KEY, pause)).await.unwrap();
        let high = stays.then_some(high);
        // Its departure isn't waited for by its count: a caller whose join was in its shard's queue when it left never joined.
        let callers = 4 + usize::from(stays);
        settled(&fixture, |stats| (stats.waiters, stats.queue_len) == (callers, 3)).await;
        gate.open();
        let first = first.await.outcome.unwrap();
        let second = second.await.outcome.unwrap();
        if let Some(high) = high {
            assert_eq!(high.await.outcome.unwrap(), second);
        }
        assert!(running.await.outcome.is_ok() && beside.await.unwrap().outcome.is_ok());
        let is_before = fixture.history.began(second) < fixture.history.began(first);
        assert_eq!(is_before, stays, "the class of a flight is that of its callers");
        fixture.finish().await;
    });
}

pub(super) fn a_flight_is_raised_whatever_happens_beside() {
    raised(true);
}

pub(super) fn a_flight_is_lowered_whatever_happens_beside() {
    raised(false);
}

/// The raise may come at any time: before the flight is in the queue, and after it has begun.
pub(super) fn a_raise_beside_the_grant_changes_no_answer() {
    run(2, one, async |fixture| {
        let running = fixture.caller(ELSEWHERE);
        let high = fixture.handle().with_priority(Priority::High);
        let high = spawn(join(high, fixture.history.clone(), KEY, pause));
        let low = fixture.caller(KEY);
        let leaves = fixture.handle().with_priority(Priority::Low);
        let leaves = begun(join(leaves, fixture.history.clone(), KEY, pause));
        drop(leaves);
        for caller in [running, high, low] {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

fn joining(fixture: &Fixture, key: u64) -> impl Future<Output = super::history::Answer> + Send + 'static {
    let (handle, history) = (fixture.handle(), fixture.history.clone());
    join(handle, history, key, pause)
}

pub(super) fn work_that_joins_under_the_only_permit_lends_it() {
    run(2, one, async |fixture| {
        let (inner, other) = (joining(&fixture, ELSEWHERE), joining(&fixture, NEIGHBOUR));
        let outer = spawn(fixture.join(KEY, move || async move {
            assert!(inner.await.outcome.is_ok());
            assert!(other.await.outcome.is_ok());
        }));
        let beside = [fixture.caller(ELSEWHERE), fixture.caller(NEIGHBOUR)];
        assert!(outer.await.unwrap().outcome.is_ok());
        for caller in beside {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn work_that_stops_waiting_leaves_its_permit_to_the_borrower() {
    run(2, one, async |fixture| {
        let inner = joining(&fixture, ELSEWHERE);
        let outer = spawn(fixture.join(KEY, move || async move {
            // Polled once, by this work.
            let inner = begun(inner);
            pause().await;
            drop(inner);
        }));
        let beside = [fixture.caller(ELSEWHERE), fixture.caller(NEIGHBOUR)];
        assert!(outer.await.unwrap().outcome.is_ok());
        for caller in beside {
            assert!(caller.await.unwrap().outcome.is_ok());
        }
        fixture.finish().await;
    });
}

pub(super) fn a_full_queue_refuses_and_loses_none() {
    run(
        2,
        |builder| one(builder).max_queued(1),
        async |fixture| {
            let callers = [KEY, ELSEWHERE, NEIGHBOUR, ELSEWHERE].map(|key| fixture.caller(key));
            for caller in callers {
                let outcome = caller.await.unwrap().outcome;
                assert!(matches!(outcome, Ok(_) | Err(JoinError::Overloaded { limit: 1 })), "{outcome:?}");
            }
            fixture.finish().await;
        },
    );
}

pub(super) fn a_wait_in_the_queue_times_out_beside_its_grant() {
    run(
        2,
        |builder| one(builder).queue_timeout(LIMIT),
        async |fixture| {
            let callers = [KEY, ELSEWHERE, NEIGHBOUR].map(|key| fixture.caller(key));
            fixture.runtime.advance(LIMIT);
            for caller in callers {
                let outcome = caller.await.unwrap().outcome;
                assert!(matches!(outcome, Ok(_) | Err(JoinError::QueueTimedOut { after: LIMIT })), "{outcome:?}");
            }
            fixture.finish().await;
        },
    );
}

pub(super) fn a_runtime_that_shuts_down_answers_those_that_wait_to_begin() {
    run(2, one, async |fixture| {
        let callers = [KEY, ELSEWHERE, NEIGHBOUR].map(|key| fixture.caller(key));
        fixture.runtime.shut_down();
        for caller in callers {
            let outcome = caller.await.unwrap().outcome;
            assert!(matches!(outcome, Ok(_) | Err(JoinError::Aborted | JoinError::Closed)), "{outcome:?}");
        }
        fixture.end().await;
    });
}

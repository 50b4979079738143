//! Callers and their work, as planned.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    thread,
    time::Duration,
};

use futures::FutureExt;
use shardflight::{Handle, JoinError, Priority, TryJoinError};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};

use super::{
    log::{Joining, Log, Logged, Running, Value},
    plan::{Action, Api, Blocking, Join, Treatment, Work, WorkEnd},
    record::{Answer, Ending},
};
use crate::support::panic_quietly;

/// An error of the work's own is as good a result as any.
pub(super) type WorkOutput = Result<Value, Value>;
pub(super) type Flights = Handle<u8, WorkOutput>;

fn of_output(output: &WorkOutput) -> Answer {
    let (Ok(value) | Err(value)) = output;
    Answer::Value { execution: value.execution }
}

fn of_error(error: &JoinError) -> Answer {
    match error {
        JoinError::Panicked(panic) => {
            match panic.message().strip_prefix("execution ").and_then(|number| number.parse().ok()) {
                Some(execution) => Answer::Panic { execution },
                None => Answer::Unexpected(panic.to_string()),
            }
        }
        JoinError::TimedOut { after } => Answer::TimedOut(*after),
        JoinError::TooManyWaiters { .. } => Answer::TooManyWaiters,
        JoinError::TooManyFlights { .. } => Answer::TooManyFlights,
        JoinError::Overloaded { limit } => Answer::Overloaded(*limit),
        JoinError::QueueTimedOut { after } => Answer::QueueTimedOut(*after),
        JoinError::Reentrant => Answer::Reentrant,
        JoinError::Aborted => Answer::Aborted,
        JoinError::Closed => Answer::Closed,
        other => Answer::Unexpected(other.to_string()),
    }
}

/// A logged join, not polled yet.
fn logged(handle: &Flights, log: &Arc<Log>, join: &Join, inside: Option<usize>) -> Logged {
    let Join { key, ref work, max_wait, priority, .. } = *join;
    let call = log.call(key, inside, max_wait);
    let closure = {
        let (handle, log, work) = (handle.clone(), Arc::clone(log), work.clone());
        move || {
            let mut running = log.start(key, call);
            if work.end == WorkEnd::PanicsInItsClosure {
                panics(&mut running);
            }
            perform(handle, log, work, running)
        }
    };
    let handle = handle.with_priority(priority);
    let handle = max_wait.map_or_else(|| handle.clone(), |limit| handle.with_max_wait(limit));
    let joining: Joining = match join.api {
        Api::Join => Box::pin(handle.join(key, closure).map(|result| match result {
            Ok(output) => of_output(&output),
            Err(error) => of_error(&error),
        })),
        Api::JoinShared => Box::pin(handle.join_shared(key, closure).map(|result| match result {
            Ok(output) => of_output(&output),
            Err(error) => of_error(&error),
        })),
        Api::TryJoin => Box::pin(handle.try_join(key, closure).map(|result| match result {
            Ok(value) => of_output(&Ok(value)),
            Err(TryJoinError::Work(value)) => of_output(&Err(value)),
            Err(TryJoinError::Join(error)) => of_error(&error),
        })),
    };
    Logged::new(log, call, joining)
}

fn panics(running: &mut Running) -> ! {
    running.ends(Ending::Panicked);
    panic_quietly(format!("execution {}", running.execution));
}

async fn perform(handle: Flights, log: Arc<Log>, work: Work, mut running: Running) -> WorkOutput {
    for _ in 0..work.yields {
        yield_now().await;
    }
    if let Some(duration) = work.sleeps {
        sleep(duration).await;
    }
    if let Some(join) = &work.nested {
        let nested = logged(&handle, &log, join, Some(running.execution));
        // Nothing is parked: work has nothing else to do.
        treat(nested, join.treatment).await;
    }
    match work.end {
        WorkEnd::Never => pending().await,
        WorkEnd::Panics | WorkEnd::PanicsInItsClosure => panics(&mut running),
        WorkEnd::Returns | WorkEnd::Fails => {
            let value = Value::of(&running);
            running.ends(Ending::Returned);
            if work.end == WorkEnd::Returns { Ok(value) } else { Err(value) }
        }
    }
}

/// Polls a future so often, then drops it; on its way it lets all others run.
async fn leave_after(polls: u8, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await.is_ready() {
            return;
        }
        yield_now().await;
    }
}

/// Gives a join back if it is to be gone on with later.
async fn treat(mut joining: Logged, treatment: Treatment) -> Option<Logged> {
    match treatment {
        Treatment::Waits => joining.await,
        Treatment::NeverPolls => {}
        Treatment::LeavesAfter { polls } => leave_after(polls, joining).await,
        Treatment::Races { limit } => drop(timeout(limit, joining).await),
        Treatment::Parks => {
            if poll_fn(|cx| Poll::Ready(joining.poll_unpin(cx))).await.is_pending() {
                return Some(joining);
            }
        }
        Treatment::Aborted { yields } => {
            let task = tokio::spawn(joining);
            for _ in 0..yields {
                yield_now().await;
            }
            task.abort();
            // It may have been through by then.
            let _ = task.await;
        }
    }
    None
}

pub(super) async fn caller(handle: Flights, log: Arc<Log>, script: Vec<Action>) {
    let mut parked = Vec::new();
    for action in script {
        match action {
            Action::Join(join) => parked.extend(treat(logged(&handle, &log, &join, None), join.treatment).await),
            Action::Forget { key } => {
                let forget = log.forget(Some(key));
                log.forgot(forget, handle.forget(key).await.map(usize::from));
            }
            Action::ForgetAll => {
                let forget = log.forget(None);
                log.forgot(forget, handle.forget_all().await);
            }
            Action::Ask => {
                let sighting = log.look();
                log.saw(sighting, handle.stats().await.map(|stats| stats.timeouts));
            }
            Action::Pause { yields } => {
                for _ in 0..yields {
                    yield_now().await;
                }
            }
        }
    }
    for joining in parked {
        joining.await;
    }
}

pub(super) fn blocking_caller(handle: &Flights, log: &Arc<Log>, script: Vec<Blocking>) {
    for Blocking { key, yields, panics: does_panic, max_wait } in script {
        let call = log.call(key, None, max_wait);
        let limited = max_wait.map(|limit| handle.with_max_wait(limit));
        let its_log = Arc::clone(log);
        let work = move || {
            let mut running = its_log.start(key, call);
            for _ in 0..yields {
                thread::yield_now();
            }
            if does_panic {
                panics(&mut running);
            }
            let value = Value::of(&running);
            running.ends(Ending::Returned);
            Ok(value)
        };
        log.begin(call);
        let answer = match limited.as_ref().unwrap_or(handle).blocking_join(key, work) {
            Ok(output) => of_output(&output),
            Err(error) => of_error(&error),
        };
        log.answered(call, answer);
    }
}

/// A flight that expires while it is all there is, and a join after the statistics show it.
pub(super) async fn overdue(handle: &Flights, log: &Arc<Log>) {
    let work = |sleeps| Work { yields: 0, sleeps, nested: None, end: WorkEnd::Returns };
    let join = |sleeps| Join {
        key: 0,
        api: Api::Join,
        work: work(sleeps),
        treatment: Treatment::Waits,
        max_wait: None,
        priority: Priority::Normal,
    };
    let mut first = logged(handle, log, &join(Some(Duration::from_millis(500))), None);
    let _ = poll_fn(|cx| Poll::Ready(first.poll_unpin(cx))).await;
    loop {
        let sighting = log.look();
        let stats = handle.stats().await;
        // A stalled machine may let the work end first.
        let is_over = stats.as_ref().map_or(true, |stats| stats.timeouts > 0 || stats.flights == 0);
        log.saw(sighting, stats.map(|stats| stats.timeouts));
        if is_over {
            break;
        }
        yield_now().await;
    }
    logged(handle, log, &join(None), None).await;
}

//! What one size of a crowd costs one contender.

use std::{
    future::{Future, pending},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{future::maybe_done, poll};
use tokio::{runtime, task::yield_now};

use crate::{ALLOCATOR, contenders::Contender, gate::Gate};

/// A point that takes longer than this is given up. Less than our default `max_flight_duration`.
const LIMIT: Duration = Duration::from_secs(20);
/// A contender that takes longer than this over a point is asked for no larger one: ten times the crowd takes ten times
/// as long at best, which is the limit.
pub(crate) const QUICK: Duration = Duration::from_secs(LIMIT.as_secs() / 10);
/// Calls of different keys before the first point, to initialise what is lazy, in every shard of ours.
const FIRST_CALLS: u64 = 256;
/// The small sizes are repeated until there were at least this many calls.
const LEAST_CALLS: usize = 20_000;
/// Tasks that call yield in between, which keeps queues as short as they are in a service.
const IN_A_ROW: usize = 32;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// Callers of one flight.
    Waiters,
    /// Keys in flight, with one caller each.
    Keys,
}

impl Crowd {
    pub(crate) const ALL: [Self; 2] = [Self::Waiters, Self::Keys];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiters => "waiters",
            Self::Keys => "keys",
        }
    }

    pub(crate) fn of_one(self) -> &'static str {
        match self {
            Self::Waiters => "waiter",
            Self::Keys => "key",
        }
    }

    fn key(self, index: usize) -> u64 {
        match self {
            Self::Waiters => 7,
            Self::Keys => index as u64,
        }
    }
}

/// Per call, from the first call to the last answer; work ends when all of them wait.
pub(crate) fn nanoseconds<C: Contender>(crowd: Crowd, size: usize) -> Option<f64> {
    alone(async {
        let contender = entered::<C>().await;
        let times = (LEAST_CALLS / size).max(1);
        let deadline = Instant::now() + LIMIT;
        if times > 1 {
            // Not counted: the caches are cold.
            once(&contender, crowd, size, deadline).await?;
        }
        let start = Instant::now();
        for _ in 0..times {
            once(&contender, crowd, size, deadline).await?;
        }
        Some(start.elapsed().as_secs_f64() * 1e9 / (times * size) as f64)
    })
}

/// Live bytes per call while all of them wait, each future in a box of its own. Work is pending and has no state.
pub(crate) fn bytes<C: Contender>(crowd: Crowd, size: usize) -> Option<f64> {
    alone(async {
        let contender = entered::<C>().await;
        rest().await;
        let deadline = Instant::now() + LIMIT;
        let mut calls = Vec::with_capacity(size);
        let before = ALLOCATOR.current_usage();
        for index in 0..size {
            if index % IN_A_ROW == 0 {
                yield_now().await;
                if Instant::now() > deadline {
                    return given_up(calls);
                }
            }
            let mut call = Box::pin(contender.call(crowd.key(index), pending));
            assert!(poll!(call.as_mut()).is_pending(), "work that never ends");
            calls.push(call);
        }
        contender.settled(size).await;
        rest().await;
        // What was left of the call before may have gone since.
        let held = ALLOCATOR.current_usage() as f64 - before as f64;
        Some(held / size as f64)
    })
}

/// On a runtime that ends with it.
fn alone<T>(measured: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(measured)
}

async fn entered<C: Contender>() -> C {
    let contender = C::enter();
    for index in 0..FIRST_CALLS {
        contender.call(u64::MAX - index, || async { 0 }).await;
    }
    contender
}

async fn once<C: Contender>(contender: &C, crowd: Crowd, size: usize, deadline: Instant) -> Option<()> {
    let gate = Gate::new(size);
    let mut calls = Vec::with_capacity(size);
    for index in 0..size {
        if index % IN_A_ROW == 0 {
            yield_now().await;
            if Instant::now() > deadline {
                return given_up(calls);
            }
        }
        let work_gate = Arc::clone(&gate);
        let call = contender.call(crowd.key(index), move || behind(work_gate));
        let mut call = Box::pin(maybe_done(gate.counting(call)));
        let _ = poll!(call.as_mut());
        calls.push(call);
    }
    let mut calls = calls.into_iter().enumerate();
    while let Some((index, call)) = calls.next() {
        call.await;
        if index % IN_A_ROW == 0 && Instant::now() > deadline {
            return given_up(calls);
        }
    }
    Some(())
}

async fn behind(gate: Arc<Gate>) -> u64 {
    gate.passed().await;
    0
}

/// A contender that is slow with a crowd may be as slow to drop it.
fn given_up<T, R>(calls: T) -> Option<R> {
    mem::forget(calls);
    None
}

/// Until tasks that were just spawned have been polled.
async fn rest() {
    for _ in 0..IN_A_ROW {
        yield_now().await;
    }
}

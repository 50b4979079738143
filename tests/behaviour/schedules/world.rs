//! The real coalescer, its callers and their work, and a log of what they saw.

use std::{
    future::pending,
    hash::{BuildHasher, Hasher},
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use shardflight::{Coalescer, Handle, JoinError, OnAbandon, OnExpiry, TryJoinError};
use tokio::{sync::watch, task::yield_now};

use super::steps::{GATES, How, Join, Options, Plan, Way, When};

/// By the number of the call whose work it is.
pub(crate) type CallId = usize;
pub(crate) type Flights = Handle<u8, Result<Token, Token>, Piled>;
pub(crate) type Caller = Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(crate) const FLIGHT_LIMIT: Duration = Duration::from_secs(1);
pub(crate) const MAX_WAIT: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Value(CallId),
    Error(CallId),
    Panicked(CallId),
    TooManyWaiters,
    TooManyFlights,
    FlightTimedOut,
    CallerTimedOut,
    Reentrant,
    Aborted,
    Closed,
    Unexpected(String),
}

/// Two keys share a hash, so that identity is never the hash's doing; the third has another shard, where there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piled;

pub(crate) struct PiledHasher(u64);

impl BuildHasher for Piled {
    type Hasher = PiledHasher;

    fn build_hasher(&self) -> PiledHasher {
        PiledHasher(0)
    }
}

impl Hasher for PiledHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = if bytes.iter().all(|byte| *byte < 2) { 0 } else { u64::MAX };
    }
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Calls whose work was begun.
    pub(crate) begun: Mutex<Vec<CallId>>,
    /// The answers of joins made by work.
    pub(crate) nested: Mutex<Vec<(CallId, Answer)>>,
    pub(crate) gates: [watch::Sender<u64>; GATES],
    pub(crate) values: Arc<AtomicUsize>,
    pub(crate) works: Arc<AtomicUsize>,
}

/// Something that is counted for as long as it is there.
#[derive(Debug)]
pub(crate) struct Token {
    leader: CallId,
    alive: Arc<AtomicUsize>,
}

impl Token {
    fn new(leader: CallId, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self { leader, alive: Arc::clone(alive) }
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        Self::new(self.leader, &self.alive)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

pub(crate) fn build(options: Options) -> Coalescer<u8, Result<Token, Token>, Piled> {
    let mut builder = Coalescer::builder()
        .shards(options.shards)
        .max_waiters_per_flight(options.max_waiters)
        .max_flights(options.max_flights)
        .on_abandon(if options.aborts { OnAbandon::Abort } else { OnAbandon::Finish })
        .on_expiry(if options.detaches { OnExpiry::Detach } else { OnExpiry::Fail })
        .max_flight_duration(FLIGHT_LIMIT)
        .hasher(Piled);
    if !options.has_deadline {
        builder = builder.no_flight_deadline();
    }
    builder.build().expect("valid options")
}

pub(crate) fn join(handle: &Flights, log: &Arc<Log>, call: CallId, wanted: &Join) -> Caller {
    let Join { key, way, has_max_wait, ref plan } = *wanted;
    // Only work that joins holds a handle, as a handle keeps the coalescer alive.
    let for_nested = matches!(plan.ends, When::Joined { .. }).then(|| handle.clone());
    let (log, plan) = (Arc::clone(log), plan.clone());
    let work = move || begin(log, call, plan, for_nested);
    let handle = if has_max_wait { handle.with_max_wait(MAX_WAIT) } else { handle.clone() };
    match way {
        Way::Join => {
            let join = handle.join(key, work);
            Box::pin(async move { answer(join.await) })
        }
        Way::Shared => {
            let join = handle.join_shared(key, work);
            Box::pin(async move { answer(join.await.map(|value| Result::clone(&value))) })
        }
        Way::Try => {
            let join = handle.try_join(key, work);
            Box::pin(async move {
                match join.await {
                    Ok(value) => answer(Ok(Ok(value))),
                    Err(TryJoinError::Work(error)) => answer(Ok(Err(error))),
                    Err(TryJoinError::Join(error)) => answer(Err(error)),
                }
            })
        }
    }
}

/// The closure's part of the work, and the future that is the rest.
fn begin(
    log: Arc<Log>,
    call: CallId,
    plan: Plan,
    handle: Option<Flights>,
) -> impl Future<Output = Result<Token, Token>> + Send + 'static {
    log.begun.lock().unwrap().push(call);
    let work = Token::new(call, &log.works);
    if plan.by == How::PanicInTheClosure {
        panic_as(call);
    }
    let passed = log.gates.each_ref().map(|gate| *gate.borrow());
    async move {
        let _work = work;
        match (plan.ends, handle) {
            (When::AtGate(gate), _) => {
                let mut pulses = log.gates[gate].subscribe();
                pulses.wait_for(|pulses| *pulses > passed[gate]).await.expect("the log keeps the gates");
            }
            (When::Never, _) => pending().await,
            (When::Joined { key, plan }, Some(handle)) => {
                let wanted = Join { key, way: Way::Join, has_max_wait: false, plan: *plan };
                let answer = join(&handle, &log, call + 1, &wanted).await;
                log.nested.lock().unwrap().push((call + 1, answer));
            }
            (When::AtOnce | When::Joined { .. }, _) => {}
        }
        let token = Token::new(call, &log.values);
        match plan.by {
            How::Value => Ok(token),
            How::Error => Err(token),
            How::Panic | How::PanicInTheClosure => panic_as(call),
        }
    }
}

fn panic_as(call: CallId) -> ! {
    resume_unwind(Box::new(format!("work {call}")))
}

fn answer(result: Result<Result<Token, Token>, JoinError>) -> Answer {
    match result {
        Ok(Ok(token)) => Answer::Value(token.leader),
        Ok(Err(token)) => Answer::Error(token.leader),
        Err(JoinError::Panicked(panic)) => match panic.message().strip_prefix("work ").map(str::parse) {
            Some(Ok(call)) => Answer::Panicked(call),
            _ => Answer::Unexpected(panic.to_string()),
        },
        Err(JoinError::TooManyWaiters { .. }) => Answer::TooManyWaiters,
        Err(JoinError::TooManyFlights { .. }) => Answer::TooManyFlights,
        Err(JoinError::TimedOut { after }) if after == FLIGHT_LIMIT => Answer::FlightTimedOut,
        Err(JoinError::TimedOut { after }) if after == MAX_WAIT => Answer::CallerTimedOut,
        Err(JoinError::Reentrant) => Answer::Reentrant,
        Err(JoinError::Aborted) => Answer::Aborted,
        Err(JoinError::Closed) => Answer::Closed,
        Err(other) => Answer::Unexpected(format!("{other:?}")),
    }
}

/// Lets every task run that can. Never idle, so that the paused clock stands still.
pub(crate) async fn settle() {
    for _ in 0..40 {
        yield_now().await;
    }
}

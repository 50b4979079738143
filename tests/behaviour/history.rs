//! Random schedules of real callers, judged afterwards from the log of what they saw.
//!
//! Callers join, leave at any point, park, forget; their work is ready or slow, returns or panics; all of it on one to
//! four worker threads. Every call and every execution is logged with the ticks of one clock at which it began and
//! ended. The checker knows nothing of shards: it decides from the log alone whether the guarantees held.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use proptest::prelude::*;
use shardflight::{Coalescer, Handle, JoinError, OnAbandon, Stats};
use tokio::{runtime, task::yield_now};

const KEYS: u8 = 3;

#[derive(Clone, Debug)]
enum Action {
    Join { key: u8, work: Work, patience: Patience },
    Forget { key: u8 },
    Pause { yields: u8 },
}

/// What a caller's work does, should it be run.
#[derive(Clone, Copy, Debug)]
enum Work {
    Returns { yields: u8 },
    Panics { yields: u8 },
    PanicsInItsClosure,
}

/// How a caller treats its join.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Waits,
    NeverPolls,
    LeavesAfter {
        polls: u8,
    },
    /// Polls once, then does all else it has to do before it polls again.
    Parks,
}

fn action() -> impl Strategy<Value = Action> {
    let work = prop_oneof![
        6 => (0..12_u8).prop_map(|yields| Work::Returns { yields }),
        1 => (0..4_u8).prop_map(|yields| Work::Panics { yields }),
        1 => Just(Work::PanicsInItsClosure),
    ];
    let patience = prop_oneof![
        5 => Just(Patience::Waits),
        1 => Just(Patience::NeverPolls),
        4 => (1..6_u8).prop_map(|polls| Patience::LeavesAfter { polls }),
        2 => Just(Patience::Parks),
    ];
    prop_oneof![
        8 => (0..KEYS, work, patience).prop_map(|(key, work, patience)| Action::Join { key, work, patience }),
        1 => (0..KEYS).prop_map(|key| Action::Forget { key }),
        2 => (0..8_u8).prop_map(|yields| Action::Pause { yields }),
    ]
}

/// Everything that happened, on one clock.
#[derive(Default)]
struct Log {
    clock: AtomicU64,
    calls: Mutex<Vec<Call>>,
    executions: Mutex<Vec<Execution>>,
    forgets: Mutex<Vec<Forget>>,
    values_alive: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Call {
    key: u8,
    begin: u64,
    /// When it had its answer, and which; `None` for a caller that left.
    answer: Option<(u64, Answer)>,
    polled: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Value { execution: usize },
    Panic { execution: usize },
    Unexpected(String),
}

#[derive(Clone, Debug)]
struct Execution {
    key: u8,
    /// The call whose work this is.
    leader: usize,
    begin: u64,
    end: Option<u64>,
    dropped: bool,
}

#[derive(Clone, Debug)]
struct Forget {
    key: u8,
    begin: u64,
    end: u64,
}

impl Log {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst)
    }
}

/// The value of an execution, which knows when the last of it is gone.
struct Value {
    execution: usize,
    log: Arc<Log>,
}

impl Clone for Value {
    fn clone(&self) -> Self {
        self.log.values_alive.fetch_add(1, SeqCst);
        Self { execution: self.execution, log: Arc::clone(&self.log) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.log.values_alive.fetch_sub(1, SeqCst);
    }
}

/// Logs the end of an execution, however it comes.
struct Running {
    log: Arc<Log>,
    execution: usize,
    returned: bool,
}

impl Running {
    /// What comes next is an end of its own, not a drop.
    fn ends(&mut self) {
        self.returned = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let end = self.log.tick();
        let execution = &mut self.log.executions.lock().unwrap()[self.execution];
        execution.end = Some(end);
        execution.dropped = !self.returned;
    }
}

fn start(log: &Arc<Log>, key: u8, leader: usize) -> Running {
    let begin = log.tick();
    let mut executions = log.executions.lock().unwrap();
    executions.push(Execution { key, leader, begin, end: None, dropped: false });
    Running { log: Arc::clone(log), execution: executions.len() - 1, returned: false }
}

type Flights = Handle<u8, Value>;

fn join(
    handle: &Flights,
    log: &Arc<Log>,
    key: u8,
    work: Work,
    call: usize,
) -> impl Future<Output = Result<Value, JoinError>> + Send + use<> {
    let log = Arc::clone(log);
    handle.join(key, move || {
        let mut running = start(&log, key, call);
        if let Work::PanicsInItsClosure = work {
            running.ends();
            panic!("execution {}", running.execution);
        }
        async move {
            let (Work::Returns { yields } | Work::Panics { yields }) = work else { unreachable!() };
            for _ in 0..yields {
                yield_now().await;
            }
            running.ends();
            if let Work::Panics { .. } = work {
                panic!("execution {}", running.execution);
            }
            log.values_alive.fetch_add(1, SeqCst);
            Value { execution: running.execution, log: Arc::clone(&log) }
        }
    })
}

fn answer_of(result: Result<Value, JoinError>) -> Answer {
    match result {
        Ok(value) => Answer::Value { execution: value.execution },
        Err(JoinError::Panicked(panic)) => match panic.message().strip_prefix("execution ") {
            Some(number) => Answer::Panic { execution: number.parse().unwrap() },
            None => Answer::Unexpected(panic.to_string()),
        },
        Err(error) => Answer::Unexpected(error.to_string()),
    }
}

fn begin_call(log: &Log, key: u8) -> usize {
    let mut calls = log.calls.lock().unwrap();
    calls.push(Call { key, begin: log.tick(), answer: None, polled: false });
    calls.len() - 1
}

fn end_call(log: &Log, call: usize, result: Result<Value, JoinError>) {
    let answer = answer_of(result);
    let end = log.tick();
    log.calls.lock().unwrap()[call].answer = Some((end, answer));
}

/// Polls a future so often, then drops it; on its way it lets everybody else run.
async fn leave_after<T>(polls: u8, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

async fn caller(handle: Flights, log: Arc<Log>, script: Vec<Action>) {
    let mut parked = Vec::new();
    for action in script {
        match action {
            Action::Join { key, work, patience } => {
                let call = begin_call(&log, key);
                let mut joining = Box::pin(join(&handle, &log, key, work, call));
                if let Patience::NeverPolls = patience {
                    continue;
                }
                log.calls.lock().unwrap()[call].polled = true;
                match patience {
                    Patience::NeverPolls => unreachable!(),
                    Patience::Waits => end_call(&log, call, joining.await),
                    Patience::LeavesAfter { polls } => {
                        if let Some(result) = leave_after(polls, joining).await {
                            end_call(&log, call, result);
                        }
                    }
                    Patience::Parks => match poll_fn(|cx| Poll::Ready(joining.as_mut().poll(cx))).await {
                        Poll::Ready(result) => end_call(&log, call, result),
                        Poll::Pending => parked.push((call, joining)),
                    },
                }
            }
            Action::Forget { key } => {
                let begin = log.tick();
                handle.forget(key).await.unwrap();
                let end = log.tick();
                log.forgets.lock().unwrap().push(Forget { key, begin, end });
            }
            Action::Pause { yields } => {
                for _ in 0..yields {
                    yield_now().await;
                }
            }
        }
    }
    for (call, joining) in parked {
        end_call(&log, call, joining.await);
    }
}

/// Judges a finished log.
struct Checker {
    on_abandon: OnAbandon,
    calls: Vec<Call>,
    executions: Vec<Execution>,
    forgets: Vec<Forget>,
}

impl Checker {
    fn check(&self) -> Result<(), TestCaseError> {
        self.everyone_is_answered()?;
        self.no_two_executions_of_a_key_in_one_window()?;
        self.answers_are_of_live_flights()?;
        self.undisturbed_work_is_never_dropped()
    }

    /// Answered calls, each with the execution it was answered by and when.
    fn answered(&self) -> impl Iterator<Item = (&Call, usize, u64)> {
        self.calls.iter().filter_map(|call| match call.answer {
            Some((end, Answer::Value { execution } | Answer::Panic { execution })) => Some((call, execution, end)),
            _ => None,
        })
    }

    /// G5, and that nobody is answered by the coalescer where the work could have been asked.
    fn everyone_is_answered(&self) -> Result<(), TestCaseError> {
        for (number, call) in self.calls.iter().enumerate() {
            if let Some((_, Answer::Unexpected(answer))) = &call.answer {
                return Err(TestCaseError::fail(format!("call {number} {call:?} got {answer}")));
            }
            let led = self.executions.iter().filter(|execution| execution.leader == number).count();
            prop_assert!(led <= 1, "G2: the work of call {number} was restarted");
            prop_assert!(call.polled || led == 0, "lazy: call {number} was never polled, and its work ran");
        }
        for (call, execution, _) in self.answered() {
            prop_assert_eq!(self.executions[execution].key, call.key, "answered by its own key");
        }
        Ok(())
    }

    /// G1: where two executions of one key overlap, the key was forgotten in between, or one of them was abandoned by
    /// all its callers and is on its way out: an abort takes effect when the poll that it finds under way is over.
    fn no_two_executions_of_a_key_in_one_window(&self) -> Result<(), TestCaseError> {
        for (number, first) in self.executions.iter().enumerate() {
            for (other, second) in self.executions.iter().enumerate().filter(|(_, second)| second.key == first.key) {
                let overlap = first.begin < second.begin && first.end.is_none_or(|end| second.begin < end);
                if !overlap {
                    continue;
                }
                // Flights may begin in one order and their tasks be polled first in another.
                let flights_began = self.calls[first.leader].begin.min(self.calls[second.leader].begin);
                let forgotten = self
                    .forgets
                    .iter()
                    .any(|forget| forget.key == first.key && forget.begin < second.begin && flights_began < forget.end);
                let answered = |number| self.answered().any(|(_, execution, _)| execution == number);
                let abandoned = self.on_abandon == OnAbandon::Abort && !(answered(number) && answered(other));
                prop_assert!(forgotten || abandoned, "G1: {first:?} and {second:?} overlap");
            }
        }
        Ok(())
    }

    /// G3: once anyone has a result it is published, and no join that begins later may get it. G9: nor may one that
    /// begins after its key was forgotten, if the work ran before.
    fn answers_are_of_live_flights(&self) -> Result<(), TestCaseError> {
        for (call, execution, _) in self.answered() {
            let published = self.answered().filter(|(_, other, _)| *other == execution).map(|(_, _, end)| end).min();
            prop_assert!(published.is_none_or(|published| call.begin < published), "G3: {call:?} got a stale answer");
            let begun = self.executions[execution].begin;
            let forgotten = self
                .forgets
                .iter()
                .any(|forget| forget.key == call.key && begun < forget.begin && forget.end < call.begin);
            prop_assert!(!forgotten, "G9: {call:?} boarded a forgotten flight");
        }
        Ok(())
    }

    /// G2, G10: work is dropped before its end only where that is the policy, and never when anyone was answered by it.
    fn undisturbed_work_is_never_dropped(&self) -> Result<(), TestCaseError> {
        for execution in &self.executions {
            prop_assert!(!execution.dropped || self.on_abandon == OnAbandon::Abort, "G2: {execution:?} was dropped");
        }
        for (call, execution, _) in self.answered() {
            prop_assert!(!self.executions[execution].dropped, "{call:?} was answered by dropped work");
        }
        Ok(())
    }
}

async fn until_quiet(handle: &Flights) -> Stats {
    loop {
        let stats = handle.stats().await.unwrap();
        if stats.flights == 0 && stats.waiters == 0 {
            return stats;
        }
        yield_now().await;
    }
}

fn play(workers: usize, shards: usize, on_abandon: OnAbandon, scripts: Vec<Vec<Action>>) -> Result<(), TestCaseError> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
    let log = Arc::new(Log::default());
    let stats = runtime.block_on(async {
        let coalescer = Coalescer::builder().shards(shards).on_abandon(on_abandon).build().unwrap();
        let handle: Flights = coalescer.handle();
        let callers: Vec<_> =
            scripts.into_iter().map(|script| tokio::spawn(caller(handle.clone(), Arc::clone(&log), script))).collect();
        let everyone = async {
            for caller in callers {
                caller.await.expect("no panic reaches a caller");
            }
            until_quiet(&handle).await
        };
        tokio::time::timeout(Duration::from_secs(30), everyone).await
    });
    let stats = stats.map_err(|_| TestCaseError::fail("G5: somebody is still waiting"))?;
    // Dropping the runtime ends what an abort may still be dropping.
    drop(runtime);

    let take = |what: &str| TestCaseError::fail(format!("{what} is still shared"));
    let log = Arc::into_inner(log).ok_or_else(|| take("the log"))?;
    let checker = Checker {
        on_abandon,
        calls: log.calls.into_inner().unwrap(),
        executions: log.executions.into_inner().unwrap(),
        forgets: log.forgets.into_inner().unwrap(),
    };
    checker.check()?;
    prop_assert_eq!(log.values_alive.into_inner(), 0, "G6: a value outlived its callers");
    prop_assert!(stats.executions >= checker.executions.len() as u64, "G14: more ran than was counted");
    prop_assert_eq!(stats.joins, stats.executions + stats.coalesced + stats.rejections, "G14");
    if on_abandon == OnAbandon::Finish {
        prop_assert_eq!(stats.executions, checker.executions.len() as u64, "G14: less ran than was counted");
    }
    Ok(())
}

/// How many schedules to play; `PROPTEST_CASES` asks for more.
fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_000)))]

    #[test]
    fn one_execution_per_key_and_window_whatever_callers_do(
        workers in 1..=4_usize,
        shards in 1..=3_usize,
        abort in any::<bool>(),
        scripts in prop::collection::vec(prop::collection::vec(action(), 1..12), 1..24),
    ) {
        let on_abandon = if abort { OnAbandon::Abort } else { OnAbandon::Finish };
        play(workers, shards, on_abandon, scripts)?;
    }
}

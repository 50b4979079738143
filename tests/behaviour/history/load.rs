//! Plays a plan and hands over the log.

use std::{
    sync::{
        Arc,
        atomic::Ordering::SeqCst,
        mpsc::{self as std_mpsc, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use shardflight::{Coalescer, Stats};
use tokio::{
    runtime::{self, Runtime},
    sync::mpsc,
    task::yield_now,
    time::{sleep, timeout},
};

use super::{
    callers::{Flights, blocking_caller, caller, overdue},
    log::Log,
    plan::{Finish, Plan},
    record::{Executions, History, Quiet, Rules},
};

/// Generous: a round takes a second at most. Only a hang takes so long.
const LIMIT: Duration = Duration::new(60, 0);

pub(super) struct Played {
    pub(super) history: History,
    /// At rest, where the coalescer was there to be asked.
    pub(super) stats: Option<Stats>,
    /// Values that outlived everything; only known if everything has ended.
    pub(super) values_alive: Option<usize>,
}

fn workers(threads: usize) -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime")
}

fn build(rules: &Rules, shards: usize) -> Coalescer<u8, super::callers::WorkOutput> {
    let builder = Coalescer::builder()
        .shards(shards)
        .on_abandon(rules.on_abandon)
        .on_expiry(rules.on_expiry)
        // However long this machine stalls.
        .abort_grace(Duration::MAX)
        .max_waiters_per_flight(rules.max_waiters)
        .max_flights(rules.max_flights);
    let builder = match rules.deadline {
        Some(limit) => builder.max_flight_duration(limit),
        None => builder.no_flight_deadline(),
    };
    let builder = match rules.executions {
        Some(Executions { most, max_queued, .. }) => builder.max_executions(most).max_queued(max_queued),
        None => builder,
    };
    let builder = match rules.executions.and_then(|executions| executions.queue_timeout) {
        Some(limit) => builder.queue_timeout(limit),
        None => builder,
    };
    builder.build().expect("inside a runtime")
}

/// Resolves when all callers are through, tasks and threads. Only they hold a sender.
type Through = mpsc::Receiver<()>;

fn start(plan: &Plan, handle: &Flights, log: &Arc<Log>, callers: &Runtime) -> Through {
    let (sender, through) = mpsc::channel(1);
    for script in plan.callers.clone() {
        let (caller, sender) = (caller(handle.clone(), Arc::clone(log), script), sender.clone());
        callers.spawn(async move {
            caller.await;
            drop(sender);
        });
    }
    for script in plan.threads.clone() {
        let (handle, log, sender) = (handle.clone(), Arc::clone(log), sender.clone());
        thread::spawn(move || {
            blocking_caller(&handle, &log, script);
            drop(sender);
        });
    }
    through
}

/// Each shard answers for itself, and work of one that is asked late may join a key of one that was asked before. So it
/// takes two looks with nothing under way and no join in between.
async fn until_quiet(handle: &Flights) -> Option<Stats> {
    let mut joins = None;
    loop {
        let stats = handle.stats().await.ok()?;
        let quiet = [stats.flights, stats.lingering, stats.executing, stats.queue_len] == [0; 4];
        if quiet && joins == Some(stats.joins) {
            return Some(stats);
        }
        joins = quiet.then_some(stats.joins);
        yield_now().await;
    }
}

/// Measures how long the machine keeps a ready thread waiting.
struct Stalls {
    stop: Sender<()>,
    thread: JoinHandle<Duration>,
}

impl Stalls {
    fn measure() -> Self {
        const PAUSE: Duration = Duration::from_millis(2);
        let (stop, stopped) = std_mpsc::channel();
        let thread = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            loop {
                let begun = Instant::now();
                let is_over = stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
                longest = longest.max(begun.elapsed().saturating_sub(PAUSE));
                if is_over {
                    return longest;
                }
            }
        });
        Self { stop, thread }
    }

    fn longest(self) -> Duration {
        drop(self.stop);
        self.thread.join().expect("no panic")
    }
}

/// All of one round. Never hangs: a caller that still waits at the limit is in the log without an answer.
pub(super) fn play(plan: &Plan) -> Played {
    let (log, home, away) = (Log::new(), workers(plan.workers), workers(2));
    let stalls = Stalls::measure();
    let (coalescer, handle) = home.block_on(async {
        let coalescer = build(&plan.rules, plan.shards);
        let handle = coalescer.handle();
        (coalescer, handle)
    });
    let on_time = !plan.overdue_first || home.block_on(async { timeout(LIMIT, overdue(&handle, &log)).await.is_ok() });
    let callers = if matches!(plan.finish, Finish::RuntimeGone { .. }) { &away } else { &home };
    let mut through = start(plan, &handle, &log, callers);
    let (mut stats, mut quiet, mut home) = (None, Quiet::Unasked, Some(home));
    match plan.finish {
        Finish::Quiet => {}
        Finish::Shutdown { after, grace } => away.block_on(async {
            sleep(after).await;
            log.close();
            // A shutdown that hangs leaves callers without an answer, or is none of theirs.
            let _ = timeout(LIMIT, coalescer.shutdown(grace)).await;
        }),
        Finish::RuntimeGone { after } => {
            away.block_on(async { sleep(after).await });
            log.close();
            home.take().into_iter().for_each(|home| home.shutdown_timeout(LIMIT));
        }
    }
    let all_through = on_time && away.block_on(async { timeout(LIMIT, through.recv()).await.is_ok() });
    if let (true, Finish::Quiet) = (all_through, plan.finish) {
        stats = away.block_on(async { timeout(LIMIT, until_quiet(&handle)).await.ok().flatten() });
        quiet = if stats.is_some() { Quiet::Since(log.now()) } else { Quiet::Never };
        log.close();
    }
    drop((coalescer, handle));
    let history = if all_through {
        // Ends what an abort may still be dropping.
        home.into_iter().chain([away]).for_each(|runtime| runtime.shutdown_timeout(LIMIT));
        // A thread of the crate's own may have the last values in hand, which no runtime's end waits for.
        let deadline = Instant::now() + LIMIT;
        while log.values_alive.load(SeqCst) > 0 && Instant::now() < deadline {
            thread::yield_now();
        }
        log.history(plan.rules.clone(), quiet, stalls.longest())
    } else {
        let history = log.history(plan.rules.clone(), quiet, stalls.longest());
        home.into_iter().chain([away]).for_each(Runtime::shutdown_background);
        history
    };
    Played { history, stats, values_alive: all_through.then(|| log.values_alive.load(SeqCst)) }
}

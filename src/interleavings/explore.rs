//! Running a scenario under many schedules, or again under one.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId},
};

use super::SCENARIOS;
use crate::sync::messages_queued;

/// Of all scenarios together, unless `SHARDFLIGHT_SCHEDULES` says otherwise.
const SCHEDULES: usize = 200_000;

/// After how many schedules of one run it is said that it goes on.
const PROGRESS: usize = 100_000;

/// How many times at most a schedule by priority departs from the order of its tasks' priorities.
const PREEMPTIONS: usize = 4;

/// After how many steps on average tasks are switched where that is seldom.
const RUN: usize = 12;

/// How many steps a task waits at most where priorities alone decide.
const MAX_WAIT: usize = 300;

/// More steps than any scenario takes: it goes round in circles.
const STEPS: usize = 20_000;

/// A third of the scenario's share of schedules under each scheduler.
pub(super) fn explore(name: &'static str, scenario: fn()) {
    if let Ok(schedule) = env::var("SHARDFLIGHT_REPLAY") {
        run(name, "replayed", ReplayScheduler::new_from_encoded(&schedule), scenario);
        return;
    }
    let schedules = env::var("SHARDFLIGHT_SCHEDULES").map_or(SCHEDULES, |all| all.parse().expect("a number"));
    let each = schedules.div_ceil(3 * SCENARIOS);
    let began = Instant::now();
    let random = run(name, "random", RandomScheduler::new(each), scenario);
    let seldom = Seldom { scheduler: RandomScheduler::new(each), random: fastrand::Rng::new() };
    let seldom = run(name, "seldom", seldom, scenario);
    let by_priority = run(name, "by priority", Fair::new(PctScheduler::new(PREEMPTIONS, each)), scenario);
    let took = began.elapsed();
    println!(
        "{name}: at random {random}, seldom {seldom}, by priority {by_priority} (schedules/with queued messages), {took:.1?}"
    );
}

/// How many schedules were run.
pub(super) struct Count {
    pub(super) schedules: usize,
    /// Those in which a message found its shard out.
    queued: usize,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.schedules, self.queued)
    }
}

/// If a schedule fails, its number is printed, beside what Shuttle prints.
pub(super) fn run(
    name: &'static str,
    kind: &'static str,
    scheduler: impl Scheduler + 'static,
    scenario: impl Fn() + Send + Sync + 'static,
) -> Count {
    let mut config = Config::new();
    // Its default is tight for builds without optimisation.
    config.stack_size = 0x4_0000;
    config.failure_persistence = FailurePersistence::Print;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    let counts = Counts { name, kind, schedules: Arc::default(), queued: Arc::default() };
    let (counted, queued) = (Arc::clone(&counts.schedules), Arc::clone(&counts.queued));
    Runner::new(scheduler, config).run(move || {
        let before = counted.fetch_add(1, Ordering::Relaxed);
        if before > 0 && before.is_multiple_of(PROGRESS) {
            println!("{name}: {before} schedules");
        }
        messages_queued();
        scenario();
        queued.fetch_add(usize::from(messages_queued() > 0), Ordering::Relaxed);
    });
    Count { schedules: counts.schedules.load(Ordering::Relaxed), queued: counts.queued.load(Ordering::Relaxed) }
}

struct Counts {
    name: &'static str,
    kind: &'static str,
    schedules: Arc<AtomicUsize>,
    queued: Arc<AtomicUsize>,
}

impl Drop for Counts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}: schedule {} failed ({})", self.name, self.schedules.load(Ordering::Relaxed), self.kind);
        }
    }
}

/// At random, but seldom: most messages find their shard in its cell.
#[derive(Debug)]
struct Seldom {
    scheduler: RandomScheduler,
    random: fastrand::Rng,
}

impl Scheduler for Seldom {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.scheduler.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let goes_on = !is_yielding && self.random.usize(..RUN) > 0;
        let current = current.filter(|&current| goes_on && runnable.iter().any(|task| task.id() == current));
        current.or_else(|| self.scheduler.next_task(runnable, None, false))
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}

/// By priority, but not for ever: where tasks of low priority have waited for long, those that run count as yielding. Some
/// polls are repeated until another task has moved on.
#[derive(Debug)]
struct Fair {
    scheduler: PctScheduler,
    step: usize,
    /// By task: the step until which it has been waiting, and since when.
    waiting: Vec<(usize, usize)>,
}

impl Fair {
    fn new(scheduler: PctScheduler) -> Self {
        Self { scheduler, step: 0, waiting: Vec::new() }
    }

    /// Whether a task has waited for longer than it may.
    fn is_unfair(&mut self, runnable: &[&Task]) -> bool {
        self.step += 1;
        let mut longest = 0;
        for task in runnable {
            let number = usize::from(task.id());
            if number >= self.waiting.len() {
                self.waiting.resize(number + 1, (0, 0));
            }
            let (until, since) = &mut self.waiting[number];
            if *until != self.step - 1 {
                *since = self.step;
            }
            *until = self.step;
            longest = longest.max(self.step - *since);
        }
        longest > MAX_WAIT
    }
}

impl Scheduler for Fair {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.step = 0;
        self.waiting.clear();
        self.scheduler.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let is_unfair = self.is_unfair(runnable);
        let next = self.scheduler.next_task(runnable, current, is_yielding || is_unfair)?;
        self.waiting[usize::from(next)] = (0, 0);
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}

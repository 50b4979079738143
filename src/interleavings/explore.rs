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
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler},
};

use super::SCENARIOS;

/// Of all scenarios together, unless `SHARDFLIGHT_SCHEDULES` says otherwise.
const SCHEDULES: usize = 200_000;

/// After how many schedules of one run it is said that it goes on.
const PROGRESS: usize = 100_000;

/// How many times at most a schedule of the second kind turns from the order of its tasks' priorities.
const TURNS: usize = 4;

/// Half of the scenario's share of schedules under either scheduler.
pub(super) fn explore(name: &'static str, scenario: fn()) {
    if let Ok(schedule) = env::var("SHARDFLIGHT_REPLAY") {
        run(name, "replayed", ReplayScheduler::new_from_encoded(&schedule), scenario);
        return;
    }
    let schedules = env::var("SHARDFLIGHT_SCHEDULES").map_or(SCHEDULES, |all| all.parse().expect("a number"));
    let each = schedules.div_ceil(2 * SCENARIOS);
    let began = Instant::now();
    let random = run(name, "random", RandomScheduler::new(each), scenario);
    let pct = run(name, "by priority", PctScheduler::new(TURNS, each), scenario);
    println!("{name}: {random} random schedules, {pct} by priority, {:.1?}", began.elapsed());
}

/// How many schedules there were. Should one fail, it is said which.
pub(super) fn run(
    name: &'static str,
    kind: &'static str,
    scheduler: impl Scheduler + 'static,
    scenario: impl Fn() + Send + Sync + 'static,
) -> usize {
    let mut config = Config::new();
    // Its default is tight for builds without optimisation.
    config.stack_size = 0x4_0000;
    config.failure_persistence = FailurePersistence::Print;
    let counted = Arc::new(AtomicUsize::new(0));
    let _count = Count { name, kind, schedules: Arc::clone(&counted) };
    Runner::new(scheduler, config).run(move || {
        let before = counted.fetch_add(1, Ordering::Relaxed);
        if before > 0 && before.is_multiple_of(PROGRESS) {
            println!("{name}: {before} schedules");
        }
        scenario();
    })
}

struct Count {
    name: &'static str,
    kind: &'static str,
    schedules: Arc<AtomicUsize>,
}

impl Drop for Count {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}: schedule {} failed ({})", self.name, self.schedules.load(Ordering::Relaxed), self.kind);
        }
    }
}

//! Every state that a small world can come to.
//!
//! `cargo test --release --lib every_reachable_state -- --nocapture` prints how many there are.

use std::{
    collections::HashSet,
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use super::{Move, OnAbandon::Abort, OnExpiry::Detach, Setting, Trial};

struct Explored {
    states: usize,
    steps: u64,
    deepest: usize,
}

/// One state on the way from the first to where we are, and the moves that are still to be tried from it.
struct Fork<'a> {
    trial: Trial<'a>,
    untried: Vec<Move>,
    came_by: Option<Move>,
}

/// Goes everywhere, depth first. Panics with the moves that led to it if the judge finds anything.
fn explore(setting: &Setting) -> Explored {
    let start = Trial::new(setting);
    let mut seen = HashSet::from([start.fingerprint()]);
    let mut explored = Explored { states: 1, steps: 0, deepest: 0 };
    let mut path = vec![Fork { untried: start.moves(), trial: start, came_by: None }];
    while let Some(fork) = path.last_mut() {
        let Some(chosen) = fork.untried.pop() else {
            path.pop();
            continue;
        };
        let mut trial = fork.trial.clone();
        explored.steps += 1;
        if let Err(objection) = trial.make(chosen) {
            let moves: Vec<_> = path.iter().filter_map(|fork| fork.came_by).chain([chosen]).collect();
            panic!("{objection}\nin {setting:?}\nafter {moves:#?}");
        }
        if seen.insert(trial.fingerprint()) {
            explored.states += 1;
            path.push(Fork { untried: trial.moves(), trial, came_by: Some(chosen) });
            explored.deepest = explored.deepest.max(path.len() - 1);
        }
    }
    explored
}

/// Worlds beside each other share nothing but the machine's memory.
fn explore_all(settings: &[Setting], threads: usize) -> usize {
    println!("{:<44} {:>10} {:>11} {:>8} {:>7}", "world", "states", "steps", "deepest", "s");
    let (next, total) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let explore_next = || {
        while let Some(setting) = settings.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let Explored { states, steps, deepest } = explore(setting);
            let seconds = begun.elapsed().as_secs_f64();
            println!("{:<44} {states:>10} {steps:>11} {deepest:>8} {seconds:>7.1}", setting.name);
            total.fetch_add(states, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(explore_next);
        }
        explore_next();
    });
    let total = total.into_inner();
    println!("{:<44} {total:>10}", "in all");
    total
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Small enough for every test run.
fn worlds() -> Vec<Setting> {
    let world = Setting::new;
    let late = Setting { deadline: Some(1), ticks: 2, ..world("", 2, 1) };
    vec![
        Setting { queues: true, delays: true, on_abandon: Abort, ..world("two callers", 2, 1) },
        Setting { fails: true, ends: true, ..world("ends", 3, 1) },
        Setting { ends: true, queues: true, on_abandon: Abort, ..world("ends, abort", 2, 1) },
        Setting { forgets: 1, queues: true, on_abandon: Abort, ..world("forgetting, abort", 2, 1) },
        Setting { one_hash: true, on_abandon: Abort, ..world("two keys of one hash, abort", 3, 2) },
        Setting { max_waiters: 1, max_flights: 1, forgets: 1, ..world("caps of one", 3, 2) },
        Setting { max_waiters: 2, queues: true, on_abandon: Abort, ..world("two waiters at most, abort", 3, 1) },
        Setting { delays: true, queues: true, name: "deadline", ..late.clone() },
        Setting { on_expiry: Detach, on_abandon: Abort, name: "deadline, detach, abort", ..late.clone() },
        Setting { renewals: 1, delays: true, queues: true, ..world("renewals", 2, 1) },
        Setting { in_place: true, queues: true, on_abandon: Abort, ..world("in place, abort", 2, 1) },
        Setting { nested: true, on_abandon: Abort, ..world("work that joins, abort", 4, 3) },
        Setting { on_abandon: Abort, ..world("slots that are moved", 7, 1) },
        Setting { fresh: true, on_abandon: Abort, ..world("fresh, abort", 3, 1) },
        Setting { fresh: true, deadline: Some(1), ticks: 3, name: "fresh, deadline", ..late.clone() },
        Setting { fresh: true, on_expiry: Detach, name: "fresh, detach", ..late.clone() },
        Setting { extensions: 2, longest: 3, ticks: 4, forgets: 1, name: "extended", ..late.clone() },
        Setting { extensions: 2, longest: 2, ticks: 3, on_expiry: Detach, name: "extended, detach", ..late.clone() },
        Setting { grace: 2, ticks: 3, on_abandon: Abort, forgets: 1, ..world("grace, abort, forgetting", 3, 1) },
        Setting { grace: 0, on_abandon: Abort, fresh: true, name: "no grace", ..late.clone() },
        Setting { admits: true, forgets: 1, ..world("admission", 3, 1) },
        Setting { admits: true, fails: true, ends: true, queues: true, ..world("admission, ends", 2, 1) },
        Setting {
            admits: true,
            fresh: true,
            in_place: true,
            on_abandon: Abort,
            ..world("admission, fresh, abort", 3, 1)
        },
        Setting { admits: true, fresh: true, on_expiry: Detach, name: "admission, detach", ..late },
    ]
}

/// Larger ones.
fn wide_worlds() -> Vec<Setting> {
    let world = Setting::new;
    let both = Setting { queues: true, delays: true, ..world("", 3, 1) };
    let late = Setting { deadline: Some(1), ticks: 2, ..both.clone() };
    let everything = Setting { fails: true, ends: true, forgets: 1, ..world("", 3, 2) };
    let capped = Setting { one_hash: true, max_waiters: 2, max_flights: 2, ..everything.clone() };
    let nested = Setting { nested: true, on_abandon: Abort, ..world("", 3, 2) };
    vec![
        Setting { on_abandon: Abort, forgets: 1, name: "both ways, abort, forgetting", ..both.clone() },
        Setting { renewals: 2, name: "both ways, renewals", ..both.clone() },
        Setting { callers: 4, on_abandon: Abort, name: "both ways, four callers, abort", ..both.clone() },
        Setting { fails: true, ends: true, on_abandon: Abort, name: "both ways, ends, abort", ..both.clone() },
        Setting { in_place: true, on_abandon: Abort, name: "both ways, in place, abort", ..both.clone() },
        Setting { queues: true, fails: false, name: "everything, capped", ..capped },
        Setting { on_abandon: Abort, delays: true, name: "everything, abort", ..everything },
        Setting { name: "deadline", ..late.clone() },
        Setting { on_expiry: Detach, name: "deadline, detach", ..late.clone() },
        Setting { on_expiry: Detach, delays: false, keys: 2, name: "deadline, detach, two keys", ..late.clone() },
        Setting { in_place: true, ends: true, delays: false, name: "deadline, in place", ..late.clone() },
        Setting { queues: true, name: "work that joins, both ways, abort", ..nested.clone() },
        Setting { queues: true, in_place: true, name: "work that joins, in place, abort", ..nested.clone() },
        Setting { callers: 5, keys: 3, name: "work that joins, five callers, abort", ..nested.clone() },
        Setting { fresh: true, name: "work that joins, fresh, abort", ..nested },
        Setting {
            fresh: true,
            forgets: 1,
            on_abandon: Abort,
            name: "fresh, both ways, abort, forgetting",
            ..both.clone()
        },
        Setting { fresh: true, in_place: true, name: "fresh, both ways, in place", ..both.clone() },
        Setting { fresh: true, ends: true, fails: true, delays: false, name: "fresh, both ways, ends", ..both.clone() },
        Setting {
            fresh: true,
            ticks: 3,
            delays: false,
            on_abandon: Abort,
            name: "fresh, deadline, abort",
            ..late.clone()
        },
        Setting { fresh: true, delays: false, on_expiry: Detach, name: "fresh, deadline, detach", ..late.clone() },
        Setting { callers: 2, extensions: 2, longest: 3, ticks: 4, name: "extended, both ways", ..late.clone() },
        Setting {
            extensions: 1,
            longest: 2,
            ticks: 3,
            queues: false,
            delays: false,
            fresh: true,
            on_abandon: Abort,
            name: "extended, fresh, abort",
            ..late.clone()
        },
    ]
}

/// As large as memory and an hour allow.
fn vast_worlds() -> Vec<Setting> {
    let world = Setting::new;
    let everything = Setting { fails: true, ends: true, forgets: 1, deadline: Some(1), ticks: 2, ..world("", 3, 2) };
    let both = Setting { queues: true, delays: true, ..world("", 3, 1) };
    vec![
        Setting { on_abandon: Abort, delays: true, name: "everything, abort, deadline", ..everything.clone() },
        Setting { on_expiry: Detach, name: "everything, detach", ..everything.clone() },
        Setting { queues: true, on_expiry: Detach, fails: false, ends: false, name: "late, both ways", ..everything },
        Setting { in_place: true, ends: true, fails: true, renewals: 1, name: "in place, ends, renewals", ..both },
        Setting { nested: true, queues: true, on_abandon: Abort, ..world("work that joins, four callers", 4, 2) },
    ]
}

#[test]
fn every_reachable_state_of_small_worlds_is_lawful() {
    assert!(explore_all(&worlds(), cores()) > 50_000);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes a minute in a release build, and many in a debug one")]
fn every_reachable_state_of_wider_worlds_is_lawful() {
    assert!(explore_all(&wide_worlds(), cores()) > 5_000_000);
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn every_reachable_state_of_vast_worlds_is_lawful() {
    assert!(explore_all(&vast_worlds(), 1) > 10_000_000);
}

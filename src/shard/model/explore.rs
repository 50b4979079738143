//! Every state that a small world can come to.
//!
//! `cargo test --release --lib every_reachable_state -- --nocapture` prints how many there are.

use std::{collections::HashSet, time::Instant};

use super::{Move, OnAbandon::Abort, OnExpiry::Detach, Setting, Trial};

struct Explored {
    states: usize,
    steps: u64,
    deepest: usize,
}

/// One state on the way from the first to where we are, and the ways on from it that are still to be tried.
struct Fork<'a> {
    trial: Trial<'a>,
    untried: Vec<Move>,
    came_by: Option<Move>,
}

/// Goes everywhere, depth first. Panics with the way that led to it if the judge finds anything.
fn explore(setting: &Setting) -> Explored {
    let start = Trial::new(setting);
    let mut seen = HashSet::from([start.fingerprint()]);
    let mut explored = Explored { states: 1, steps: 0, deepest: 0 };
    let mut way = vec![Fork { untried: start.moves(), trial: start, came_by: None }];
    while let Some(fork) = way.last_mut() {
        let Some(chosen) = fork.untried.pop() else {
            way.pop();
            continue;
        };
        let mut trial = fork.trial.clone();
        explored.steps += 1;
        if let Err(objection) = trial.make(chosen) {
            let moves: Vec<_> = way.iter().filter_map(|fork| fork.came_by).chain([chosen]).collect();
            panic!("{objection}\nin {setting:?}\nafter {moves:#?}");
        }
        if seen.insert(trial.fingerprint()) {
            explored.states += 1;
            way.push(Fork { untried: trial.moves(), trial, came_by: Some(chosen) });
            explored.deepest = explored.deepest.max(way.len() - 1);
        }
    }
    explored
}

fn explore_all(settings: &[Setting]) -> usize {
    println!("{:<44} {:>10} {:>11} {:>8} {:>7}", "world", "states", "steps", "deepest", "s");
    let mut total = 0;
    for setting in settings {
        let begun = Instant::now();
        let Explored { states, steps, deepest } = explore(setting);
        let seconds = begun.elapsed().as_secs_f64();
        println!("{:<44} {states:>10} {steps:>11} {deepest:>8} {seconds:>7.1}", setting.name);
        total += states;
    }
    println!("{:<44} {total:>10}", "in all");
    total
}

/// Small enough for every test run.
fn worlds() -> Vec<Setting> {
    let world = Setting::new;
    vec![
        Setting { fails: true, ends: true, ..world("one key", 3, 1) },
        Setting { fails: true, on_abandon: Abort, ..world("one key, abort", 3, 1) },
        Setting { forgets: 1, on_abandon: Abort, ..world("forgetting, abort", 3, 1) },
        Setting { one_hash: true, on_abandon: Abort, ..world("two keys of one hash, abort", 3, 2) },
        Setting { max_waiters: 1, max_flights: 1, forgets: 1, ..world("caps of one", 3, 2) },
        Setting { max_waiters: 2, on_abandon: Abort, ..world("two waiters at most, abort", 3, 1) },
        Setting { deadline: Some(1), ticks: 2, ..world("deadline", 3, 1) },
        Setting {
            deadline: Some(1),
            ticks: 2,
            on_expiry: Detach,
            on_abandon: Abort,
            ..world("deadline, detach", 2, 1)
        },
        Setting { nested: true, ..world("work that joins", 3, 2) },
    ]
}

/// Larger ones.
fn wide_worlds() -> Vec<Setting> {
    let world = Setting::new;
    let everything = Setting { fails: true, ends: true, forgets: 1, ..world("", 3, 2) };
    vec![
        Setting { one_hash: true, max_waiters: 2, max_flights: 2, name: "everything, capped", ..everything.clone() },
        Setting { on_abandon: Abort, name: "everything, abort", ..everything },
        Setting { nested: true, on_abandon: Abort, ..world("work that joins, abort", 3, 2) },
        Setting { forgets: 2, on_abandon: Abort, ..world("four callers, forgetting, abort", 4, 1) },
        Setting { deadline: Some(1), ticks: 2, forgets: 1, ..world("deadline, forgetting", 3, 2) },
        Setting {
            deadline: Some(1),
            ticks: 2,
            on_expiry: Detach,
            forgets: 1,
            ..world("deadline, detach, forgetting", 3, 2)
        },
    ]
}

/// As large as memory and an hour allow.
fn vast_worlds() -> Vec<Setting> {
    let world = Setting::new;
    let everything = Setting { fails: true, ends: true, forgets: 1, deadline: Some(1), ticks: 2, ..world("", 3, 2) };
    vec![
        Setting { on_abandon: Abort, name: "everything, abort, deadline", ..everything.clone() },
        Setting { on_expiry: Detach, name: "everything, detach", ..everything },
        Setting { nested: true, on_abandon: Abort, ..world("four callers, work that joins, abort", 4, 2) },
    ]
}

#[test]
fn every_reachable_state_of_small_worlds_is_lawful() {
    assert!(explore_all(&worlds()) > 10_000);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes a minute in a release build, and many in a debug one")]
fn every_reachable_state_of_wider_worlds_is_lawful() {
    assert!(explore_all(&wide_worlds()) >= 1_000_000);
}

#[test]
#[ignore = "takes minutes and gigabytes"]
fn every_reachable_state_of_vast_worlds_is_lawful() {
    assert!(explore_all(&vast_worlds()) >= 10_000_000);
}

//! A panic at every call of every function that a user supplies, one at a time (G5, G13).
//!
//! One scenario is played without a fault first, to count the calls; then again for each of them, with a panic at exactly
//! that call. No caller may hang, other keys are served meanwhile and afterwards, the gauges come back to zero, and only the
//! callers that the function belongs to see it.

mod faults;
mod scenario;

use std::io::Write as _;

use shardflight::{OnAbandon, OnExpiry};
use tokio::runtime;

use self::{
    faults::{Faults, Position},
    scenario::{check, play},
};
use crate::support::{in_a_child_process, limited};

/// On a thread of its own: a runtime can't be driven from inside another. The time limit is for one run.
fn run(faults: &Faults, on_abandon: OnAbandon, on_expiry: OnExpiry) -> Vec<(&'static str, scenario::Fate)> {
    let faults = faults.clone();
    let played = std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(limited(play(&faults, on_abandon, on_expiry)))
    });
    played.join().expect("the scenario ends")
}

fn every_position(on_abandon: OnAbandon, on_expiry: OnExpiry) {
    let calm = Faults::at(None);
    run(&calm, on_abandon, on_expiry);
    let calls = calm.calls();
    assert_eq!(calls.len(), 16, "not everything is called: {calls:?}");
    let positions = calls.into_iter().flat_map(|(function, calls)| (1..=calls).map(move |call| (function, call)));
    for position in positions {
        // Unbuffered: should the process end at this one, its parent reads here which it was.
        let _ = writeln!(std::io::stderr(), "{position:?}");
        has_no_consequences(position, on_abandon, on_expiry);
    }
}

fn has_no_consequences(position: Position, on_abandon: OnAbandon, on_expiry: OnExpiry) {
    let faults = Faults::at(Some(position));
    let fates = run(&faults, on_abandon, on_expiry);
    assert!(faults.fired(), "{position:?} was never reached");
    check(position, &fates);
}

#[test]
fn a_panic_at_any_call_is_contained_where_flights_are_cut_short() {
    in_a_child_process("hostile_positions::a_panic_at_any_call_is_contained_where_flights_are_cut_short", || async {
        every_position(OnAbandon::Abort, OnExpiry::Fail);
    });
}

#[test]
fn a_panic_at_any_call_is_contained_where_flights_run_on() {
    in_a_child_process("hostile_positions::a_panic_at_any_call_is_contained_where_flights_run_on", || async {
        every_position(OnAbandon::Finish, OnExpiry::Detach);
    });
}

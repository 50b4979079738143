//! Every interleaving of the smallest scenario.

use std::{convert::identity, time::Instant};

use shuttle::scheduler::{DfsScheduler, Schedule, Scheduler, Task, TaskId};

use super::{
    explore::run,
    fixture::{KEY, run_on},
    futures::{Gate, begun, pause},
};
use crate::sync::{Runtime, is_exploration_paused, pause_exploration};

/// The end of a flight, and its only caller's departure beside it.
fn a_caller_leaves_as_its_flight_ends() {
    run_on(Runtime::begin(false), 1, identity, async |fixture| {
        // Tasks take turns: the shard's actor has started after this, and sleeps.
        pause().await;
        let gate = Gate::default();
        let join = begun(fixture.join(KEY, gate.work()));
        // The actor has set its alarm, and the work waits at the gate.
        pause().await;
        pause().await;
        pause_exploration(false);
        gate.open();
        drop(join);
        pause_exploration(true);
        fixture.finish().await;
    });
}

/// Depth first, except where exploration is paused: there the tasks take turns, the same in every interleaving.
#[derive(Debug)]
struct DepthFirst(DfsScheduler);

impl Scheduler for DepthFirst {
    fn new_execution(&mut self) -> Option<Schedule> {
        // Each execution has to begin as the one before did.
        pause_exploration(true);
        self.0.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        if !is_exploration_paused() {
            return self.0.next_task(runnable, current, is_yielding);
        }
        let next =
            runnable.iter().find(|task| current.is_none_or(|current| usize::from(current) < usize::from(task.id())));
        next.or(runnable.first()).map(|task| task.id())
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[test]
#[ignore = "runs a million and a half interleavings, which takes half a minute"]
fn every_interleaving_of_a_caller_that_leaves_as_its_flight_ends() {
    let began = Instant::now();
    let scheduler = DepthFirst(DfsScheduler::new(None, false));
    let count = run("a_caller_leaves_as_its_flight_ends", "depth first", scheduler, a_caller_leaves_as_its_flight_ends);
    println!("a_caller_leaves_as_its_flight_ends: {count}, which are all, {:.1?}", began.elapsed());
}

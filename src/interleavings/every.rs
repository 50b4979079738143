//! Every interleaving of the smallest scenario.

use std::{convert::identity, time::Instant};

use shuttle::scheduler::{DfsScheduler, Schedule, Scheduler, Task, TaskId};

use super::{
    explore::run,
    scene::{Gate, KEY, begun, play},
};
use crate::host::{be_quiet, is_quiet};

/// The end of a flight, and its only caller leaving beside it.
fn a_caller_goes_as_its_flight_ends() {
    play(1, identity, async |scene| {
        // The shard has started and sleeps.
        scene.handle().stats().await.unwrap();
        let gate = Gate::default();
        let work = gate.clone();
        let join = begun(scene.join(KEY, move || work.pass()));
        // Its flight is under way.
        scene.handle().stats().await.unwrap();
        be_quiet(false);
        gate.open();
        drop(join);
        be_quiet(true);
        scene.finish().await;
    });
}

/// Depth first, but where it is quiet: there the tasks take turns, the same in every interleaving.
#[derive(Debug)]
struct Thorough(DfsScheduler);

impl Scheduler for Thorough {
    fn new_execution(&mut self) -> Option<Schedule> {
        // Before its story says so: each execution has to begin as the one before did.
        be_quiet(true);
        self.0.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        if !is_quiet() {
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
#[ignore = "goes through more than a million interleavings, which takes its time"]
fn every_interleaving_of_a_caller_that_goes_as_its_flight_ends() {
    let began = Instant::now();
    let scheduler = Thorough(DfsScheduler::new(None, false));
    let count = run("a_caller_goes_as_its_flight_ends", "depth first", scheduler, a_caller_goes_as_its_flight_ends);
    println!("a_caller_goes_as_its_flight_ends: all of its {count} interleavings, {:.1?}", began.elapsed());
}

//! Work whose future takes much of a thread's stack.

use std::{
    future::{Ready, ready},
    thread,
};

use shardflight::{Coalescer, RunWork};
use tokio::{runtime, task::yield_now};
use tracing::subscriber::set_global_default;
use tracing_subscriber::registry;

use crate::support::{in_a_child_process, limited};

/// A worker's stack, by default.
const STACK: usize = 2 << 20;

/// Unoptimised, `tokio::spawn` itself takes a future of some 900 KiB from such a stack and no larger one.
const FUTURE: usize = 800 << 10;

#[expect(clippy::large_stack_arrays, reason = "it is what is tested")]
async fn large_future() -> u8 {
    let mut room = [1_u8; FUTURE];
    yield_now().await;
    room[FUTURE / 2] = 7;
    yield_now().await;
    room[FUTURE / 2]
}

/// With the spans of flights around the work.
fn on_a_small_stack_traced(run_work: RunWork) -> Ready<()> {
    set_global_default(registry()).unwrap();
    on_a_small_stack(run_work, false)
}

fn on_a_small_stack(run_work: RunWork, bypassed: bool) -> Ready<()> {
    let joins = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(limited(async {
            let builder = Coalescer::<u8, u8>::builder().run_work(run_work);
            let handle = builder.rollout(if bypassed { 0.0 } else { 1.0 }).build().unwrap().handle();
            assert_eq!(handle.join(1, large_future).await.unwrap(), 7);
        }));
    };
    thread::Builder::new().stack_size(STACK).spawn(joins).unwrap().join().unwrap();
    ready(())
}

#[test]
fn large_work_runs_in_its_task() {
    in_a_child_process("large_work::large_work_runs_in_its_task", || on_a_small_stack(RunWork::Detached, false));
}

#[test]
fn large_work_runs_in_place() {
    in_a_child_process("large_work::large_work_runs_in_place", || on_a_small_stack(RunWork::InPlace, false));
}

#[test]
fn large_work_runs_in_its_task_and_span() {
    in_a_child_process("large_work::large_work_runs_in_its_task_and_span", || {
        on_a_small_stack_traced(RunWork::Detached)
    });
}

#[test]
fn large_work_runs_in_place_and_in_its_span() {
    in_a_child_process("large_work::large_work_runs_in_place_and_in_its_span", || {
        on_a_small_stack_traced(RunWork::InPlace)
    });
}

#[test]
fn large_work_runs_where_it_is_bypassed() {
    in_a_child_process("large_work::large_work_runs_where_it_is_bypassed", || {
        on_a_small_stack(RunWork::Detached, true)
    });
}

//! What [`sync`](crate::sync) consists of under Shuttle.
//!
//! Every stand-in is the real type with a scheduling point before each of its operations. The operations themselves are
//! atomic steps, as flume, oneshot, `AtomicWaker` and `quick_cache` promise of theirs: no task is interrupted in the middle of one, but
//! any other task may act before it.

mod actors;
mod atomics;
mod cells;
mod channels;
pub(crate) mod quick_cache;
mod runtime;
mod waker;

use std::cell::Cell as StdCell;

pub(crate) use shuttle::thread_local;

pub(crate) use self::{
    actors::Actors,
    atomics::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize},
    cells::{Cell, OnceLock},
    channels::{flume, messages_queued, oneshot},
    runtime::{
        Runtime, Sleep, has_many_workers, is_inside, is_thread_ending, now, off_the_workers, run_on_its_own_thread,
        sleep, sleep_until,
    },
    waker::AtomicWaker,
};

/// In place of the search for a runtime that has timers.
pub(crate) mod clock {
    use std::time::Duration;

    use super::{Runtime, Sleep, sleep};

    #[expect(clippy::unnecessary_wraps, reason = "the search that it stands in for can fail")]
    pub(crate) fn find(current: &Runtime) -> std::io::Result<Runtime> {
        Ok(current.clone())
    }

    #[expect(clippy::unnecessary_wraps, reason = "as above")]
    pub(crate) fn sleep_here(duration: Duration) -> Option<Sleep> {
        Some(sleep(duration))
    }

    pub(crate) const fn is_timekeeper() -> bool {
        false
    }

    pub(crate) fn sleep_anywhere(duration: Duration) -> Option<Sleep> {
        sleep_here(duration)
    }
}

/// A bound on work that is done at once, small enough that scenarios of a few tasks reach it.
pub(crate) const fn bound(_usual: usize, explored: usize) -> usize {
    explored
}

std::thread_local! {
    static PAUSED: StdCell<bool> = const { StdCell::new(false) };
}

/// Paused, tasks are switched only where one waits: for the beginning and the end of a scenario whose every interleaving
/// is explored, where all orders would be too many.
pub(crate) fn pause_exploration(paused: bool) {
    PAUSED.set(paused);
}

pub(crate) fn is_exploration_paused() -> bool {
    PAUSED.get()
}

/// Looks at the protocol's state in one step.
pub(crate) fn in_one_step<T>(look: impl FnOnce() -> T) -> T {
    let before = PAUSED.replace(true);
    let seen = look();
    PAUSED.set(before);
    seen
}

/// Any other task may act now.
///
/// An atomic of its own each time: Shuttle switches tasks before an access, whatever is accessed, and one that all tests
/// shared would be shared by their threads. Unlike a yield, it doesn't influence which task is next.
fn point() {
    if !PAUSED.get() {
        shuttle::sync::atomic::AtomicBool::new(false).load(std::sync::atomic::Ordering::SeqCst);
    }
}

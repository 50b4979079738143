//! What [`host`](crate::host) stands on under Shuttle.
//!
//! Every stand-in is the real thing with a scheduling point before each of its operations. The operations themselves
//! are atomic steps, which is what flume, oneshot and `AtomicWaker` promise of theirs: no task can be interrupted in the
//! middle of one, but any other may act before it.

mod atomics;
mod channels;
mod port;
mod waker;
mod world;

use std::cell::Cell;

pub(crate) use shuttle::thread_local;

pub(crate) use self::{
    atomics::{AtomicBool, AtomicUsize, Mutex},
    channels::{flume, oneshot},
    port::{Port, WeakPort},
    waker::AtomicWaker,
    world::{AbortHandle as Task, Runtime, Sleep, now, sleep, sleep_until},
};

/// In place of the search for a runtime that has timers.
pub(crate) mod timers {
    use super::Runtime;

    #[expect(clippy::unnecessary_wraps, reason = "the search that it stands in for can fail")]
    pub(crate) fn find(current: &Runtime) -> std::io::Result<Runtime> {
        Ok(current.clone())
    }
}

std::thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// From now on tasks are switched only where one waits, or again before every operation: for the ways into a scenario and
/// out of it, where going through all of the orders would be too much.
#[cfg(test)]
pub(crate) fn be_quiet(quiet: bool) {
    QUIET.set(quiet);
}

#[cfg(test)]
pub(crate) fn is_quiet() -> bool {
    QUIET.get()
}

/// Any other task may go first.
///
/// An atomic of its own each time: Shuttle switches tasks before an access, whatever is accessed, and one that all
/// tests shared would be shared by their threads. Unlike a yield, it says nothing about who should go.
fn point() {
    if !QUIET.get() {
        shuttle::sync::atomic::AtomicBool::new(false).load(std::sync::atomic::Ordering::SeqCst);
    }
}

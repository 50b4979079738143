//! Where timers come from.

use std::{cell::Cell, io, sync::OnceLock, thread, time::Duration};

use tokio::runtime::{Builder, Handle as Runtime, Id};

use crate::{
    sync::{Sleep, is_thread_ending, sleep},
    unwind,
};

/// A runtime that timers can be made on: this one if it was built with its timers, and so on its clock, which tests can
/// pause; otherwise one of our own, on a thread that all coalescers of that kind share.
pub(crate) fn find(runtime: &Runtime) -> io::Result<Runtime> {
    if has_timers(runtime) { Ok(runtime.clone()) } else { timekeeper() }
}

/// Whether the runtime was built with its timers. Tokio tells only by panicking where one is made.
fn has_timers(runtime: &Runtime) -> bool {
    let _inside = runtime.enter();
    unwind::catch(|| drop(sleep(Duration::ZERO))).is_ok()
}

thread_local! {
    static IS_TIMEKEEPER: Cell<bool> = const { Cell::new(false) };
    /// The last runtime of this thread that was found to have no timers, so that the panic hook hears of it once.
    static TIMERLESS: Cell<Option<Id>> = const { Cell::new(None) };
}

/// A caller's timer, which depends on no runtime but the caller's own: made on that, and so on its clock, if it has timers,
/// and otherwise [anywhere](sleep_anywhere).
pub(crate) fn sleep_here(duration: Duration) -> Option<Sleep> {
    let Ok(current) = Runtime::try_current() else { return sleep_anywhere(duration) };
    if TIMERLESS.get() == Some(current.id()) {
        return sleep_anywhere(duration);
    }
    unwind::catch(|| sleep(duration)).ok().or_else(|| {
        TIMERLESS.set(Some(current.id()));
        sleep_anywhere(duration)
    })
}

/// A timer on our own thread. `None` if that can't be started, and in the destructor of a thread-local, where Tokio makes no
/// timers.
pub(crate) fn sleep_anywhere(duration: Duration) -> Option<Sleep> {
    if is_thread_ending() {
        return None;
    }
    let timekeeper = timekeeper().ok()?;
    let _inside = timekeeper.enter();
    Some(sleep(duration))
}

/// Whether this thread is the one of the timers that are made anywhere.
pub(crate) fn is_timekeeper() -> bool {
    IS_TIMEKEEPER.try_with(Cell::get).unwrap_or(false)
}

fn timekeeper() -> io::Result<Runtime> {
    static TIMEKEEPER: OnceLock<Runtime> = OnceLock::new();
    if let Some(timekeeper) = TIMEKEEPER.get() {
        return Ok(timekeeper.clone());
    }
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let timers = runtime.handle().clone();
    thread::Builder::new().name("shardflight timers".to_owned()).spawn(move || {
        IS_TIMEKEEPER.set(true);
        runtime.block_on(std::future::pending::<()>());
    })?;
    // Of two that came at once, one keeps a thread that is never asked: it sleeps.
    Ok(TIMEKEEPER.get_or_init(|| timers).clone())
}

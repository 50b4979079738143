//! Where timers come from.

use std::{io, sync::OnceLock, thread, time::Duration};

use tokio::runtime::{Builder, Handle as Runtime};

use crate::unwind;

/// A runtime that timers can be made on: this one if it was built with its timers, and so on its clock, which tests can
/// pause; otherwise one of our own, on a thread that all coalescers of that kind share.
pub(crate) fn find(runtime: &Runtime) -> io::Result<Runtime> {
    if has_timers(runtime) { Ok(runtime.clone()) } else { timekeeper() }
}

/// Whether the runtime was built with its timers. Tokio tells only by panicking where one is made.
fn has_timers(runtime: &Runtime) -> bool {
    let _inside = runtime.enter();
    unwind::catch(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

fn timekeeper() -> io::Result<Runtime> {
    static TIMEKEEPER: OnceLock<Runtime> = OnceLock::new();
    if let Some(timekeeper) = TIMEKEEPER.get() {
        return Ok(timekeeper.clone());
    }
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let timers = runtime.handle().clone();
    thread::Builder::new().name("shardflight timers".to_owned()).spawn(move || {
        runtime.block_on(std::future::pending::<()>());
    })?;
    // Of two that came at once, one keeps a thread that is never asked: it sleeps.
    Ok(TIMEKEEPER.get_or_init(|| timers).clone())
}

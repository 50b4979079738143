//! The thread that a node's connection lives on.

use std::{sync::OnceLock, thread};

use tokio::{
    runtime::{Builder, Handle as Runtime},
    sync::oneshot,
};

/// A runtime of the crate's own, on a thread of its own, from the first flight until the node is gone. So neither work that blocks its
/// worker, nor a runtime that has no network or timers, whose clock is paused or that ends, holds up the renewals and the answers of
/// others. No code of the user's runs on it but a subscriber of tracing.
#[derive(Debug, Default)]
pub(super) struct Background(OnceLock<Option<Running>>);

#[derive(Debug)]
struct Running {
    runtime: Runtime,
    /// Its drop ends the thread, and whatever still runs on it.
    _stop: oneshot::Sender<()>,
}

impl Background {
    /// Starts it if need be. `None` if the system has no thread to give.
    pub(super) fn runtime(&self) -> Option<&Runtime> {
        self.0.get_or_init(start).as_ref().map(|running| &running.runtime)
    }
}

fn start() -> Option<Running> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        let _ = runtime.block_on(stopped);
        // Not to wait for a look-up of a host's name.
        runtime.shutdown_background();
    };
    thread::Builder::new().name("shardflight redis".to_owned()).spawn(run).ok()?;
    Some(Running { runtime: handle, _stop: stop })
}

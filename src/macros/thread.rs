//! Where the private coalescers of blocking functions live: their callers may have no runtime at all.

use std::{future::pending, sync::OnceLock, thread};

use tokio::runtime::{Builder, Handle};

/// A runtime that is driven by a thread of its own, and never ends.
///
/// # Panics
///
/// If the system has no thread for it.
pub(super) fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("shardflight-blocking")
            .build()
            .unwrap_or_else(|error| panic!("no runtime for blocking functions: {error}"));
        let handle = runtime.handle().clone();
        let driver = move || runtime.block_on(pending::<()>());
        thread::Builder::new()
            .name("shardflight".to_string())
            .spawn(driver)
            .unwrap_or_else(|error| panic!("no thread for blocking functions: {error}"));
        handle
    })
}

//! The dedicated runtime, for the private coalescers of blocking functions, whose callers may have no runtime.

use std::{future::pending, sync::OnceLock, thread};

use tokio::runtime::{Builder, Handle};

/// A runtime on a thread of its own, which runs as long as the process.
///
/// # Panics
///
/// Panics if the runtime or its thread can't be created.
pub(super) fn dedicated() -> &'static Handle {
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

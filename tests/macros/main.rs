//! Behaviour tests of `#[coalesce]`, one behaviour per test.
//!
//! No test sleeps to wait for something: gates hold work back, and conditions are awaited under a time limit. Each test has
//! functions of its own, as a function has one coalescer.

// Much of the work here stands in for work that awaits something.
#![allow(clippy::unused_async)]

#[path = "../behaviour/support.rs"]
#[allow(dead_code)]
mod support;

mod attributes;
mod blocking;
#[cfg(feature = "cache")]
mod caching;
mod companions;
mod context;
mod errors;
mod hygiene;
mod keys;
mod mapped_errors;
mod methods;
mod named;
mod results;
mod runtimes;
mod sharing;

use std::time::Instant;

use shardflight::Stats;
use tokio::task::yield_now;

use crate::support::LIMIT;

/// Waits until a function's coalescer has this number of waiters.
async fn waiting<F: Future<Output = Stats>>(waiters: usize, stats: impl Fn() -> F) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let stats = stats().await;
        if stats.waiters == waiters {
            return;
        }
        assert!(Instant::now() < deadline, "never came to {waiters} waiters; last seen: {stats:?}");
        yield_now().await;
    }
}

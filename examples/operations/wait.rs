//! Waiting with a limit.

use std::time::Duration;

use shardflight::{Handle, Stats};
use tokio::time::{Instant, sleep};

use crate::{Fallible, backend::Page};

/// Longer than anything here takes, short enough to wait for.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// A wait inside a scenario reports what was awaited, so it must time out first.
pub(crate) const SCENARIO_LIMIT: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_millis(1);

/// Polls the stats until they meet the condition. Then the shards have also processed everything that the stats count.
pub(crate) async fn until(
    handle: &Handle<String, Page>,
    awaited: &str,
    condition: impl Fn(&Stats) -> bool,
) -> Fallible<Stats> {
    let deadline = Instant::now() + WAIT_LIMIT;
    loop {
        let stats = handle.stats().await?;
        if condition(&stats) {
            return Ok(stats);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {WAIT_LIMIT:?} for {awaited}; instead: {stats:?}").into());
        }
        sleep(INTERVAL).await;
    }
}

/// Polls any other condition.
pub(crate) async fn eventually(awaited: &str, condition: impl Fn() -> bool) -> Fallible<()> {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !condition() {
        if Instant::now() > deadline {
            return Err(format!("waited {WAIT_LIMIT:?} for {awaited}").into());
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

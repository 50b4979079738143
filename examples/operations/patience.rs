//! Waiting, but not for ever.

use std::time::Duration;

use shardflight::{Handle, Stats};
use tokio::time::{Instant, sleep};

use crate::{Fallible, backend::Page};

/// Longer than anything here takes, short enough for whoever watches.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A wait inside an act knows better what was awaited, so it is to give up first.
pub(crate) const WHOLE_ACT: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_millis(1);

/// Looks at the numbers until they are as awaited. The answer is of use as a signal, too: the shards have seen whatever
/// the numbers count.
pub(crate) async fn until(
    handle: &Handle<String, Page>,
    awaited: &str,
    condition: impl Fn(&Stats) -> bool,
) -> Fallible<Stats> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stats = handle.stats().await?;
        if condition(&stats) {
            return Ok(stats);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {PATIENCE:?} for {awaited}; instead: {stats:?}").into());
        }
        sleep(INTERVAL).await;
    }
}

/// The same, for what isn't among the numbers.
pub(crate) async fn eventually(awaited: &str, condition: impl Fn() -> bool) -> Fallible<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return Err(format!("waited {PATIENCE:?} for {awaited}").into());
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

//! Waiting with a limit.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longer than anything here takes, short enough to wait for.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_millis(2);

/// Polls until the condition holds. `false` if it didn't within the limit.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + WAIT_LIMIT;
    while Instant::now() < deadline {
        if condition().await {
            return true;
        }
        sleep(INTERVAL).await;
    }
    false
}

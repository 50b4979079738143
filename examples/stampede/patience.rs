//! Waiting, but not for ever.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Longer than anything here takes, short enough for whoever watches.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_millis(2);

/// Asks until the answer is yes. False if it never was.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if condition().await {
            return true;
        }
        sleep(INTERVAL).await;
    }
    false
}

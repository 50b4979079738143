//! How long one reader waits for a load (`with_max_wait`).
//!
//! Not a limit of its join: what joins in a task of its own, such as a background load, isn't the reader's to limit.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll::{Pending, Ready},
    time::Duration,
};

use crate::join::WaitTimeout;

/// Polls a read to its end, or until the limit has passed since its first poll: the limit is then the error.
pub(super) async fn within<T>(limit: Option<Duration>, reading: impl Future<Output = T>) -> Result<T, Duration> {
    let mut timeout = WaitTimeout::new(limit, None);
    let mut reading = pin!(reading);
    poll_fn(|cx| match reading.as_mut().poll(cx) {
        Ready(read) => Ready(Ok(read)),
        Pending => WaitTimeout::poll(&mut timeout, cx).map(Err),
    })
    .await
}

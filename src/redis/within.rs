//! Time limits that hold on every runtime, those without timers included.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    task::Poll::{Pending, Ready},
    time::Duration,
};

use crate::join::WaitTimeout;

/// Polls a future to its end, or until the limit has passed since its first poll.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut timeout = WaitTimeout::new(Some(limit), None);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Ready(output) => Ready(Some(output)),
        Pending => WaitTimeout::poll(&mut timeout, cx).map(|_| None),
    })
    .await
}

pub(super) async fn pause(time: Duration) {
    within(time, pending::<()>()).await;
}

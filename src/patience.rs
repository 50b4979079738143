//! How long one caller waits.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    host::{Runtime, Sleep, sleep},
    panics::catch,
};

/// How long a caller waits, as its handle says.
pub(crate) struct Patience {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration, timers: &Runtime) -> Self {
        // The caller may be on another runtime, or none.
        let _inside = timers.enter();
        Self { limit, timer: Box::pin(sleep(limit)) }
    }

    /// Ready with the limit when it is over.
    pub(crate) fn poll(patience: &mut Option<Box<Self>>, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(waiting) = patience else { return Poll::Pending };
        match catch(|| waiting.timer.as_mut().poll(cx)) {
            Ok(polled) => polled.map(|()| waiting.limit),
            // The timer's runtime is going away, and its shards will answer before it is gone.
            Err(_) => {
                *patience = None;
                Poll::Pending
            }
        }
    }
}

//! How long one caller waits (`max_wait`), and since when.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::{
    sync::{Runtime, Sleep, sleep},
    unwind::catch,
};

/// How long a caller may wait, as its handle says, and since when it waits, if there is an observer. Most callers have
/// neither, which costs them a null pointer.
pub(crate) struct WaitTimeout {
    limit: Option<Limit>,
    since: Option<Instant>,
}

struct Limit {
    after: Duration,
    timer: Pin<Box<Sleep>>,
}

impl WaitTimeout {
    /// Inlined, so that having neither costs two checks.
    #[inline]
    pub(crate) fn new(limit: Option<Duration>, timers: &Runtime, since: Option<Instant>) -> Option<Box<Self>> {
        if limit.is_none() && since.is_none() { None } else { Some(Box::new(Self::of_either(limit, timers, since))) }
    }

    fn of_either(limit: Option<Duration>, timers: &Runtime, since: Option<Instant>) -> Self {
        let limit = limit.map(|after| {
            // The caller may be on another runtime, or none.
            let _inside = timers.enter();
            Limit { after, timer: Box::pin(sleep(after)) }
        });
        Self { limit, since }
    }

    pub(crate) fn since(timeout: Option<&Self>) -> Option<Instant> {
        timeout?.since
    }

    /// Ready with the limit when it is over.
    pub(crate) fn poll(timeout: &mut Option<Box<Self>>, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(Self { limit, .. }) = timeout.as_deref_mut() else { return Poll::Pending };
        let Some(Limit { after, timer }) = limit else { return Poll::Pending };
        match catch(|| timer.as_mut().poll(cx)) {
            Ok(polled) => polled.map(|()| *after),
            // The timer's runtime is shutting down, and its shards answer before it is gone.
            Err(_) => {
                *limit = None;
                Poll::Pending
            }
        }
    }
}

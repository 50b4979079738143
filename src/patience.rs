//! How long one caller waits.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::{
    host::{Runtime, Sleep, sleep},
    panics::catch,
};

/// How long a caller may wait, as its handle says, and since when it does, if somebody watches. Most callers have neither,
/// and nothing in their futures but the lack of it.
pub(crate) struct Patience {
    limit: Option<Limit>,
    since: Option<Instant>,
}

struct Limit {
    after: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    /// Inlined, so that to have neither is a look at each.
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

    pub(crate) fn since(patience: Option<&Self>) -> Option<Instant> {
        patience?.since
    }

    /// Ready with the limit when it is over.
    pub(crate) fn poll(patience: &mut Option<Box<Self>>, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(Self { limit, .. }) = patience.as_deref_mut() else { return Poll::Pending };
        let Some(Limit { after, timer }) = limit else { return Poll::Pending };
        match catch(|| timer.as_mut().poll(cx)) {
            Ok(polled) => polled.map(|()| *after),
            // The timer's runtime is going away, and its shards will answer before it is gone.
            Err(_) => {
                *limit = None;
                Poll::Pending
            }
        }
    }
}

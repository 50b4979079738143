//! How long one caller waits (`max_wait`), and since when.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::alarm::AlarmedSleep;
use crate::sync::{clock, now};

/// How long a caller may wait, as its handle says, and since when it waits, if there is an observer. Most callers have
/// neither, which costs them a null pointer.
pub(crate) struct WaitTimeout {
    limit: Option<Limit>,
    since: Option<Instant>,
}

struct Limit {
    after: Duration,
    /// `None` until the join is with its shard, or in its queue: only then the wait begins.
    timer: Option<Timer>,
}

struct Timer {
    began: Instant,
    /// `None` where no timer is to be had. The flight's own deadline still ends the wait.
    sleep: Option<AlarmedSleep>,
}

impl WaitTimeout {
    /// Inlined, so that having neither costs two checks.
    #[inline]
    pub(crate) fn new(limit: Option<Duration>, since: Option<Instant>) -> Option<Box<Self>> {
        if limit.is_none() && since.is_none() { None } else { Some(Box::new(Self::of_either(limit, since))) }
    }

    fn of_either(limit: Option<Duration>, since: Option<Instant>) -> Self {
        Self { limit: limit.map(|after| Limit { after, timer: None }), since }
    }

    pub(crate) fn since(timeout: Option<&Self>) -> Option<Instant> {
        timeout?.since
    }

    /// Ready with the limit when it is over. To be polled where the join is pending; the wait begins at the first poll.
    pub(crate) fn poll(timeout: &mut Option<Box<Self>>, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(Self { limit: Some(limit), .. }) = timeout.as_deref_mut() else { return Poll::Pending };
        let after = limit.after;
        limit.timer.get_or_insert_with(|| Timer::start(after)).poll(after, cx).map(|()| after)
    }
}

impl Timer {
    fn start(after: Duration) -> Self {
        Self { began: now(), sleep: clock::sleep_here(after).map(AlarmedSleep::new) }
    }

    fn poll(&mut self, after: Duration, cx: &Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if let Ok(polled) = sleep.poll(cx) {
            return polled;
        }
        // The runtime that it was made on has shut down, and the join has been moved elsewhere before.
        let left = after.saturating_sub(now().saturating_duration_since(self.began));
        self.sleep = clock::sleep_anywhere(left).map(AlarmedSleep::new);
        self.sleep.as_mut().and_then(|sleep| sleep.poll(cx).ok()).unwrap_or(Poll::Pending)
    }
}

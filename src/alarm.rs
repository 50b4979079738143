//! A shard's one timer.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use tokio::task::unconstrained;

use crate::host::{Runtime, Sleep, sleep_until};

/// Wakes its task once at a time of choice. Setting it is all that costs; it isn't moved when the flight it was set for
/// ends early, but rings once for nothing and is set anew.
pub(crate) struct Alarm {
    timers: Runtime,
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom the timer will wake: as long as that stays the same, it needs no polling.
    waker: Option<Waker>,
}

impl Alarm {
    pub(crate) fn new(timers: Runtime) -> Self {
        Self { timers, at: None, sleep: None, waker: None }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.at.is_some()
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    pub(crate) fn set(&mut self, at: Option<Instant>) {
        self.at = at;
        self.waker = None;
        if let Some(at) = at {
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at.into()),
                None => {
                    let _inside = self.timers.enter();
                    self.sleep = Some(Box::pin(sleep_until(at.into())));
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.at = None;
    }

    /// Ready when the time has come; sees to it that the task is woken then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(_), Some(sleep)) = (self.at, &mut self.sleep) else { return Poll::Pending };
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        // Unconstrained, or a used-up budget would have it return without having taken our waker.
        ready!(pin!(unconstrained(sleep.as_mut())).poll(cx));
        Poll::Ready(())
    }
}

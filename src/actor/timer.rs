//! The one timer of a task that others call.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Instant,
};

use tokio::task::unconstrained;

use crate::sync::{Runtime, Sleep, sleep_until};

/// It isn't moved when what it was set for ends early, but rings once for nothing.
pub(crate) struct Timer {
    timers: Runtime,
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(crate) fn new(timers: Runtime) -> Self {
        Self { timers, at: None, sleep: None }
    }

    pub(crate) fn set(&mut self, at: Option<Instant>) {
        if self.at == at {
            return;
        }
        self.at = at;
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

    /// Ready once, when the time has come.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(_), Some(sleep)) = (self.at, &mut self.sleep) else { return Poll::Pending };
        // Unconstrained, or a used-up budget would have it return without having taken our waker.
        let polled = pin!(unconstrained(sleep.as_mut())).poll(cx);
        if polled.is_ready() {
            self.at = None;
        }
        polled
    }
}

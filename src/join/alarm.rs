//! How a timer wakes a caller: by the caller's own waker, which is user code, and so not where other timers wait for it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use crate::{
    error::CaughtPanic,
    sync::{AtomicWaker, Sleep, clock, run_on_its_own_thread},
    unwind::{Deferred, catch, drop_contained},
};

/// A caller's timer.
pub(crate) struct AlarmedSleep {
    sleep: Pin<Box<Sleep>>,
    alarm: Arc<Alarm>,
}

/// What the timer has as its waker.
struct Alarm(AtomicWaker);

impl AlarmedSleep {
    pub(crate) fn new(sleep: Sleep) -> Self {
        Self { sleep: Box::pin(sleep), alarm: Arc::new(Alarm(AtomicWaker::new())) }
    }

    /// An error where the timer's runtime has shut down.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Result<Poll<()>, CaughtPanic> {
        self.alarm.0.register(cx.waker());
        let waker = Waker::from(Arc::clone(&self.alarm));
        catch(|| self.sleep.as_mut().poll(&mut Context::from_waker(&waker)))
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// On the thread that the timer is on: a worker, or that of all callers without timers, which must not be blocked.
    fn wake_by_ref(self: &Arc<Self>) {
        let Some(caller) = self.0.take() else { return };
        let wake = Deferred::wake(caller);
        if clock::is_timekeeper() {
            run_on_its_own_thread(move || drop(wake));
        }
    }
}

impl Drop for AlarmedSleep {
    /// In its caller: the timer may have the other share for a moment more.
    fn drop(&mut self) {
        drop_contained(self.alarm.0.take());
    }
}

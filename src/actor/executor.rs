//! What a shard's actor does between its messages: it looks after the shard when no message does.
//!
//! Turns run where their messages are, so nothing here is on a call's way. The actor sets the one timer that flights'
//! deadlines need, handles messages that a caller's bounded turn left in the queue, and closes the shard at its end.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::task::unconstrained;

use crate::{
    engine::{Engine, Key, Look, Value},
    sync::{Runtime, Sleep, now, sleep_until},
};

pub(crate) struct Executor<K: Key, V: Value> {
    engine: Arc<Engine<K, V>>,
    shard: usize,
    timer: Timer,
    /// The shard was out, or there is more to do.
    again: bool,
}

impl<K: Key, V: Value> Executor<K, V> {
    pub(crate) fn new(engine: Arc<Engine<K, V>>, shard: usize, timers: Runtime) -> Self {
        Self { engine, shard, timer: Timer { timers, at: None, sleep: None }, again: true }
    }

    /// Ready when the shard is closed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Both are asked, as both have to know whom to wake.
        let called = self.engine.call(self.shard).poll(cx.waker());
        let rings = self.timer.poll(cx).is_ready();
        if !(called || rings || self.again) {
            return Poll::Pending;
        }
        self.again = false;
        match self.engine.look(self.shard) {
            Some(Look::Closed) => return Poll::Ready(()),
            Some(Look::Again(at)) => {
                self.timer.set(at);
                // Registers with the timer, and sees whether it is due already.
                self.again = at.is_some_and(|at| at <= now()) || self.timer.poll(cx).is_ready();
            }
            None => self.again = true,
        }
        // Called meanwhile, or more to do: after the runtime's other tasks.
        if self.again || self.engine.call(self.shard).poll(cx.waker()) {
            self.again = true;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Answers every caller with `Closed`; work goes on or is aborted as the policy for abandoned work says.
    pub(crate) fn close(&self) {
        self.engine.close(self.shard);
    }
}

/// A runtime may drop its tasks without polling them again; callers on another runtime or thread still have to hear of
/// it (G5).
impl<K: Key, V: Value> Drop for Executor<K, V> {
    fn drop(&mut self) {
        self.close();
    }
}

/// A shard's one timer. It isn't moved when the flight it was set for ends early, but rings once for nothing.
struct Timer {
    timers: Runtime,
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn set(&mut self, at: Option<Instant>) {
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
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(_), Some(sleep)) = (self.at, &mut self.sleep) else { return Poll::Pending };
        // Unconstrained, or a used-up budget would have it return without having taken our waker.
        let polled = pin!(unconstrained(sleep.as_mut())).poll(cx);
        if polled.is_ready() {
            self.at = None;
        }
        polled
    }
}

//! What a shard's actor does between its messages: it looks after the shard when no message does.
//!
//! Turns run where their messages are, so nothing here is on a call's way. The actor sets the one timer that flights'
//! deadlines need, handles messages that a caller's bounded turn left in the queue, and closes the shard at its end.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::timer::Timer;
use crate::{
    engine::{Engine, Key, Look, Value},
    sync::{Runtime, now},
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
        Self { engine, shard, timer: Timer::new(timers), again: true }
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

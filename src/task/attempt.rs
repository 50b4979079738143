//! One of a flight's executions, where there may be more than one.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use super::{
    current,
    takeover::{Attempts, RecordOfAttempts},
    work::poll_contained,
};
use crate::{
    engine::{BoxedFuture, Key, Output, Record, Responding, Unbegun, Value},
    error::JoinError,
    unwind::{catch, drop_contained},
};

/// An execution's part in the duty to complete its flight. Dropped before the execution has ended, the flight is aborted.
struct Part<K: Key, V: Value> {
    attempts: Option<Arc<Attempts<K, V>>>,
    number: usize,
    was_called: bool,
    record: Option<Arc<RecordOfAttempts<V>>>,
}

impl<K: Key, V: Value> Part<K, V> {
    fn new(attempts: Arc<Attempts<K, V>>, number: usize) -> Self {
        let record = Some(attempts.record());
        Self { attempts: Some(attempts), number, was_called: false, record }
    }

    /// Runs a piece of the work, as work of its flight. `None` if the flight needs it no more.
    fn run<T>(&mut self, run: impl FnOnce() -> T) -> Option<T> {
        let attempts = self.attempts.as_ref().filter(|attempts| !attempts.spares.is_stopped())?;
        if !self.was_called {
            self.was_called = true;
            attempts.call(self.number);
        }
        let _current = current::enter(attempts.current(), &mut self.record);
        Some(run())
    }

    /// It has dropped its work.
    fn leave(&mut self) -> Option<Arc<Attempts<K, V>>> {
        self.record = None;
        self.attempts.take()
    }
}

impl<K: Key, V: Value> Drop for Part<K, V> {
    fn drop(&mut self) {
        if let Some(attempts) = self.attempts.take() {
            attempts.abort();
        }
    }
}

/// The task of an execution.
pub(super) struct Attempt<K: Key, V: Value> {
    // Before `work`, hence dropped before it: if the runtime drops the task, the callers learn of it even if the work's own
    // `Drop` never returns (G5).
    part: Part<K, V>,
    work: Option<BoxedFuture<V>>,
    responding: Option<Box<Responding<K, V>>>,
}

impl<K: Key, V: Value> Attempt<K, V> {
    pub(super) fn new(attempts: Arc<Attempts<K, V>>, number: usize, work: BoxedFuture<V>) -> Self {
        Self { part: Part::new(attempts, number), work: Some(work), responding: None }
    }

    /// The flight is over or aborted.
    fn give_up(&mut self) -> Poll<()> {
        // The work first: an execution has ended when it is gone.
        drop_contained(self.work.take());
        self.part.leave().into_iter().for_each(|attempts| attempts.give_permit_back());
        Poll::Ready(())
    }
}

// The work is in its box, and nothing else is pinned.
impl<K: Key, V: Value> Unpin for Attempt<K, V> {}

impl<K: Key, V: Value> Future for Attempt<K, V> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(responding) = &mut this.responding {
            return Pin::new(responding.as_mut()).poll(cx);
        }
        let work = &mut this.work;
        let Some(polled) = this.part.run(|| poll_contained(Pin::new(work), cx)) else { return this.give_up() };
        if polled.is_pending() {
            let (attempts, number) = (this.part.attempts.as_ref(), this.part.number);
            if attempts.is_none_or(|attempts| attempts.spares.register(number, cx.waker())) {
                return this.give_up();
            }
        }
        let ending = ready!(polled);
        this.responding = this.part.leave().and_then(|attempts| attempts.end(ending));
        if this.responding.is_none() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The same on a thread of the blocking pool.
pub(super) struct BlockingAttempt<K: Key, V: Value> {
    // Before `work`, as above.
    part: Part<K, V>,
    work: Option<Box<dyn FnOnce() -> Output<V> + Send>>,
}

impl<K: Key, V: Value> BlockingAttempt<K, V> {
    pub(super) fn new(
        attempts: Arc<Attempts<K, V>>,
        number: usize,
        work: Box<dyn FnOnce() -> Output<V> + Send>,
    ) -> Self {
        Self { part: Part::new(attempts, number), work: Some(work) }
    }

    pub(super) fn run(mut self) {
        let work = &mut self.work;
        let ran = self.part.run(|| work.take().map(|work| catch(work).map_err(JoinError::Panicked)));
        drop_contained(self.work.take());
        let Some(attempts) = self.part.leave() else { return };
        let Some(ending) = ran.flatten() else { return attempts.give_permit_back() };
        let engine = Arc::clone(&attempts.engine);
        if let Some(rest) = attempts.end(ending) {
            rest.hand_over(&engine);
        }
    }
}

/// Blocking work for a thread of the pool, unless a caller that waits for it has begun it meanwhile. While the work is to complete the
/// record's flight, it has the record itself. Afterwards this keeps no value, however long the pool is busy (G6).
pub(super) struct Offered<V>(Weak<Record<V>>);

impl<V> Offered<V> {
    pub(super) fn new(record: &Arc<Record<V>>) -> Self {
        Self(Arc::downgrade(record))
    }

    fn claim(&self) -> Option<Unbegun> {
        self.0.upgrade()?.claim()
    }

    pub(super) fn run(self) {
        let work = self.claim();
        drop(self);
        if let Some(work) = work {
            work();
        }
    }
}

/// The runtime has dropped it. Left in its record, the work would keep itself alive, as it completes that record's flight.
impl<V> Drop for Offered<V> {
    fn drop(&mut self) {
        drop_contained(self.claim());
    }
}

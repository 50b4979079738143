//! Flights that have more than one execution, as the first seems to have stalled: the first answer is the flight's.
//!
//! Each execution is a task of its own, so that one which blocks its thread holds up no other. They share the duty to complete
//! the flight. The one that has an answer takes it; what the others come to afterwards changes nothing. Of a flight that is
//! aborted, the last execution to drop its work gives up the duty: only then have all of them ended (G7, G10).

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Instant,
};

use super::{
    admitted::PermitWait,
    attempt::{Attempt, BlockingAttempt, Offered},
    execution::in_span,
    span::FlightSpan,
    watch::watch,
};
use crate::{
    admission::SparePermit,
    engine::{self, Completer, Ending, Engine, Key, ParkedWork, Record, Responding, Spares, Value},
    shard::FlightRef,
    sync::{AtomicUsize, Cell, boxed_task, defer, now},
    task::current::{AnyRecord, Current},
    trace,
    unwind::{Deferred, drop_contained},
};

/// What the executions of a flight share.
pub(super) struct Attempts<K: Key, V: Value> {
    pub(super) engine: Arc<Engine<K, V>>,
    flight: FlightRef,
    /// The duty to complete the flight. The execution that has an answer takes it out.
    duty: Cell<Completer<K, V>>,
    /// How many executions have begun and not ended. At zero, none is added.
    running: AtomicUsize,
    /// Those of the executions beyond the first, where there is a limit. Kept until the last one is gone: whichever completes the
    /// flight gives back the flight's own.
    permits: Box<[Cell<SparePermit>]>,
    pub(super) spares: Arc<Spares<V>>,
    record: Arc<RecordOfAttempts<V>>,
    began: Instant,
}

/// The flight's record, without its value: an execution that goes on for longer than its flight keeps no value (G6).
pub(super) struct RecordOfAttempts<V>(Weak<Record<V>>);

impl<V: Value> AnyRecord for RecordOfAttempts<V> {
    fn is_forgotten(&self) -> bool {
        self.0.upgrade().is_none_or(|record| record.is_forgotten())
    }

    fn will_wait(&self) {
        self.0.upgrade().into_iter().for_each(|record| record.will_wait());
    }
}

/// Has work run that may be taken over, when it may begin.
#[cold]
pub(super) fn launch<K: Key, V: Value>(work: ParkedWork<V>, spares: Arc<Spares<V>>, completer: Completer<K, V>) {
    if completer.request() {
        return begin(work, spares, completer);
    }
    let runtime = completer.engine().runtime.clone();
    let mut unbegun = Unbegun { completer: Some(completer), work: Some(work), spares: Some(spares) };
    let wait = async move {
        let Some(completer) = &unbegun.completer else { return };
        let admitted = PermitWait::of(completer).await;
        let (Some(completer), Some(work)) = (unbegun.completer.take(), unbegun.work.take()) else { return };
        match admitted {
            // Or it is aborted, which its executions hear of.
            Ok(()) => {
                if let Some(spares) = unbegun.spares.take() {
                    begin(work, spares, completer);
                }
            }
            Err(error) => {
                let engine = Arc::clone(completer.engine());
                if let Some(rest) = completer.complete(Err(error)) {
                    rest.hand_over(&engine);
                }
                drop_contained(work);
            }
        }
    };
    drop(runtime.spawn(boxed_task(wait)));
}

/// What waits for a permit. Whatever ends that, the callers hear of it first (G5), and what followers have left is dropped last.
struct Unbegun<K: Key, V: Value> {
    completer: Option<Completer<K, V>>,
    work: Option<ParkedWork<V>>,
    spares: Option<Arc<Spares<V>>>,
}

impl<K: Key, V: Value> Drop for Unbegun<K, V> {
    fn drop(&mut self) {
        drop(self.completer.take());
        drop_contained(self.work.take());
        if let Some(spares) = self.spares.take() {
            spares.stop();
            spares.clear();
        }
    }
}

/// Here begins the time after which it is taken over.
fn begin<K: Key, V: Value>(work: ParkedWork<V>, spares: Arc<Spares<V>>, completer: Completer<K, V>) {
    let engine = Arc::clone(completer.engine());
    let (record, runtime) = (completer.share_record(), engine.runtime.clone());
    // An abort says so in the record first, and its executions look at the spares alone.
    if record.is_aborted() {
        spares.stop();
    }
    let attempts = Arc::new(Attempts {
        engine,
        flight: record.flight(),
        duty: Cell::full(Box::new(completer)),
        running: AtomicUsize::new(1),
        permits: (0..spares.at_most()).map(|_| Cell::empty()).collect(),
        spares,
        record: Arc::new(RecordOfAttempts(Arc::downgrade(&record))),
        began: now(),
    });
    // The watcher first: a worker keeps what was spawned last in a slot from which no other worker takes it, and the work may
    // block this one.
    let watcher = watch(Arc::downgrade(&attempts), Arc::clone(&attempts.spares));
    drop(runtime.spawn(boxed_task(watcher)));
    match work {
        ParkedWork::Async(work) => drop(runtime.spawn(boxed_task(Attempt::new(attempts, 0, work)))),
        ParkedWork::Blocking(work) => {
            let attempt = BlockingAttempt::new(attempts, 0, work);
            record.offer(Box::new(move || attempt.run()));
            let offered = Offered::new(&record);
            drop(runtime.spawn_blocking(move || offered.run()));
        }
    }
}

impl<K: Key, V: Value> Attempts<K, V> {
    pub(super) fn current(&self) -> Current {
        Current { coalescer: self.engine.identity(), flight: self.flight }
    }

    pub(super) fn record(&self) -> Arc<RecordOfAttempts<V>> {
        Arc::clone(&self.record)
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// An execution's work is about to be polled for the first time. The first of the flight counts as its execution, and the
    /// others as takeovers.
    pub(super) fn call(&self, number: usize) {
        let Some(record) = self.record.0.upgrade() else { return };
        let tally = &self.engine.tallies[self.flight.id.shard()];
        if record.call() {
            tally.call(self.flight.id);
            self.engine.is_called(&record);
        } else {
            tally.takeovers.up();
        }
        drop(record);
        if number > 0 {
            trace::taken_over(self.flight.id, number, now().saturating_duration_since(self.began));
        }
    }

    /// Whether there may be one execution more just now. If so, the one of this number has its permit.
    pub(super) fn may_start_another(&self, number: usize) -> bool {
        let Some(admission) = &self.engine.admission else { return true };
        let Some(permit) = admission.try_acquire(self.flight.id) else { return false };
        drop(self.permits[number - 1].put(Box::new(permit)));
        true
    }

    /// Begins one execution more. False if none is running: the flight has just ended.
    pub(super) fn start(self: &Arc<Self>, number: usize, work: ParkedWork<V>) -> bool {
        // At zero, the last execution is about to complete the flight, or has.
        let one_more = |running: usize| (running > 0).then(|| running + 1);
        if self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
            drop_contained(work);
            return false;
        }
        let runtime = &self.engine.runtime;
        match work {
            ParkedWork::Async(work) => {
                let work = in_span(work, self.span());
                drop(runtime.spawn(boxed_task(Attempt::new(Arc::clone(self), number, work))));
            }
            ParkedWork::Blocking(work) => {
                let work = match self.span() {
                    None => work,
                    Some(span) => Box::new(move || span.run(work)),
                };
                let attempt = BlockingAttempt::new(Arc::clone(self), number, work);
                drop(runtime.spawn_blocking(move || attempt.run()));
            }
        }
        true
    }

    fn span(&self) -> Option<FlightSpan> {
        FlightSpan::of(&*self.record.0.upgrade()?)
    }

    /// An execution has ended, and its work is gone. What comes back are callers that are still to be woken.
    pub(super) fn end(self: Arc<Self>, ending: Ending<V>) -> Option<Box<Responding<K, V>>> {
        // AcqRel: the last one comes after all that the others did.
        let is_last = self.running.fetch_sub(1, Ordering::AcqRel) == 1;
        // A panic is the flight's ending if no other execution can have another. What an aborted flight comes to is no answer:
        // the duty is given up when all its executions are gone.
        let counts = (is_last || ending.is_ok()) && !self.spares.is_stopped();
        let Some(completer) = counts.then(|| self.duty.take()).flatten() else {
            drop_contained(ending);
            self.give_permit_back();
            return None;
        };
        self.spares.stop();
        // Blocking work that no thread has begun. Its drop is not the remaining callers' to wait for, nor the last one's to come upon in
        // the record.
        let unbegun = completer.record().claim();
        let responding = completer.complete(ending);
        self.defer_drop(unbegun);
        responding
    }

    /// The work of an execution is gone, and the flight goes on or is over. Which permit it is doesn't matter: each of the others has one.
    pub(super) fn give_permit_back(&self) {
        drop(self.permits.iter().find_map(Cell::take));
    }

    fn defer_drop(&self, unbegun: Option<engine::Unbegun>) {
        if let Some(unbegun) = unbegun {
            defer(&self.engine.runtime, Deferred::new(move || drop(unbegun)));
        }
    }

    /// An execution was dropped before its end, as the runtime shuts down: the callers learn of it at once (G5).
    pub(super) fn abort(&self) {
        let completer = self.duty.take();
        self.spares.stop();
        let unbegun = completer.as_ref().and_then(|completer| completer.record().claim());
        drop(completer);
        self.defer_drop(unbegun);
    }
}

/// The last execution is gone. If the duty is left, the flight was aborted, and this says that its executions have ended.
impl<K: Key, V: Value> Drop for Attempts<K, V> {
    fn drop(&mut self) {
        self.spares.stop();
        drop(self.duty.take());
        self.permits.iter().for_each(|permit| drop(permit.take()));
        // This may be below what has the last callers to wake in hand.
        self.spares.take_left().into_iter().for_each(|left| defer(&self.engine.runtime, left));
    }
}

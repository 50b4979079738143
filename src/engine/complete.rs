//! Duties that are carried out when they are dropped: to complete a flight, and to give up a waiter slot.

use std::sync::Arc;

use super::{
    Engine,
    message::{Action, Key, Launch, Live, Message, Value},
    record::{Ending, Needed, ParkedWork, Record},
    respond::{self, Responding},
    turn::State,
};
use crate::{
    error::JoinError,
    shard::{Completion, Cut, Ended, FlightRef, Leaves, Left, Slot},
    sync::{defer, now},
    task::current::{self, Current, Entered},
    unwind::{Deferred, drop_contained},
};

/// The duty to complete a flight. Dropped, it completes it as aborted, so that its callers get an answer whatever becomes
/// of its work (G5).
pub(crate) struct Completer<K: Key, V: Value> {
    // All that there is in a task beside the work: with two pointers, and small work, Tokio's task is half as large.
    engine: Arc<Engine<K, V>>,
    /// `None` while the work runs, and once the duty is done.
    record: Option<Arc<Record<V>>>,
}

impl<K: Key, V: Value> Completer<K, V> {
    pub(crate) fn new(engine: Arc<Engine<K, V>>, record: Arc<Record<V>>) -> Self {
        Self { engine, record: Some(record) }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine<K, V>> {
        &self.engine
    }

    pub(crate) fn record(&self) -> &Record<V> {
        self.record.as_deref().expect("it is taken where the duty is done, which ends this")
    }

    /// The work is about to be polled. Its first poll calls it, which counts as an execution.
    pub(crate) fn call(&self) {
        let record = self.record();
        if record.call() {
            let flight = record.flight().id;
            self.engine.tallies[flight.shard()].call(flight);
            self.engine.is_called(record);
        }
    }

    /// The work is to begin. True if it may now; otherwise its task is woken when that is known.
    pub(crate) fn request(&self) -> bool {
        self.record.as_ref().is_none_or(|record| self.engine.request(record))
    }

    /// As long as the guard is there, its work runs on this thread. Until then the record is with the thread.
    pub(crate) fn enter(&mut self) -> (&Engine<K, V>, Entered<'_, Record<V>>) {
        let current = Current { coalescer: self.engine.identity(), flight: self.record().flight() };
        (&self.engine, current::enter(current, &mut self.record))
    }

    pub(crate) fn share_record(&self) -> Arc<Record<V>> {
        Arc::clone(self.record.as_ref().expect("the duty is not done yet"))
    }

    /// Drops the work of a flight that is over, and says that its execution has ended.
    pub(crate) fn drop_first<W>(self, work: W) {
        drop_contained(work);
        drop(self);
    }

    /// Leaves work that is not to begin yet in its record, and the duty with it, for the thread that finds that it may. Work that is
    /// not needed any more comes back, to be [dropped first](Self::drop_first).
    #[must_use = "dropping work runs user code"]
    pub(crate) fn begin_later(self, work: ParkedWork<V>) -> Option<(Box<ParkedWork<V>>, Self)> {
        match self.record().park(work) {
            None => drop(self.disarm()),
            Some((work, Needed::AsTask)) => work.launch(self),
            Some((work, Needed::Dropped)) => return Some((work, self)),
        }
        None
    }

    /// The duty goes on elsewhere.
    pub(crate) fn disarm(mut self) -> Arc<Record<V>> {
        self.record.take().expect("the duty is not done yet")
    }

    /// The work has ended. What comes back are the callers that are still to be woken.
    #[must_use = "dropped, it wakes them all at once"]
    pub(crate) fn complete(mut self, ending: Ending<V>) -> Option<Box<Responding<K, V>>> {
        self.publish(ending)
    }

    fn publish(&mut self, ending: Ending<V>) -> Option<Box<Responding<K, V>>> {
        let engine = &self.engine;
        let (flight, was_called) = self.record.as_ref().map(|record| {
            engine.end_execution(record);
            (record.flight(), record.was_called())
        })?;
        // Let go of before any caller is woken, so that the last one finds that the value is its own.
        self.record = None;
        let mut unpublished = Some(ending);
        let ended = engine.visit(flight.id.shard(), |state| end(state, flight, &mut unpublished, was_called));
        match (ended, unpublished) {
            (Some(Some(ended)), _) => return respond::respond(engine, ended),
            (None, Some(ending)) => engine.post(flight.id.shard(), Message::Complete { flight, ending, was_called }),
            // Cut short before: a late result changes nothing.
            (_, late) => drop_contained(late),
        }
        None
    }

    /// The same for a leader that ran the work itself: if no other caller waits, the output is its own.
    pub(crate) fn complete_in_place(mut self, ending: Ending<V>) -> InPlaceEnd<V> {
        let record = self.record.take().expect("the duty is not done yet");
        let (engine, flight) = (&self.engine, record.flight());
        engine.end_execution(&record);
        let mut unpublished = Some(ending);
        let ended = engine.visit(flight.id.shard(), |state| {
            let mut ended = state.complete(flight, completion_of(unpublished.as_ref()?, true))?;
            ended.asked_times().into_iter().for_each(|times| times.end(now()));
            let (waiters, leader) = (ended.waiters.len(), ended.waiters.take_leader());
            if waiters > 1 {
                unpublished.take().into_iter().for_each(|ending| ended.record.publish(ending));
            }
            Some((ended, waiters, leader))
        });
        match (ended, unpublished) {
            (Some(Some((ended, waiters, leader))), Some(ending)) => {
                let started = ended.started;
                let ran_since = || record.ran_since(started);
                respond::tell(engine, ended.itself.id, started, ran_since, ending.as_ref().err(), waiters);
                drop_contained(leader);
                drop_contained(ended.key);
                InPlaceEnd::Own(ending.map(|output| output.value))
            }
            (Some(Some((ended, _, leader))), None) => {
                if let Some(rest) = respond::respond(engine, ended) {
                    rest.hand_over(engine);
                }
                // Last, as none of the others is to wait for it.
                drop_contained(leader);
                InPlaceEnd::Elsewhere(record)
            }
            (None, Some(ending)) => {
                engine.post(flight.id.shard(), Message::Complete { flight, ending, was_called: true });
                InPlaceEnd::Elsewhere(record)
            }
            // Cut short before: a late result changes nothing.
            (_, late) => {
                drop_contained(late.and_then(Result::ok).map(|output| output.value));
                InPlaceEnd::Elsewhere(record)
            }
        }
    }
}

/// Unmaps a flight whose work has ended, and publishes how. `None`, and the ending stays, if it was cut short before.
pub(super) fn end<K: Key, V: Value>(
    state: &mut State<K, V>,
    flight: FlightRef,
    ending: &mut Option<Ending<V>>,
    was_called: bool,
) -> Option<Ended<Live<K, V>>> {
    let ended = state.complete(flight, completion_of(ending.as_ref()?, was_called))?;
    ended.asked_times().into_iter().for_each(|times| times.end(now()));
    ending.take().into_iter().for_each(|ending| ended.record.publish(ending));
    Some(ended)
}

/// How a leader that ran its work itself gets its answer.
pub(crate) enum InPlaceEnd<V> {
    Own(Result<V, JoinError>),
    /// As any other caller: from the record.
    Elsewhere(Arc<Record<V>>),
}

fn completion_of<V>(ending: &Ending<V>, was_called: bool) -> Completion {
    match ending {
        Err(JoinError::Overloaded { .. } | JoinError::QueueTimedOut { .. }) => Completion::Shed,
        _ if !was_called => Completion::Uncalled,
        Ok(output) if output.is_error => Completion::Error,
        Ok(_) => Completion::Value,
        Err(JoinError::Panicked(_)) => Completion::Panicked,
        Err(_) => Completion::Aborted,
    }
}

impl<K: Key, V: Value> Drop for Completer<K, V> {
    fn drop(&mut self) {
        if let Some(rest) = self.publish(Err(JoinError::Aborted)) {
            rest.hand_over(&self.engine);
        }
    }
}

/// A waiter slot that was given by the queue and not yet taken over by its caller. Dropped, the caller has left.
pub(crate) struct HeldSlot<K: Key, V: Value> {
    engine: Arc<Engine<K, V>>,
    number: u64,
    record: Option<Arc<Record<V>>>,
}

impl<K: Key, V: Value> HeldSlot<K, V> {
    pub(super) fn new(engine: Arc<Engine<K, V>>, number: u64, record: Arc<Record<V>>) -> Self {
        Self { engine, number, record: Some(record) }
    }

    pub(crate) fn take_over(mut self) -> (u64, Arc<Record<V>>) {
        (self.number, self.record.take().expect("it is taken here alone, and this ends then"))
    }
}

impl<K: Key, V: Value> Drop for HeldSlot<K, V> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let _ = self.engine.leave(record.slot(self.number), Leaves::ByItself);
        }
    }
}

/// What becomes of a flight that one caller has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    GoesOn,
    /// It was over already.
    Over,
    /// It is aborted with its last caller.
    Aborted,
    /// The shard was out: it will be told.
    Unknown,
}

impl<K: Key, V: Value> Engine<K, V> {
    /// A caller gives up its slot before it has its answer.
    pub(crate) fn leave(self: &Arc<Self>, slot: Slot, why: Leaves) -> After {
        let shard = slot.flight.id.shard();
        match self.visit(shard, |state| state.leave(slot, why)) {
            Some(left) => self.after_leaving(left),
            None => {
                self.post(shard, Message::Cancel(slot, why));
                After::Unknown
            }
        }
    }

    /// A second caller waits for work that its leader polls: it becomes a task.
    pub(crate) fn detach(self: &Arc<Self>, record: &Arc<Record<V>>) {
        if let Some(work) = record.share() {
            let completer = Completer::new(Arc::clone(self), Arc::clone(record));
            respond::hand_over(self, vec![Action::Launch(work, completer)]);
        }
    }

    /// A pending flight may begin while its predecessor runs on, and be waited for by that: it waits for it no longer.
    pub(super) fn awaits_no_more(&self, record: &Record<V>) {
        if let Some(first) = record.no_longer_awaits() {
            self.waits.end_all(self.pending_node(record.flight()), self.node(first.flight()));
        }
    }

    /// Where executions have a limit, the predecessor of a pending flight may have the permit that this one needs, until its work is
    /// called.
    pub(crate) fn is_called(&self, record: &Record<V>) {
        if self.admission.is_some() {
            self.awaits_no_more(record);
        }
    }

    /// The work of a flight is to begin: true if it may now.
    pub(crate) fn request(&self, record: &Arc<Record<V>>) -> bool {
        self.admission.as_ref().is_none_or(|admission| admission.request(record))
    }

    /// The work of a flight is gone: its permit is free, before any caller hears of the end.
    fn end_execution(&self, record: &Record<V>) {
        if let Some(admission) = &self.admission {
            admission.end(record);
        }
    }

    /// In its caller's own poll or drop: its waker is its own to drop.
    fn after_leaving(self: &Arc<Self>, left: Left<Live<K, V>>) -> After {
        let Left::Departed { waker, abandoned } = left else { return After::Over };
        let after = match abandoned {
            None => After::GoesOn,
            Some(cut) => self.end_abandoned(cut),
        };
        // Last, as none of the others is to wait for it.
        drop_contained(waker);
        after
    }

    fn end_abandoned(self: &Arc<Self>, cut: Cut<Live<K, V>>) -> After {
        // No caller is left to wake: what remains is the key's to drop, and the work's task to be told.
        let (work, unbegun) = (cut.record.abort(), cut.record.claim());
        // Other callers' closures.
        if let Some(left) = cut.record.spares().and_then(|spares| spares.take_left()) {
            defer(&self.runtime, left);
        }
        // Its place in the queue is free when the caller has left.
        self.admission.iter().for_each(|admission| admission.withdraw(cut.itself.id));
        cut.record.publish(Err(JoinError::Aborted));
        if let Some(work) = work {
            Completer::new(Arc::clone(self), Arc::clone(&cut.record)).drop_first(work);
        }
        // No thread has begun it: now it only drops what it came with.
        drop(unbegun.map(Deferred::new));
        respond::tell(self, cut.itself.id, cut.started, || cut.record.ran_since(cut.started), cut.record.error(), 0);
        drop_contained(cut.key);
        After::Aborted
    }
}

//! Duties that are carried out when they are dropped: to complete a flight, and to give up a waiter slot.

use std::sync::Arc;

use super::{
    Engine,
    message::{Action, Key, Live, Message, Value},
    record::{Outcome, Output, Record},
    respond,
};
use crate::{
    error::JoinError,
    shard::{Completion, FlightRef, Left, Slot},
    task::current::Current,
    unwind::drop_contained,
};

/// The duty to complete a flight. Dropped, it completes it as aborted, so that its callers get an answer whatever becomes
/// of its work (G5).
pub(crate) struct Completer<K: Key, V: Value> {
    engine: Arc<Engine<K, V>>,
    flight: FlightRef,
    /// `None` once the duty is done.
    record: Option<Arc<Record<V>>>,
}

impl<K: Key, V: Value> Completer<K, V> {
    pub(crate) fn new(engine: Arc<Engine<K, V>>, flight: FlightRef, record: Arc<Record<V>>) -> Self {
        Self { engine, flight, record: Some(record) }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine<K, V>> {
        &self.engine
    }

    pub(crate) fn record(&self) -> &Record<V> {
        self.record.as_deref().expect("it is taken where the duty is done, which ends this")
    }

    /// Whose work it is that runs, as long as it runs.
    pub(crate) fn current(&self) -> Current {
        Current { coalescer: self.engine.identity(), flight: self.flight }
    }

    pub(crate) fn share_record(&self) -> Arc<Record<V>> {
        Arc::clone(self.record.as_ref().expect("the duty is not done yet"))
    }

    /// The duty goes on elsewhere.
    pub(crate) fn disarm(mut self) -> Arc<Record<V>> {
        self.record.take().expect("the duty is not done yet")
    }

    /// The work has ended.
    pub(crate) fn complete(mut self, output: Result<Output<V>, JoinError>) {
        let (completion, outcome) = sum_up(output);
        self.publish(completion, outcome);
    }

    fn publish(&mut self, completion: Completion, outcome: Outcome<V>) {
        // Let go of before any caller is woken, so that the last one finds that the value is its own.
        if self.record.take().is_none() {
            return;
        }
        let (engine, flight) = (&self.engine, self.flight);
        let mut unpublished = Some(outcome);
        let ended = engine.visit(flight.id.shard(), |state| {
            let ended = state.shard.complete(flight, completion)?;
            unpublished.take().into_iter().for_each(|outcome| ended.record.publish(outcome));
            Some(ended)
        });
        match (ended, unpublished) {
            (Some(Some(ended)), _) => respond::respond(engine, ended),
            (None, Some(outcome)) => {
                engine.post(flight.id.shard(), Message::Complete { flight, completion, outcome });
            }
            // Cut short before: a late result changes nothing.
            (_, late) => drop_contained(late),
        }
    }

    /// The same for a leader that ran the work itself: if no other caller waits, the output is its own.
    pub(crate) fn complete_in_place(mut self, output: Result<Output<V>, JoinError>) -> InPlaceEnd<V> {
        let record = self.record.take().expect("the duty is not done yet");
        let (engine, flight) = (&self.engine, self.flight);
        let completion = completion_of(&output);
        let mut unpublished = Some(output);
        let ended = engine.visit(flight.id.shard(), |state| {
            let mut ended = state.shard.complete(flight, completion)?;
            let (waiters, leader) = (ended.waiters.len(), ended.waiters.take_leader());
            if waiters > 1 {
                unpublished.take().into_iter().for_each(|output| ended.record.publish(sum_up(output).1));
            }
            Some((ended, waiters, leader))
        });
        match (ended, unpublished) {
            (Some(Some((ended, waiters, leader))), Some(output)) => {
                respond::tell(engine, ended.itself.id, ended.started, output.as_ref().err(), waiters);
                drop_contained(leader);
                drop_contained(ended.key);
                InPlaceEnd::Own(output.map(|output| output.value))
            }
            (Some(Some((ended, _, leader))), None) => {
                drop_contained(leader);
                respond::respond(engine, ended);
                InPlaceEnd::Elsewhere(record)
            }
            (None, Some(output)) => {
                let (_, outcome) = sum_up(output);
                engine.post(flight.id.shard(), Message::Complete { flight, completion, outcome });
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

/// How a leader that ran its work itself gets its answer.
pub(crate) enum InPlaceEnd<V> {
    Own(Result<V, JoinError>),
    /// As any other caller: from the record.
    Elsewhere(Arc<Record<V>>),
}

fn completion_of<V>(output: &Result<Output<V>, JoinError>) -> Completion {
    match output {
        Ok(output) if output.is_error => Completion::Error,
        Ok(_) => Completion::Value,
        Err(JoinError::Panicked(_)) => Completion::Panicked,
        Err(_) => Completion::Aborted,
    }
}

fn sum_up<V>(output: Result<Output<V>, JoinError>) -> (Completion, Outcome<V>) {
    (completion_of(&output), output.map(|output| Arc::new(output.value)))
}

impl<K: Key, V: Value> Drop for Completer<K, V> {
    fn drop(&mut self) {
        self.publish(Completion::Aborted, Err(JoinError::Aborted));
    }
}

/// A waiter slot that was given by the queue and not yet taken over by its caller. Dropped, the caller has left.
pub(crate) struct HeldSlot<K: Key, V: Value> {
    engine: Arc<Engine<K, V>>,
    slot: Slot,
    record: Option<Arc<Record<V>>>,
}

impl<K: Key, V: Value> HeldSlot<K, V> {
    pub(super) fn new(engine: Arc<Engine<K, V>>, slot: Slot, record: Arc<Record<V>>) -> Self {
        Self { engine, slot, record: Some(record) }
    }

    pub(crate) fn take_over(mut self) -> (Slot, Arc<Record<V>>) {
        (self.slot, self.record.take().expect("it is taken here alone, and this ends then"))
    }
}

impl<K: Key, V: Value> Drop for HeldSlot<K, V> {
    fn drop(&mut self) {
        if self.record.take().is_some() {
            let _ = self.engine.leave(self.slot);
        }
    }
}

/// What becomes of a flight that one caller has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    GoesOn,
    /// It was over already, or is aborted with its last caller.
    Over,
    /// The shard was out: it will be told.
    Unknown,
}

impl<K: Key, V: Value> Engine<K, V> {
    /// A caller gives up its slot before it has its answer.
    pub(crate) fn leave(self: &Arc<Self>, slot: Slot) -> After {
        let shard = slot.flight.id.shard();
        match self.visit(shard, |state| state.shard.leave(slot)) {
            Some(left) => self.after_leaving(left),
            None => {
                self.post(shard, Message::Cancel(slot));
                After::Unknown
            }
        }
    }

    /// A second caller waits for work that its leader polls: it becomes a task.
    pub(crate) fn detach(self: &Arc<Self>, flight: FlightRef, record: &Arc<Record<V>>) {
        if let Some(work) = record.share() {
            let completer = Completer::new(Arc::clone(self), flight, Arc::clone(record));
            respond::hand_over(self, vec![Action::Launch(work, completer)]);
        }
    }

    /// A caller that has left, or was refused, in its own poll or drop: its waker is its own to drop.
    pub(crate) fn after_leaving(self: &Arc<Self>, left: Left<Live<K, V>>) -> After {
        let Left::Departed { waker, abandoned } = left else { return After::Over };
        drop_contained(waker);
        let Some(ended) = abandoned else { return After::GoesOn };
        // No caller is left to wake: what remains is the key's to drop, and the work's task to be told.
        let work = ended.record.abort();
        ended.record.publish(Err(JoinError::Aborted));
        respond::respond(self, ended);
        drop_contained(work);
        After::Over
    }
}

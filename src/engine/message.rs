//! What waits in a shard's queue, and what is to be done about it once it has been handled.

use std::{marker::PhantomData, sync::Arc, task::Waker, time::Instant};

use super::{
    Engine, State,
    complete::{self, Completer, HeldSlot},
    published::Takes,
    record::{Ending, ParkedWork, Record},
    respond::{self, Responding},
    watch::Watch,
};
use crate::{
    config::Priority,
    error::JoinError,
    shard::{Begins, Flight, FlightId, FlightRef, Join, Joined, Leaves, Left, Renewed, Report, Slot, Types},
    sync::oneshot,
    unwind::{Contained, Deferred, contain, drop_contained},
};

/// What a coalescer asks of its keys. `Hash` concerns only the caller's side.
pub(crate) trait Key: Eq + Send + 'static {}
impl<K: Eq + Send + 'static> Key for K {}

/// What a coalescer asks of its values.
pub(crate) trait Value: Send + Sync + 'static {}
impl<V: Send + Sync + 'static> Value for V {}

/// The types of a real shard.
pub(crate) struct Live<K, V>(PhantomData<fn() -> (K, V)>);

// No more is asked of `K` and `V` than the trait needs: a caller's future holds these types, and with `Send + 'static`
// among the bounds the compiler could not show, for keys or values with references in them, that it may be spawned.
impl<K: Eq, V> Types for Live<K, V> {
    type Key = K;
    type Waker = Waker;
    type Record = Arc<Record<V>>;

    fn record(flight: FlightRef, begins: Begins<&Arc<Record<V>>>, takeovers: usize) -> Arc<Record<V>> {
        Record::new(flight, begins, takeovers)
    }

    fn forget(record: &Arc<Record<V>>) {
        record.forget();
    }

    fn reclass(record: &Arc<Record<V>>, class: Priority) -> bool {
        record.ticket().set_class(class);
        record.ticket().may_wait()
    }

    fn cancel(record: &Arc<Record<V>>) -> bool {
        record.ticket().cancel()
    }
}

/// The messages of one key are handled in the order in which they were sent, whether or not they found the shard out.
pub(crate) enum Message<K: Key, V: Value> {
    Join(Box<QueuedJoin<K, V>>),
    Complete {
        flight: FlightRef,
        ending: Ending<V>,
        was_called: bool,
    },
    /// A caller has left.
    Cancel(Slot, Leaves),
    Renew {
        slot: Slot,
        waker: Waker,
    },
    /// The caller of a queued join gives up its answer, which is there: the join was before this in the queue.
    GiveUp(oneshot::Receiver<Answer<K, V>>),
    Ask(Question<K, V>),
}

/// A question or an order to a shard, which also sees to the answer.
pub(crate) type Question<K, V> = Box<dyn FnOnce(&mut State<K, V>) + Send>;

/// A join that found its shard out. Its work travels along, as its caller may never be polled again (G2).
pub(crate) struct QueuedJoin<K: Key, V: Value> {
    pub(crate) join: Join<Live<K, V>>,
    pub(crate) takes: Takes<V>,
    pub(crate) watch: Option<Arc<Watch>>,
    /// It is polled by the work of a flight.
    pub(crate) is_nested: bool,
    /// Its work may take over the flight that it follows.
    pub(crate) leaves_work: bool,
    pub(crate) work: Box<dyn Launch<K, V>>,
    pub(crate) reply: Reply<K, V>,
}

/// The way back to a queued caller. Dropped without an answer, it answers `Closed` (G5).
pub(crate) struct Reply<K: Key, V: Value> {
    sender: Option<oneshot::Sender<Answer<K, V>>>,
    /// Where the answer is no slot, the caller has to be woken for it.
    waker: Option<Waker>,
}

/// What a queued caller gets. Everything in it is the caller's own to drop.
pub(crate) enum Answer<K: Key, V: Value> {
    /// It waits for a flight; its waker is with it already.
    Slot {
        held: HeldSlot<K, V>,
        unused: Option<Unused<K, V>>,
    },
    Refused {
        error: JoinError,
        unused: Option<Unused<K, V>>,
    },
}

/// The key and the work of a caller that doesn't lead. Each drops by itself: of two panics in one drop, the second would
/// end the process (G13).
pub(crate) struct Unused<K: Key, V: Value> {
    _key: Contained<K>,
    _work: Contained<Option<Box<dyn Launch<K, V>>>>,
}

impl<K: Key, V: Value> Unused<K, V> {
    fn new(key: K, work: Option<Box<dyn Launch<K, V>>>) -> Self {
        Self { _key: Contained::new(key), _work: Contained::new(work) }
    }
}

impl<K: Key, V: Value> Reply<K, V> {
    pub(crate) fn new(sender: oneshot::Sender<Answer<K, V>>, waker: Waker) -> Self {
        Self { sender: Some(sender), waker: Some(waker) }
    }

    /// The caller has left before its shard saw it.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Of a caller that has left, and gets no answer. The waker comes back, to be dropped outside.
    fn disarm(mut self) -> Option<Waker> {
        self.sender = None;
        self.waker.take()
    }

    /// The waker comes back, to be woken or dropped outside; so does the answer where the caller has left.
    pub(super) fn send(mut self, answer: Answer<K, V>) -> (Option<Waker>, Option<Answer<K, V>>) {
        let waker = self.waker.take();
        let Some(sender) = self.sender.take() else { return (waker, Some(answer)) };
        (waker, sender.send(answer).err().map(oneshot::SendError::into_inner))
    }
}

impl<K: Key, V: Value> Drop for Reply<K, V> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let lost = sender.send(Answer::Refused { error: JoinError::Closed, unused: None });
            drop(lost);
            if let Some(waker) = self.waker.take() {
                contain(|| waker.wake());
            }
        }
    }
}

/// Work that is to run as a task.
pub(crate) trait Launch<K: Key, V: Value>: Send {
    fn launch(self: Box<Self>, completer: Completer<K, V>);

    /// For a flight that begins later.
    fn park(self: Box<Self>, record: &Record<V>) -> ParkedWork<V>;

    /// For another caller's flight, whose span it will run in.
    fn spare(self: Box<Self>) -> ParkedWork<V>;
}

/// What turns leave to be done outside the shard for other callers than the one on whose thread they run.
pub(crate) enum Action<K: Key, V: Value> {
    Launch(Box<dyn Launch<K, V>>, Completer<K, V>),
    /// The work is to begin later.
    Park(Box<dyn Launch<K, V>>, Completer<K, V>),
    /// A follower's work is left for its flight, which it may take over.
    Spare(Box<dyn Launch<K, V>>, Arc<Record<V>>, usize),
    /// The outcome is published: wake the callers.
    Respond(Box<Responding<K, V>>),
    Run(Deferred),
    Drop(Discard<K, V>),
    /// Work that is in no task, whose flight is over.
    DropWork(Box<ParkedWork<V>>, Arc<Record<V>>),
    /// Work that is in no task is to be one.
    RunWork(Arc<Record<V>>),
    /// A flight that waits for its permit is of another class.
    Reclass(FlightId),
    /// A flight was cut short, which may have waited for its permit.
    Withdraw(FlightId),
    Report(Report),
    /// There are messages left in the queue of this shard, or there is a new deadline, or nothing left to wait for.
    CallActor {
        shard: usize,
    },
}

/// Values whose `Drop` is deferred to a separate task. Each is contained: of two panics in one drop, the second would end
/// the process (G13).
pub(crate) enum Discard<K: Key, V: Value> {
    Waker(Waker),
    Ending(Ending<V>),
    Join(Join<Live<K, V>>, Box<dyn Launch<K, V>>),
    Unused(Unused<K, V>),
    Flight(Box<Flight<Live<K, V>>>),
}

impl<K: Key, V: Value> Discard<K, V> {
    pub(super) fn run(self) {
        match self {
            Self::Waker(waker) => drop_contained(waker),
            Self::Ending(ending) => drop_contained(ending),
            Self::Join(join, work) => {
                drop_contained(work);
                drop_contained(join.key);
                drop_contained(join.waker);
            }
            Self::Unused(unused) => drop(unused),
            Self::Flight(flight) => drop_contained(flight.key),
        }
    }
}

impl<K: Key, V: Value> Message<K, V> {
    /// Handles a message that waited in the queue, on behalf of a caller that may be anywhere by now. The same transitions
    /// as on the direct way, with answers that travel.
    pub(super) fn handle(self, engine: &Arc<Engine<K, V>>, state: &mut State<K, V>, now: Instant) {
        match self {
            Self::Join(queued) => queued.handle(engine, state, now),
            Self::Complete { flight, ending, was_called } => {
                let mut unpublished = Some(ending);
                let ended = complete::end(state, flight, &mut unpublished, was_called);
                let respond = |ended| Action::Respond(Responding::to_ended(engine, ended));
                state.actions.extend(ended.map(respond));
                // Cut short before: a late result changes nothing.
                state.actions.extend(unpublished.map(|late| Action::Drop(Discard::Ending(late))));
            }
            Self::Cancel(slot, why) => state.leave_for_another(engine, slot, why),
            Self::Renew { slot, waker } => state.actions.push(match state.shard.renew(slot, waker) {
                Renewed::Replaced(older) => Action::Drop(Discard::Waker(older)),
                // Its next poll finds the outcome.
                Renewed::Over(waker) => Action::Run(Deferred::wake(waker)),
            }),
            Self::GiveUp(reply) => reply.try_recv().into_iter().for_each(|answer| state.give_up(engine, answer)),
            Self::Ask(question) => question(state),
        }
    }
}

impl<K: Key, V: Value> State<K, V> {
    /// A caller has left, whose waker is dropped elsewhere.
    fn leave_for_another(&mut self, engine: &Arc<Engine<K, V>>, slot: Slot, why: Leaves) {
        let Left::Departed { waker, abandoned } = self.leave(slot, why) else { return };
        self.actions.push(Action::Drop(Discard::Waker(waker)));
        if let Some(cut) = abandoned {
            respond::cut_short(engine, cut, JoinError::Aborted, true, &mut self.actions);
        }
    }

    /// An answer that its caller does not take. A slot in it is free from now on (G7): what its caller asks next comes after.
    fn give_up(&mut self, engine: &Arc<Engine<K, V>>, answer: Answer<K, V>) {
        let unused = match answer {
            Answer::Slot { held, unused } => {
                let (number, record) = held.take_over();
                self.leave_for_another(engine, record.slot(number), Leaves::ByItself);
                // If its flight is over, this may be the last that has the value.
                self.actions.push(Action::Run(Deferred::new(move || drop(record))));
                unused
            }
            Answer::Refused { unused, .. } => unused,
        };
        self.actions.extend(unused.map(|unused| Action::Drop(Discard::Unused(unused))));
    }
}

impl<K: Key, V: Value> QueuedJoin<K, V> {
    fn handle(self, engine: &Arc<Engine<K, V>>, state: &mut State<K, V>, now: Instant) {
        let Self { join, takes, watch, is_nested, leaves_work, work, reply } = self;
        if reply.is_closed() {
            // It left before its shard saw it, and counts nowhere. Its waker is neither woken nor dropped in this turn (G4).
            state.actions.push(Action::Drop(Discard::Join(join, work)));
            state.actions.extend(reply.disarm().map(|waker| Action::Drop(Discard::Waker(waker))));
            return;
        }
        let joined = state.join(join, takes, watch.as_deref(), now);
        let actions = &mut state.actions;
        let (answer, waker) = match joined {
            Joined::Leads { slot, record } => {
                let completer = Completer::new(Arc::clone(engine), Arc::clone(&record));
                actions.push(if record.begins_later() {
                    Action::Park(work, completer)
                } else {
                    Action::Launch(work, completer)
                });
                let held = HeldSlot::new(Arc::clone(engine), slot.number, record);
                (Answer::Slot { held, unused: None }, None)
            }
            Joined::Follows { slot, record, key, detaches } => {
                if detaches && let Some(work) = record.share() {
                    let completer = Completer::new(Arc::clone(engine), Arc::clone(&record));
                    actions.push(Action::Launch(work, completer));
                }
                let spares = record.spares().filter(|_| leaves_work);
                let work = match spares.and_then(|spares| spares.reserve()) {
                    None => Some(work),
                    Some(place) => {
                        actions.push(Action::Spare(work, Arc::clone(&record), place));
                        None
                    }
                };
                let held = HeldSlot::new(Arc::clone(engine), slot.number, record);
                (Answer::Slot { held, unused: Some(Unused::new(key, work)) }, None)
            }
            Joined::Refused { error, key, waker } => {
                (Answer::Refused { error, unused: Some(Unused::new(key, Some(work))) }, Some(waker))
            }
        };
        // Its waker is with the flight already; only a refusal has to wake it.
        let (spare, unheard) = reply.send(answer);
        actions.extend(waker.map(|waker| Action::Run(Deferred::wake(waker))));
        // A caller that makes another flight wait has to say so, in its next poll.
        let spare_action = |spare| {
            if is_nested { Action::Run(Deferred::wake(spare)) } else { Action::Drop(Discard::Waker(spare)) }
        };
        actions.extend(spare.map(spare_action));
        // It left after the look above.
        unheard.into_iter().for_each(|answer| state.give_up(engine, answer));
    }
}

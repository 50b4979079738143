//! Questions and orders to a shard: `stats`, `forget` and the like. They run as turns do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Engine,
    message::{Action, Key, Message, Value},
    turn::State,
};
use crate::{
    error::{Closed, NotExtended},
    shard::{FlightRef, FlightSnapshot},
    sync::{now, oneshot},
    unwind::{Contained, Deferred},
};

/// What the question came with, which is the user's own and dropped by the asker; and the answer.
type Answered<I, T> = (Contained<I>, Result<T, Closed>);

/// A question that is put already; the answer may have to be awaited.
pub(crate) enum Asked<I, T> {
    Answered(Answered<I, T>),
    Queued(oneshot::AsyncReceiver<Answered<I, T>>),
}

impl<I, T> Asked<I, T> {
    pub(crate) async fn answer(self) -> Result<(Contained<I>, T), Closed> {
        let (input, answer) = self.returned().await?;
        answer.map(|answer| (input, answer))
    }

    /// What was asked with, also from a shard that is closed. Not from one that has gone.
    pub(crate) async fn returned(self) -> Result<(Contained<I>, Result<T, Closed>), Closed> {
        match self {
            Self::Answered(answered) => Ok(answered),
            Self::Queued(answered) => answered.await.map_err(|_| Closed),
        }
    }
}

/// The shards of a flight, whatever its keys and values are.
pub(crate) trait AnyEngine: Send + Sync {
    /// Asks its shard for a flight; there is no answer if it is over.
    fn look_for(self: Arc<Self>, flight: FlightRef) -> Asked<(), Option<FlightSnapshot>>;

    fn extend(self: Arc<Self>, flight: FlightRef, by: Duration) -> Asked<(), Result<Duration, NotExtended>>;
}

impl<K: Key, V: Value> AnyEngine for Engine<K, V> {
    fn look_for(self: Arc<Self>, flight: FlightRef) -> Asked<(), Option<FlightSnapshot>> {
        self.ask(flight.id.shard(), (), move |state, ()| state.shard.snapshot(flight, now()))
    }

    fn extend(self: Arc<Self>, flight: FlightRef, by: Duration) -> Asked<(), Result<Duration, NotExtended>> {
        self.ask(flight.id.shard(), (), move |state, ()| state.shard.extend(flight, by, now()))
    }
}

/// What an actor finds when it looks after its shard.
pub(crate) enum Look {
    Closed,
    /// To look again then, if ever.
    Again(Option<Instant>),
}

impl<K: Key, V: Value> Engine<K, V> {
    /// The actor's turn: expires what is due, handles what is in the queue. `None` if the shard is out.
    pub(crate) fn look(self: &Arc<Self>, shard: usize) -> Option<Look> {
        self.visit(shard, |state| {
            if state.shard.is_closed() {
                return Look::Closed;
            }
            let next = state.shard.tick(now(), &mut state.effects);
            Look::Again([next, state.drain_deadline()].into_iter().flatten().min())
        })
    }

    /// The actor's end, and its shard's: answers its callers, and refuses joins from now on.
    pub(crate) fn close(self: &Arc<Self>, shard: usize) {
        // Before the turn, which handles what was left for the actor until now. What would be left for it later is handled
        // by those who find that it is gone.
        self.call(shard).end();
        let close = |state: &mut State<K, V>| state.close(state.shard.aborts_abandoned());
        if self.visit(shard, close).is_none() {
            self.post(shard, Message::Ask(Box::new(close)));
        }
    }

    /// Puts a question to a shard, after all that was sent to it before. `Closed` if the shard is.
    pub(crate) fn ask<I, T>(
        self: &Arc<Self>,
        shard: usize,
        input: I,
        question: impl FnOnce(&mut State<K, V>, &I) -> T + Send + 'static,
    ) -> Asked<I, T>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let mut unasked = Some((Contained::new(input), question));
        let answered = self.visit(shard, |state| unasked.take().map(|unasked| answer(state, unasked)));
        if let Some(Some((answered, _unrun))) = answered {
            return Asked::Answered(answered);
        }
        let (reply, receiver) = oneshot::async_channel();
        let question = Box::new(move |state: &mut State<K, V>| {
            let Some((answered, unrun)) = unasked.map(|unasked| answer(state, unasked)) else { return };
            // Wakes the asker, whose waker is user code. So may what a question that was not put has in hand.
            state.actions.push(Action::Run(Deferred::new(move || {
                drop(reply.send(answered));
                drop(unrun);
            })));
        });
        self.post(shard, Message::Ask(question));
        Asked::Queued(receiver)
    }
}

/// The question comes back if the shard is closed.
fn answer<K: Key, V: Value, I, T, Q: FnOnce(&mut State<K, V>, &I) -> T>(
    state: &mut State<K, V>,
    (input, question): (Contained<I>, Q),
) -> (Answered<I, T>, Option<Q>) {
    // As a join does: a shard whose actor's thread is blocked has its flights end with whatever comes next (G11).
    state.shard.expire(now(), &mut state.effects);
    if state.shard.is_closed() {
        return ((input, Err(Closed)), Some(question));
    }
    let answer = question(state, input.get());
    ((input, Ok(answer)), None)
}

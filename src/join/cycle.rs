//! Joins that work makes: whose wait they are, and whether it closes a cycle (G12).

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    delivered::Delivery,
    state::{Joining, Stage},
};
use crate::{
    admission::Lending,
    engine::{After, Engine, Key, Record, Value},
    error::JoinError,
    shard::{FlightId, Leaves, Report},
    task::current::{self, Current},
    trace,
    wait_graph::Waiting,
};

/// A join by which one flight waits for another.
pub(super) struct NestedWait {
    waiting: Waiting,
    /// That other's wait for the flight before it, as its work has not begun, and this one's part in that. The graph hears of it only
    /// where work waits for it.
    pending: Option<[Waiting; 2]>,
    /// For that flight, and the one before it. `None` where executions have no limit, and for flights of other coalescers.
    _lending: [Option<Lending>; 2],
}

impl NestedWait {
    fn closes_cycle(&self, waker: &Waker) -> bool {
        self.pending.iter().flatten().chain([&self.waiting]).any(|wait| wait.closes_cycle(waker))
    }
}

impl<K, V, W, S> Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Tells the wait graph whose work polls this join now, if any, and so waits for the flight that it has joined. True if
    /// that closes a cycle (G12).
    #[inline]
    pub(super) fn closes_cycle(&mut self, waiting: Option<Current>, awaited: &Record<V>, cx: &Context<'_>) -> bool {
        // Nearly always.
        if waiting.is_none() && self.waiting.is_none() {
            return false;
        }
        self.update_waiting(waiting, awaited, cx.waker())
    }

    #[cold]
    fn update_waiting(&mut self, current: Option<Current>, awaited: &Record<V>, waker: &Waker) -> bool {
        let engine = &self.router.engine;
        if self.waiting.as_ref().map(|before| before.waiting.waiting()) != current.map(Current::node) {
            let begin = |current: Current| {
                current::will_wait();
                let awaits = |waiting, awaited| Waiting::begin(&engine.waits, waiting, awaited);
                let itself = engine.node(awaited.flight());
                let first = awaited.awaited_predecessor().map(|first| engine.node(first.flight()));
                // Before this flight's wait, so that a cycle is closed by that: it is this join that is to be refused. And if the other
                // flight's work has begun meanwhile, the graph may have heard of that before it heard of this.
                let pending = engine.pending_node(awaited.flight());
                let beyond = first.map(|first| awaits(pending, first)).filter(|_| !awaited.is_shared());
                let first = beyond.as_ref().map(Waiting::awaited);
                let pending = beyond.map(|beyond| [beyond, awaits(current.node(), pending)]);
                let waiting = awaits(current.node(), itself);
                let lending = [Some(itself), first].map(|awaited| lend(engine, current, awaited?.flight));
                Box::new(NestedWait { waiting, pending, _lending: lending })
            };
            self.waiting = current.map(begin);
        }
        self.waiting.as_ref().is_some_and(|nested| nested.closes_cycle(waker))
    }

    /// Ends a join whose wait closed a cycle, unless its flight has ended meanwhile.
    pub(super) fn reject(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Waiting { number, record, in_place, .. } = &self.stage else { return Poll::Pending };
        let (slot, record, in_place) = (record.slot(*number), Arc::clone(record), *in_place);
        self.waiting = None;
        if self.leave_flight(slot, &record, in_place, Leaves::Rejected) == After::Over {
            return self.poll_outcome(cx);
        }
        let error = JoinError::Reentrant;
        trace::report(&Report::Rejected { reason: error.kind().as_str() });
        Poll::Ready(Err(error))
    }
}

/// The flight whose work this thread runs waits for another of the same coalescer, to which it may lend its permit.
fn lend<K: Key, V: Value>(engine: &Engine<K, V>, current: Current, awaited: FlightId) -> Option<Lending> {
    let admission = engine.admission.as_ref().filter(|_| current.coalescer == engine.identity())?;
    Some(admission.begin_wait(current.flight.id, awaited))
}

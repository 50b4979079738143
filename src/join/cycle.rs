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
    engine::{After, Record},
    error::JoinError,
    shard::{Leaves, Report},
    task::current::Current,
    trace,
    wait_graph::{Node, Waiting},
};

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
        self.update_waiting(waiting.map(Current::node), awaited, cx.waker())
    }

    #[cold]
    fn update_waiting(&mut self, waiting: Option<Node>, awaited: &Record<V>, waker: &Waker) -> bool {
        let engine = &self.router.engine;
        if self.waiting.as_ref().map(|before| before.waiting()) != waiting {
            let begin = |waiting| {
                #[cfg(feature = "batch")]
                crate::task::current::will_wait();
                let beyond = awaited.predecessor().map(|first| engine.node(first.flight()));
                Box::new(Waiting::begin(&engine.waits, waiting, engine.node(awaited.flight()), beyond))
            };
            self.waiting = waiting.map(begin);
        }
        self.waiting.as_ref().is_some_and(|waiting| waiting.closes_cycle(waker))
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

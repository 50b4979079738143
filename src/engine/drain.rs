//! A shard that is being shut down: until when, and who is to be told.

use std::time::Instant;

use super::{
    message::{Action, Key, Value},
    turn::State,
};
use crate::{
    sync::{now, oneshot},
    unwind::{Deferred, contain},
};

/// What became of the flights that were under way when a shutdown began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    pub(crate) finished: usize,
    pub(crate) cut: usize,
}

pub(super) struct Drain {
    /// How many flights there were at its beginning.
    flights: usize,
    /// `None`: as long as it takes.
    deadline: Option<Instant>,
    waiting: Vec<oneshot::Sender<Drained>>,
}

impl<K: Key, V: Value> State<K, V> {
    /// Refuses joins from now on. The shard closes when its last flight has ended, or at the deadline. Repeated calls keep
    /// the earliest deadline, and all who asked are told.
    pub(crate) fn drain(&mut self, deadline: Option<Instant>, reply: oneshot::Sender<Drained>) {
        self.shard.drain();
        let flights = self.shard.flights();
        let drain = self.drain.get_or_insert_with(|| Drain { flights, deadline: None, waiting: Vec::new() });
        drain.deadline = [drain.deadline, deadline].into_iter().flatten().min();
        drain.waiting.push(reply);
        self.actions.push(Action::CallActor { shard: self.number });
        self.end_drain(now);
    }

    /// Closes a shard whose drain is over: its last flight has ended, or its time is up. To be called at a turn's end.
    pub(super) fn end_drain(&mut self, now: impl FnOnce() -> Instant) {
        let Some(drain) = &self.drain else { return };
        if self.shard.flights() == 0 || drain.deadline.is_some_and(|deadline| deadline <= now()) {
            self.close(true);
        }
    }

    /// Answers every caller with `Closed`, and refuses joins from now on. Callers of `shutdown` are told after that.
    pub(crate) fn close(&mut self, abort: bool) {
        if self.shard.is_closed() {
            return;
        }
        let cut = self.shard.flights();
        self.shard.close(abort || self.drain.is_some(), &mut self.effects);
        let totals = self.totals();
        let (shard, observer, drain) = (self.number, self.observer.take(), self.drain.take());
        self.actions.push(Action::Run(Deferred::new(move || {
            if let Some(observer) = observer {
                contain(|| observer.closed(shard, totals));
            }
            let Some(Drain { flights, waiting, .. }) = drain else { return };
            let drained = Drained { finished: flights - cut, cut };
            for reply in waiting {
                // Wakes the asker, whose waker is user code: a panic in it must not keep the others from hearing.
                contain(|| drop(reply.send(drained)));
            }
        })));
        // The actor has nothing left to wait for.
        self.actions.push(Action::CallActor { shard });
    }

    /// When the actor has to look at the latest.
    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        self.drain.as_ref()?.deadline
    }
}

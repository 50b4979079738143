//! The leader's polls of its own work.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    delivered::{Delivered, Delivery},
    state::{Joining, Stage},
    timeout::WaitTimeout,
};
use crate::{
    engine::{Completer, Engine, InPlaceEnd, Launch as _, Needed, ParkedWork, Record},
    observer::WaitEnd,
    task,
};

impl<K, V, W, S> Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The leader's poll of its own work.
    pub(super) fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Waiting { number, record, timeout, in_place } = &mut self.stage else { return Poll::Pending };
        if record.is_over() {
            drop_parked(&self.router.engine, record);
        }
        let Some(work) = record.unpark() else {
            // It has become a task, or the flight was cut short.
            *in_place = false;
            return self.poll_outcome(cx);
        };
        let completer = Completer::new(Arc::clone(&self.router.engine), Arc::clone(record));
        let (number, timeout) = (*number, timeout.take());
        self.drive(number, completer, timeout, work, false, cx)
    }

    /// Polls work that was taken out of the record, and parks it again if it is pending.
    pub(super) fn drive(
        &mut self,
        number: u64,
        // In this poll's hands alone: whatever happens here, dropping this completes the flight (G5).
        mut completer: Completer<K, V>,
        timeout: Option<Box<WaitTimeout>>,
        work: ParkedWork<V>,
        first: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Delivery<V>> {
        self.stage = Stage::Done;
        let mut work = Some(work);
        let polled = task::poll_in_place(&mut work, &mut completer, cx);
        if let Poll::Ready(output) = polled {
            let own = match completer.complete_in_place(output) {
                InPlaceEnd::Own(value) => value.map(Delivered::Own),
                InPlaceEnd::Elsewhere(record) => {
                    self.stage = Stage::Waiting { number, record, in_place: false, timeout };
                    return self.poll_outcome(cx);
                }
            };
            self.router.waited(WaitTimeout::since(timeout.as_deref()), WaitEnd::Answered);
            return Poll::Ready(own);
        }
        let needed = work.and_then(|work| completer.record().park(work));
        let in_place = needed.is_none();
        let record = match needed {
            Some((work, Needed::AsTask)) => {
                let record = completer.share_record();
                work.launch(completer);
                record
            }
            Some((work, Needed::Dropped)) => {
                let record = completer.share_record();
                completer.drop_first(work);
                record
            }
            None => completer.disarm(),
        };
        self.stage = Stage::Waiting { number, record, in_place, timeout };
        // The waker of the first poll is with the flight since its turn.
        if first && in_place { Poll::Pending } else { self.poll_outcome(cx) }
    }
}

/// Drops work of a leader whose flight is over.
pub(super) fn drop_parked<K, V>(engine: &Arc<Engine<K, V>>, record: &Arc<Record<V>>)
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    if let Some(work) = record.unpark() {
        Completer::new(Arc::clone(engine), Arc::clone(record)).drop_first(work);
    }
}

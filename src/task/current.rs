//! Which flight's work is running on this thread right now, so that a join can tell by whom it is made (G12), and work its own
//! flight.

use std::{
    any::Any,
    cell::Cell,
    mem::ManuallyDrop,
    sync::{Arc, Weak},
};

use crate::{
    engine::{Record, Value},
    shard::FlightRef,
    sync::thread_local,
    wait_graph::Node,
};

/// A flight of some coalescer; the first part tells coalescers apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) coalescer: u64,
    pub(crate) flight: FlightRef,
}

impl Current {
    /// In the wait graph.
    pub(crate) fn node(self) -> Node {
        Node { coalescer: self.coalescer, flight: self.flight.id, is_pending: false }
    }
}

/// A flight's record, whatever its values are; or what stands in for one where a thread runs something else that may wait for flights.
pub(crate) trait AnyRecord: Any + Send + Sync {
    fn is_forgotten(&self) -> bool;

    /// A join that this work polls is about to wait. Comes before the wait is in the graph.
    fn will_wait(&self);
}

impl<V: Value> AnyRecord for Record<V> {
    fn is_forgotten(&self) -> bool {
        Record::is_forgotten(self)
    }

    fn will_wait(&self) {
        // Its permit may be lent meanwhile.
        self.ticket().track();
    }
}

/// Without a destructor: a thread-local that has one is gone when the thread ends, and joins are made after that.
type Held = Option<ManuallyDrop<Arc<dyn AnyRecord>>>;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
    /// The record of the same flight. Moved here and back, as a clone at each poll would write to what all callers share.
    static RECORD: Cell<Held> = const { Cell::new(None) };
}

/// Until the guard is dropped, this thread runs work of that flight, and has its record.
pub(crate) fn enter<R: AnyRecord>(current: Current, record: &mut Option<Arc<R>>) -> Entered<'_, R> {
    let held = record.take().map(|record| -> Arc<dyn AnyRecord> { record }).map(ManuallyDrop::new);
    Entered {
        current_before: CURRENT.with(|cell| cell.replace(Some(current))),
        record_before: RECORD.with(|cell| cell.replace(held)),
        home: record,
    }
}

pub(crate) fn get() -> Option<Current> {
    CURRENT.with(Cell::get)
}

/// The record of the flight whose work this thread runs.
pub(crate) fn record() -> Option<Weak<dyn AnyRecord>> {
    RECORD.with(|cell| {
        let held = cell.take();
        let record = held.as_ref().map(|record| Arc::downgrade(record));
        cell.set(held);
        record
    })
}

/// Tells the record of whose work this thread runs that a join of it is about to wait.
pub(crate) fn will_wait() {
    // It is in its place meanwhile, as it may be asked for.
    record().and_then(|record| record.upgrade()).iter().for_each(|record| record.will_wait());
}

pub(crate) struct Entered<'a, R: AnyRecord> {
    current_before: Option<Current>,
    record_before: Held,
    /// Where the record belongs.
    home: &'a mut Option<Arc<R>>,
}

impl<R: AnyRecord> Drop for Entered<'_, R> {
    fn drop(&mut self) {
        CURRENT.with(|cell| cell.set(self.current_before));
        let held = RECORD.with(|cell| cell.replace(self.record_before.take()));
        let record: Option<Arc<dyn Any + Send + Sync>> = held.map(|record| ManuallyDrop::into_inner(record) as _);
        *self.home = record.and_then(|record| record.downcast().ok());
        debug_assert!(
            self.home.is_some(),
            "guards are dropped in the reverse of their order, so it is the same record"
        );
    }
}

//! A batch in the wait graph, so that a loader that would wait for itself is told (G12).

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use crate::{
    shard::{FlightId, FlightRef},
    task::current::{self, AnyRecord, Current},
    wait_graph::{Node, WaitGraph, Waiting},
};

/// The flights of a batch's keys wait for the batch. They do so in the graph from the first time that the loader joins something, as
/// few loaders ever do.
pub(super) struct BatchRecord {
    identity: u64,
    flights: Vec<Node>,
    graph: Arc<WaitGraph>,
    waits: OnceLock<Vec<Waiting>>,
    /// Tells the collector that the loader has joined something.
    tell: Box<dyn Fn() + Send + Sync>,
}

impl BatchRecord {
    pub(super) fn new(
        identity: u64,
        flights: Vec<Node>,
        graph: Arc<WaitGraph>,
        tell: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { identity, flights, graph, waits: OnceLock::new(), tell: Box::new(tell) }
    }

    /// What the loader's joins are made by.
    pub(super) fn current(&self) -> Current {
        Current { coalescer: self.identity, flight: FlightRef { hash: 0, id: FlightId::first_of(0) } }
    }
}

impl AnyRecord for BatchRecord {
    fn is_forgotten(&self) -> bool {
        false
    }

    fn will_wait(&self) {
        let batch = self.current().node();
        let wait = |flight: &Node| Waiting::begin(&self.graph, *flight, batch);
        self.waits.get_or_init(|| {
            (self.tell)();
            self.flights.iter().map(wait).collect()
        });
    }
}

/// The batch whose loader this thread runs.
pub(super) fn current_batch() -> Option<u64> {
    let record: Arc<dyn Any + Send + Sync> = current::record()?.upgrade()?;
    record.downcast_ref::<BatchRecord>().map(|batch| batch.identity)
}

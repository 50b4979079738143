//! Which flight's work is running on this thread right now, so that a join can tell by whom it is made (G12).

use std::cell::Cell;

use crate::{shard::FlightRef, sync::thread_local, wait_graph::Node};

/// A flight of some coalescer; the first part tells coalescers apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) coalescer: u64,
    pub(crate) flight: FlightRef,
}

impl Current {
    /// In the wait graph.
    pub(crate) fn node(self) -> Node {
        Node { coalescer: self.coalescer, flight: self.flight.id }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// Until the guard is dropped, this thread runs work of that flight.
pub(crate) fn enter(current: Option<Current>) -> Entered {
    Entered { before: CURRENT.with(|cell| cell.replace(current)) }
}

pub(crate) fn get() -> Option<Current> {
    CURRENT.with(Cell::get)
}

pub(crate) struct Entered {
    before: Option<Current>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|cell| cell.set(self.before));
    }
}

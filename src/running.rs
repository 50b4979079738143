//! Which flight's work is running on this thread right now, so that a join can tell by whom it is made (G12).

use std::cell::Cell;

use crate::{host::thread_local, shard::FlightRef};

/// A flight of some coalescer; the first part tells coalescers apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) coalescer: usize,
    pub(crate) flight: FlightRef,
}

thread_local! {
    static RUNNING: Cell<Option<Running>> = const { Cell::new(None) };
}

/// Until the guard is dropped, this thread runs work of that flight.
pub(crate) fn enter(running: Option<Running>) -> Entered {
    Entered { before: RUNNING.with(|current| current.replace(running)) }
}

pub(crate) fn current() -> Option<Running> {
    RUNNING.with(Cell::get)
}

pub(crate) struct Entered {
    before: Option<Running>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        RUNNING.with(|current| current.set(self.before));
    }
}

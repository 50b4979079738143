//! The loader that a read brings, on its way to the load that calls it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::unwind::Contained;

/// A loader, until the load that it is for calls it.
pub(super) enum Loader<L> {
    /// For one join. `None` when that has it.
    Once(Option<Contained<L>>),
    Repeated(Arc<Repeated<L>>),
}

/// The read that brought it joins again with the same one, where the flight that it joined was led by another and is too old.
pub(super) struct Repeated<L>(Mutex<Option<Contained<L>>>);

impl<L> Loader<L> {
    /// For a read that began in this generation. In the first one, no load is too old for it.
    pub(super) fn new(load: Contained<L>, began: u64) -> Self {
        match began {
            0 => Self::once(load),
            _ => Self::repeated(load),
        }
    }

    pub(super) fn repeated(load: Contained<L>) -> Self {
        Self::Repeated(Arc::new(Repeated(Mutex::new(Some(load)))))
    }

    pub(super) fn once(load: Contained<L>) -> Self {
        Self::Once(Some(load))
    }

    /// What a join takes along.
    pub(super) fn lend(&mut self) -> Self {
        match self {
            Self::Once(load) => Self::Once(load.take()),
            Self::Repeated(shared) => Self::Repeated(Arc::clone(shared)),
        }
    }

    pub(super) fn take(self) -> L {
        let load = match self {
            Self::Once(load) => load,
            Self::Repeated(shared) => shared.0.lock().unwrap_or_else(PoisonError::into_inner).take(),
        };
        load.expect("a join that led took its loader, and is never repeated").into_inner()
    }
}

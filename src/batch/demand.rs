//! How many keys of a batch still wait for their answer.

use std::{
    sync::atomic::{AtomicU8, AtomicUsize, Ordering},
    task::Waker,
};

use crate::sync::AtomicWaker;

/// Why a key waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Answered,
    /// Its flight is gone: it expired, or its last caller left.
    Left,
}

pub(super) struct Demand {
    /// One for the dispatcher while it puts the batch together.
    waiting: AtomicUsize,
    /// How the last key's wait ended.
    ended: AtomicU8,
    /// The batch's task, which is to hear of that.
    waker: AtomicWaker,
}

const NOT_ENDED: u8 = 0;
const ALL_ANSWERED: u8 = 1;
const LAST_LEFT: u8 = 2;

impl Demand {
    pub(super) fn new() -> Self {
        Self { waiting: AtomicUsize::new(1), ended: AtomicU8::new(NOT_ENDED), waker: AtomicWaker::new() }
    }

    pub(super) fn add(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// True if its batch's task was woken, as this was the last.
    pub(super) fn end(&self, end: End) -> bool {
        if self.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            let ended = if end == End::Left { LAST_LEFT } else { ALL_ANSWERED };
            // Relaxed: the waker orders it, see `poll`.
            self.ended.store(ended, Ordering::Relaxed);
            self.waker.wake();
            return true;
        }
        false
    }

    /// How the last key's wait ended; until it has, the waker is kept.
    pub(super) fn poll(&self, waker: &Waker) -> Option<End> {
        self.ended().or_else(|| {
            self.waker.register(waker);
            // Again: an end between the two found an older waker, or none. Registering acquires what it released.
            self.ended()
        })
    }

    fn ended(&self) -> Option<End> {
        match self.ended.load(Ordering::Relaxed) {
            ALL_ANSWERED => Some(End::Answered),
            LAST_LEFT => Some(End::Left),
            _ => None,
        }
    }
}

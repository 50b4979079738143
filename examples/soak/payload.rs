//! What is asked for, and what counts how much of it is left.

use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) type Answered = Result<Payload, Failure>;

/// What work may fail with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Itself,
    /// It had joined another key, and got no value either.
    Other,
    /// It would have waited for itself.
    Reentrant,
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// A value large enough to be missed, which counts how many of its kind there are (G6).
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
}

impl Payload {
    pub(crate) fn new(size: usize) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self { bytes: vec![0; size] }
    }

    pub(crate) fn alive() -> usize {
        ALIVE.load(Ordering::Relaxed)
    }
}

impl Clone for Payload {
    fn clone(&self) -> Self {
        Self::new(self.bytes.len())
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

//! The values that callers get, which count how many of them exist.

use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) type Answered = Result<Payload, Failure>;

/// What work may fail with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Itself,
    /// It joined another key, and got no value.
    Other,
    /// It joined a flight that waits for it.
    Reentrant,
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// A value that is large enough for a leak to show, and that counts its instances (G6).
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

//! Where a flight stands: whether its work may begin. In the flight's record.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use crate::{config::Priority, shard::FlightId, sync::AtomicU8};

/// Two bytes, which fit beside the record's flags.
pub(crate) struct Ticket {
    stand: AtomicU8,
    /// The highest of its callers'. Only turns of the flight's shard change it.
    class: AtomicU8,
}

/// Exactly one step takes a flight out of the queue, as each of them has to find it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stand {
    /// It has not asked yet; where executions have no limit, it never does.
    Unasked,
    Queued,
    /// It has a permit.
    Granted,
    /// It has a permit, or another's, and the scheduler has to hear of its end: it has borrowed, or may lend.
    Tracked,
    /// Its last caller has left before, or its flight was cut short. Its work never begins.
    Cancelled,
    /// The queue was full.
    Shed,
    /// It has waited for too long.
    TimedOut,
    /// Its execution has ended.
    Over,
}

impl Stand {
    const ALL: [Self; 8] = [
        Self::Unasked,
        Self::Queued,
        Self::Granted,
        Self::Tracked,
        Self::Cancelled,
        Self::Shed,
        Self::TimedOut,
        Self::Over,
    ];

    fn of(byte: u8) -> Self {
        Self::ALL[usize::from(byte)]
    }
}

// Relaxed: the scheduler's cell orders its steps, and a task that is woken for one is ordered by its `AtomicWaker`.
impl Ticket {
    pub(crate) fn new() -> Self {
        Self { stand: AtomicU8::new(Stand::Unasked as u8), class: AtomicU8::new(Priority::Normal as u8) }
    }

    pub(crate) fn stand(&self) -> Stand {
        Stand::of(self.stand.load(Ordering::Relaxed))
    }

    /// False if it was elsewhere.
    pub(super) fn step(&self, from: Stand, to: Stand) -> bool {
        self.stand.compare_exchange(from as u8, to as u8, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// From the queue. False if it has left the queue before.
    pub(super) fn leave(&self, to: Stand) -> bool {
        self.step(Stand::Queued, to)
    }

    /// The work is not to begin. False if it may have.
    pub(crate) fn cancel(&self) -> bool {
        loop {
            let stand = self.stand();
            if !matches!(stand, Stand::Unasked | Stand::Queued) {
                return false;
            }
            // It may have got into the queue meanwhile, once.
            if self.step(stand, Stand::Cancelled) {
                return true;
            }
        }
    }

    /// Whether the work may still have to wait.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(self.stand(), Stand::Unasked | Stand::Queued)
    }

    /// Its work waits for another flight, so it may lend its permit.
    pub(crate) fn track(&self) {
        self.step(Stand::Granted, Stand::Tracked);
    }

    /// Its execution is over. Where it stood.
    pub(super) fn end(&self) -> Stand {
        Stand::of(self.stand.swap(Stand::Over as u8, Ordering::Relaxed))
    }

    pub(crate) fn class(&self) -> Priority {
        Priority::ALL[usize::from(self.class.load(Ordering::Relaxed))]
    }

    pub(crate) fn set_class(&self, class: Priority) {
        self.class.store(class as u8, Ordering::Relaxed);
    }
}

/// A flight, as the scheduler sees it.
pub(crate) trait Queued: Send + Sync {
    fn flight(&self) -> FlightId;
    fn ticket(&self) -> &Ticket;
    /// Of its task, which waits for its permit. No waker of a user's.
    fn take_waker(&self) -> Option<Waker>;
}

pub(super) type QueuedFlight = Arc<dyn Queued>;

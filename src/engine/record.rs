//! What the callers of one flight and its work share: the outcome, and what the work is told.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    task::Waker,
    time::{Duration, Instant},
};

use crossbeam_utils::atomic::AtomicCell;
use tracing::Span;

use super::{
    message::Value,
    published::{ArcWanted, PublishMixed, Published, Takes},
    spares::Spares,
};
use crate::{
    admission::{Queued, Ticket},
    error::{JoinError, TryJoinError},
    shard::{Begins, FlightId, FlightRef, Slot},
    sync::{AtomicU8, AtomicU32, AtomicWaker, Cell, OnceLock},
    trace,
    unwind::drop_contained,
};

/// How a flight ended.
type Outcome<V> = Result<Published<V>, JoinError>;

/// What work returns.
pub(crate) struct Output<V> {
    pub(crate) value: V,
    /// Whether it is the work's own error, where the join could tell (`try_join`).
    pub(crate) is_error: bool,
}

/// What work came to: its output, or why there is none.
pub(crate) type Ending<V> = Result<Output<V>, JoinError>;

/// Work that runs in no task, as its leader polls it or as it is not to begin yet. Boxed, so that it can be moved to a task.
pub(crate) enum ParkedWork<V> {
    Async(BoxedFuture<V>),
    /// A closure that blocks.
    Blocking(Box<dyn FnOnce() -> Output<V> + Send>),
}

pub(crate) type BoxedFuture<V> = Pin<Box<dyn Future<Output = Ending<V>> + Send>>;

/// The flight is over and its work has to be dropped.
const ABORTED: u8 = 1;
/// Work that the leader polls has to become a task, as a second caller waits for it; or pending work has to begin.
const SHARED: u8 = 2;
/// A caller wants the value in an `Arc`.
const ARC_WANTED: u8 = 4;
/// The work was called.
const CALLED: u8 = 8;
/// The work waits until aborted work of its key is gone. Said at the beginning, and never changed.
const AFTER_ABORTED: u8 = 16;
/// A caller wants the value's error in an `Arc`.
const ERROR_WANTED: u8 = 32;
/// No join finds the flight any more, though it may go on.
const FORGOTTEN: u8 = 64;
/// Work waits for this flight, whose own work is pending: the wait graph has that it waits for its predecessor.
const AWAITED_BY_WORK: u8 = 128;

pub(crate) struct Record<V> {
    flight: FlightRef,
    /// What most flights don't have, in one word.
    rare: Option<Box<Rare<V>>>,
    /// Set once, in the turn that unmapped the flight.
    outcome: OnceLock<Outcome<V>>,
    flags: AtomicU8,
    /// Whether the work may begin, where executions have a limit.
    ticket: Ticket,
    /// How long it has waited for that, in microseconds.
    queued: AtomicU32,
    /// The work's task, which has to be woken to learn that it is aborted, or that it may begin.
    task: AtomicWaker,
    /// Work that its leader polls, while it is not being polled; or work that has not begun.
    parked: Cell<ParkedWork<V>>,
    /// Blocking work that waits for a thread.
    unbegun: Cell<Unbegun>,
    /// Of the callers so far, the way of one that can do most with the value. Only turns of the flight's shard look at it.
    publish_mixed: AtomicCell<Option<PublishMixed<V>>>,
}

struct Rare<V> {
    /// The flight under way that the work of this one waits for.
    predecessor: Option<Weak<Record<V>>>,
    /// For followers to say that it follows from theirs. Its work keeps it open, and nothing else does.
    span: std::sync::OnceLock<Weak<Span>>,
    /// Of a flight that may be taken over.
    spares: Option<Arc<Spares<V>>>,
}

/// Blocking work that no thread has begun. Run or dropped, it completes its flight.
pub(crate) type Unbegun = Box<dyn FnOnce() + Send>;

impl<V> Record<V> {
    pub(crate) fn new(flight: FlightRef, begins: Begins<&Arc<Self>>, takeovers: usize) -> Arc<Self> {
        let (predecessor, flags) = match begins {
            Begins::AtOnce => (None, 0),
            Begins::After(first) => (Some(Arc::downgrade(first)), 0),
            Begins::AfterAborted => (None, AFTER_ABORTED),
        };
        Arc::new(Self {
            flight,
            // A subscriber that comes later finds no span here.
            rare: (predecessor.is_some() || takeovers != 0 || trace::is_on()).then(|| {
                let spares = (takeovers != 0).then(|| Spares::new(takeovers));
                Box::new(Rare { predecessor, span: std::sync::OnceLock::new(), spares })
            }),
            outcome: OnceLock::new(),
            flags: AtomicU8::new(flags),
            ticket: Ticket::new(),
            queued: AtomicU32::new(0),
            task: AtomicWaker::new(),
            parked: Cell::empty(),
            unbegun: Cell::empty(),
            publish_mixed: AtomicCell::new(None),
        })
    }

    pub(crate) fn flight(&self) -> FlightRef {
        self.flight
    }

    /// Of the flight under way that it waited for at its beginning, as long as anyone has it.
    pub(crate) fn predecessor(&self) -> Option<Arc<Self>> {
        self.rare.as_ref()?.predecessor.as_ref()?.upgrade()
    }

    /// The flight that this one's work is still to wait for, where other work waits for this one: when it has begun, the wait graph
    /// is to hear of it.
    pub(crate) fn awaited_predecessor(&self) -> Option<Arc<Self>> {
        let first = self.predecessor()?;
        // Relaxed: all that is decided by these two flags is decided by their order in this one word.
        (self.flags.fetch_or(AWAITED_BY_WORK, Ordering::Relaxed) & SHARED == 0).then_some(first)
    }

    /// The predecessor, if the wait graph may have a wait for it.
    pub(super) fn no_longer_awaits(&self) -> Option<Arc<Self>> {
        (self.flags.load(Ordering::Relaxed) & AWAITED_BY_WORK != 0).then(|| self.predecessor()).flatten()
    }

    /// Whether its work waits at its beginning. When it no longer does, its shard has it begin.
    pub(crate) fn begins_later(&self) -> bool {
        // Relaxed: it is said before the record is anywhere else.
        self.rare.as_ref().is_some_and(|rare| rare.predecessor.is_some())
            || self.flags.load(Ordering::Relaxed) & AFTER_ABORTED != 0
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The work has waited this long for its permit.
    pub(crate) fn note_queued(&self, waited: Duration) {
        // Relaxed: said before the work is called, by what has it.
        self.queued.store(u32::try_from(waited.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Since when the work of a flight that started then runs. `None` if it was never called.
    pub(super) fn ran_since(&self, started: Instant) -> Option<Instant> {
        let queued = Duration::from_micros(self.queued.load(Ordering::Relaxed).into());
        self.was_called().then(|| started.checked_add(queued)).flatten()
    }

    /// The work is about to be called. Tells the first time from others.
    pub(crate) fn call(&self) -> bool {
        // Relaxed: only what has the work does this, and the flag says no more. Read first, as it is asked at each poll.
        !self.was_called() && self.flags.fetch_or(CALLED, Ordering::Relaxed) & CALLED == 0
    }

    pub(crate) fn was_called(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CALLED != 0
    }

    /// A caller's slot, by its number.
    pub(crate) fn slot(&self, number: u64) -> Slot {
        Slot { flight: self.flight, number }
    }

    /// Once, by its leader.
    pub(crate) fn set_span(&self, span: Weak<Span>) {
        let _ = self.rare.as_ref().map(|rare| rare.span.set(span));
    }

    pub(crate) fn span(&self) -> Option<Arc<Span>> {
        self.rare.as_ref()?.span.get()?.upgrade()
    }

    /// What followers leave here, if the flight may be taken over.
    pub(crate) fn spares(&self) -> Option<&Arc<Spares<V>>> {
        self.rare.as_ref()?.spares.as_ref()
    }

    /// Whether the outcome is published.
    pub(crate) fn is_over(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// To be called in the turn from which on no join finds the flight, before its end.
    pub(super) fn forget(&self) {
        // Relaxed: what happens after that turn, as the return of a `forget`, happens after this; it is ordered with no other
        // value.
        self.flags.fetch_or(FORGOTTEN, Ordering::Relaxed);
    }

    /// Whether joins find the flight no longer.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & FORGOTTEN != 0 || self.is_over()
    }

    pub(crate) fn error(&self) -> Option<&JoinError> {
        self.outcome.get()?.as_ref().err()
    }

    /// What a join takes of the value. To be called in its turn.
    #[inline]
    pub(super) fn note(&self, takes: Takes<V>, leads: bool) {
        // Relaxed: the turn that publishes is another turn of the same shard.
        match takes {
            Takes::Clone(publish) => {
                // Otherwise the leader has noted the same.
                if leads || self.flags.load(Ordering::Relaxed) & (ARC_WANTED | ERROR_WANTED) != 0 {
                    self.publish_mixed.store(Some(publish));
                }
            }
            Takes::Arc => {
                self.flags.fetch_or(ARC_WANTED, Ordering::Relaxed);
            }
            Takes::SharedError(publish) => {
                self.flags.fetch_or(ERROR_WANTED, Ordering::Relaxed);
                if self.publish_mixed.load().is_none() {
                    self.publish_mixed.store(Some(publish));
                }
            }
        }
    }

    /// To be called in the turn that unmapped the flight, after that: a join that comes later finds no flight (G3). Runs
    /// nothing of the user's.
    pub(super) fn publish(&self, ending: Ending<V>) {
        let flags = self.flags.load(Ordering::Relaxed);
        let arc_wanted = flags & ARC_WANTED != 0;
        let publish = |value| match self.publish_mixed.load() {
            Some(publish) if flags & ERROR_WANTED != 0 => publish(value, ArcWanted(arc_wanted)),
            _ if arc_wanted => Published::Shared(Arc::new(value)),
            _ => Published::Plain(value),
        };
        if let Err(second) = self.outcome.set(ending.map(|output| publish(output.value))) {
            drop_contained(second);
            debug_assert!(false, "a flight is unmapped once, so its outcome is published once");
        }
    }

    /// A caller's own value: the flight's, if no other caller has the record any more, else a clone, made here in the caller's
    /// poll. A panicking `Clone` or `Drop` reaches this caller alone (G13).
    pub(crate) fn into_value(self: Arc<Self>, clone: fn(&V) -> V) -> Result<V, JoinError> {
        // Most callers aren't the last. They see it without writing to what all of them share.
        let last = if Arc::strong_count(&self) == 1 { Arc::try_unwrap(self) } else { Err(self) };
        match last {
            Ok(mut record) => record.outcome.take().unwrap_or(Err(JoinError::Aborted))?.into_value(clone),
            Err(record) => record.published()?.to_value(clone),
        }
    }

    /// The value that all callers share. For a caller that [takes](Takes::Arc) it.
    pub(crate) fn into_arc(self: Arc<Self>) -> Result<Arc<V>, JoinError> {
        self.published()?.to_arc().ok_or(JoinError::Aborted)
    }

    fn published(&self) -> Result<&Published<V>, JoinError> {
        self.outcome.get().map_or(Err(JoinError::Aborted), |outcome| outcome.as_ref().map_err(JoinError::clone))
    }

    pub(crate) fn is_aborted(&self) -> bool {
        // Relaxed where it is asked between polls: `register` below makes sure of the rest.
        self.flags.load(Ordering::Relaxed) & ABORTED != 0
    }

    /// The task that is to hear of an abort. True if it is aborted already.
    pub(crate) fn register(&self, task: &Waker) -> bool {
        self.task.register(task);
        // `AtomicWaker` orders the two: either `abort` finds this waker, or its flag, set before, is seen here.
        self.is_aborted()
    }

    /// Leaves blocking work for the thread that begins it.
    pub(crate) fn offer(&self, work: Unbegun) {
        drop_contained(self.unbegun.put(Box::new(work)));
    }

    /// For the thread that is to run it: one of all that ask gets it.
    pub(crate) fn claim(&self) -> Option<Unbegun> {
        self.unbegun.take().map(|work| *work)
    }

    /// Has the work dropped by its task. Work that is in none comes back, for the caller to drop, and then to complete.
    #[must_use = "dropping work runs user code"]
    pub(super) fn abort(&self) -> Option<Box<ParkedWork<V>>> {
        self.flags.fetch_or(ABORTED, Ordering::Relaxed);
        self.ticket.cancel();
        self.task.wake();
        self.spares().into_iter().for_each(|spares| spares.stop());
        self.parked.take()
    }

    /// The work is to be a task: a second caller has come, the leader has left, or it is to begin. It comes back unless its
    /// leader has it just now, in which case [`park`](Self::park) gives it to the leader again.
    pub(crate) fn share(&self) -> Option<Box<ParkedWork<V>>> {
        self.flags.fetch_or(SHARED, Ordering::Relaxed);
        self.parked.take()
    }

    /// Whether its work is a task, or is about to be. Of pending work: whether it has begun.
    pub(crate) fn is_shared(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & SHARED != 0
    }

    /// The leader's work, to be polled. `None` if it is no longer the leader's to poll.
    pub(crate) fn unpark(&self) -> Option<ParkedWork<V>> {
        self.parked.take().map(|work| *work)
    }

    /// Leaves the work for the leader's next poll, or for the thread that needs it before. It comes back if it is needed already.
    pub(crate) fn park(&self, work: ParkedWork<V>) -> Option<(Box<ParkedWork<V>>, Needed)> {
        drop_contained(self.parked.put(Box::new(work)));
        // `share` and `abort` set their flag and then swap the cell. A swap of theirs that found it empty came before ours
        // in the cell's order, ours acquires what theirs released, and so we see the flag.
        let needed = match self.flags.load(Ordering::Relaxed) {
            flags if flags & ABORTED != 0 => Needed::Dropped,
            flags if flags & SHARED != 0 => Needed::AsTask,
            _ => return None,
        };
        self.parked.take().map(|work| (work, needed))
    }
}

impl<V: Value> Queued for Record<V> {
    fn flight(&self) -> FlightId {
        self.flight.id
    }

    fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    fn take_waker(&self) -> Option<Waker> {
        self.task.take()
    }
}

impl<T: Clone, E: Send + Sync + 'static> Record<Result<T, E>> {
    /// For a caller that [takes](Takes::SharedError) the error that all such callers share.
    pub(crate) fn into_result(self: Arc<Self>) -> Result<T, TryJoinError<Arc<E>>> {
        if let Some(error) = self.published()?.to_shared_error() {
            return Err(TryJoinError::Work(error?));
        }
        match self.into_value(clone_ok)? {
            Ok(value) => Ok(value),
            Err(error) => Err(TryJoinError::Work(Arc::new(error))),
        }
    }
}

/// Of a value that was looked at before, and is no error.
#[expect(clippy::unnecessary_wraps, reason = "so clones are made of values, which are results")]
fn clone_ok<T: Clone, E>(value: &Result<T, E>) -> Result<T, E> {
    match value {
        Ok(value) => Ok(value.clone()),
        Err(_) => unreachable!("it is no error"),
    }
}

/// What is to become of work that its leader has just had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    AsTask,
    Dropped,
}

/// The last owner drops the value: one of its callers, in nearly all cases. A panic in its `Drop` ends here (G13).
impl<V> Drop for Record<V> {
    fn drop(&mut self) {
        drop_contained(self.outcome.take());
        drop_contained(mem::replace(&mut self.parked, Cell::empty()).into_inner());
    }
}

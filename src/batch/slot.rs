//! One key's place: where its flight waits, and where its answer comes.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use super::demand::{Demand, End};
use crate::{
    error::{JoinError, TryJoinError},
    sync::AtomicWaker,
    unwind::{Contained, catch, contain, drop_contained},
    wait_graph::Node,
};

/// What a key's callers are told.
pub(super) enum Answer<T, E> {
    /// `None`: the backend doesn't have it.
    Value(Option<T>),
    Error(E),
    /// The whole batch's.
    Batch(Arc<E>),
    Join(JoinError),
}

/// The value of a batcher's flights.
pub struct Loaded<T, E>(Arc<Slot<T, E>>);

pub(super) struct Slot<T, E> {
    /// Which of two comes first: its batch, or the departure of its last caller; and whether it has ended.
    state: AtomicU8,
    answer: OnceLock<Answer<T, E>>,
    /// The flight's, which is its leader's own while that polls the work itself.
    waker: AtomicWaker,
    /// That of its batch, from when it is assigned.
    demand: OnceLock<Arc<Demand>>,
    /// Its flight, in the wait graph.
    flight: Option<Node>,
}

/// It is in a batch.
const ASSIGNED: u8 = 1;
/// It has its answer, or its flight is gone.
const ENDED: u8 = 2;

/// What a key left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It is in no batch: the collector is to know.
    Queue,
    Batch,
    /// A batch for which no key waits any more. Its task was woken.
    BatchEmpty,
}

impl<T, E> Slot<T, E> {
    pub(super) fn new(flight: Option<Node>) -> Self {
        Self {
            state: AtomicU8::new(0),
            answer: OnceLock::new(),
            waker: AtomicWaker::new(),
            demand: OnceLock::new(),
            flight,
        }
    }

    pub(super) fn flight(&self) -> Option<Node> {
        self.flight
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.load(Ordering::Relaxed) & ENDED != 0
    }

    /// Takes it into a batch. False if its flight is gone.
    pub(super) fn assign(&self, demand: &Arc<Demand>) -> bool {
        demand.add();
        let is_first = self.demand.set(Arc::clone(demand)).is_ok();
        debug_assert!(is_first, "the collector gives a slot away once");
        // Releases the demand to a departure that finds the slot assigned.
        let is_there = self.state.fetch_or(ASSIGNED, Ordering::AcqRel) & ENDED == 0;
        if !is_there {
            demand.end(End::Answered);
        }
        is_there
    }

    /// Its flight is gone.
    pub(super) fn leave(&self) -> Left {
        let left = match self.state.fetch_or(ENDED, Ordering::AcqRel) {
            0 => Left::Queue,
            ASSIGNED if self.demand.get().is_some_and(|demand| demand.end(End::Left)) => Left::BatchEmpty,
            _ => Left::Batch,
        };
        // It may be a caller's own, whose drop is not the dispatcher's to wait for.
        drop_contained(self.waker.take());
        left
    }

    /// False if its flight was gone. A second answer is dropped. Neither that nor a waker unwinds.
    pub(super) fn answer(slot: Arc<Self>, answer: Answer<T, E>) -> bool {
        if let Err(second) = slot.answer.set(answer) {
            drop_contained(second);
        }
        let before = slot.state.fetch_or(ENDED, Ordering::AcqRel);
        if before == ASSIGNED
            && let Some(demand) = slot.demand.get()
        {
            demand.end(End::Answered);
        }
        let waker = slot.waker.take();
        // Before the caller wakes: if this was the last share but the caller's own, that moves the value out.
        drop_contained(slot);
        if let Some(waker) = waker {
            contain(|| waker.wake());
        }
        before & ENDED == 0
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.answer.get().is_none() {
            self.waker.register(cx.waker());
            // Again: an answer between the two found an older waker, or none.
            if self.answer.get().is_none() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl<T, E> Loaded<T, E> {
    pub(super) fn new(slot: Arc<Slot<T, E>>) -> Self {
        Self(slot)
    }
}

impl<T: Clone, E: Clone> Loaded<T, E> {
    /// Moves the answer out, or clones what it has in it if others have a share.
    pub(super) fn take(self) -> Result<Option<T>, TryJoinError<E>> {
        let shared = match Arc::try_unwrap(self.0) {
            Ok(slot) => return slot.answer.into_inner().map_or(Err(JoinError::Aborted.into()), Answer::into_result),
            Err(shared) => Contained::new(shared),
        };
        let cloned = catch(|| shared.get().answer.get().map(Answer::to_result));
        match cloned {
            Ok(result) => result.unwrap_or(Err(JoinError::Aborted.into())),
            Err(panic) => Err(JoinError::Panicked(panic).into()),
        }
    }
}

impl<T: Clone, E: Clone> Answer<T, E> {
    fn into_result(self) -> Result<Option<T>, TryJoinError<E>> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Error(error) => Err(TryJoinError::Work(error)),
            Self::Batch(error) => own(error),
            Self::Join(error) => Err(error.into()),
        }
    }

    fn to_result(&self) -> Result<Option<T>, TryJoinError<E>> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Error(error) => Err(TryJoinError::Work(error.clone())),
            Self::Batch(error) => Err(TryJoinError::Work(E::clone(error))),
            Self::Join(error) => Err(error.clone().into()),
        }
    }
}

fn own<T, E: Clone>(error: Arc<E>) -> Result<T, TryJoinError<E>> {
    let shared = match Arc::try_unwrap(error) {
        Ok(error) => return Err(TryJoinError::Work(error)),
        Err(shared) => Contained::new(shared),
    };
    match catch(|| E::clone(shared.get())) {
        Ok(error) => Err(TryJoinError::Work(error)),
        Err(panic) => Err(JoinError::Panicked(panic).into()),
    }
}

impl<T, E> Clone for Loaded<T, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, E> std::fmt::Debug for Loaded<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").finish_non_exhaustive()
    }
}

//! One join, from its first poll to its answer: lazy, and safe to drop at any moment (G2).

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use super::{
    cycle::NestedWait,
    delivered::{Delivered, Delivery},
    in_place::drop_parked,
    timeout::WaitTimeout,
};
use crate::{
    config::SharedOptions,
    engine::{After, Answer, BoxedFuture, Completer, Key, LatestWaker, Launch as _, Message, Record, Value},
    error::JoinError,
    observer::WaitEnd,
    router::Router,
    shard::{Leaves, Renewed, Slot},
    sync::oneshot,
    task::{self, current},
    trace,
    unwind::drop_contained,
    wait_graph::Waiting,
};

/// The state machine of every join future.
pub(crate) struct Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(super) router: Arc<Router<K, V, S>>,
    pub(super) stage: Stage<K, V, W>,
    /// While it is polled by the work of a flight, and has joined another.
    pub(super) waiting: Option<Box<NestedWait>>,
}

pub(super) enum Stage<K: Key, V: Value, W> {
    /// Not polled yet; the key and the work are still the caller's.
    Idle {
        key: K,
        work: W,
        options: SharedOptions,
    },
    /// The shard was out: the join waits in its queue, and its work with it.
    Queued {
        /// Narrow, as a whole word would make every future larger.
        shard: u16,
        reply: oneshot::Receiver<Answer<K, V>>,
        waker: Arc<LatestWaker>,
        timeout: Option<Box<WaitTimeout>>,
    },
    /// A waiter of a flight.
    Waiting {
        /// Of its slot.
        number: u64,
        record: Arc<Record<V>>,
        /// The flight's work is this caller's to poll, unless it has been taken from the record.
        in_place: bool,
        timeout: Option<Box<WaitTimeout>>,
    },
    /// The key is outside the rollout: its work is polled here, for this caller alone.
    Bypassing {
        work: Option<BoxedFuture<V>>,
        timeout: Option<Box<WaitTimeout>>,
    },
    Done,
}

impl<K, V, W, S> Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(router: Arc<Router<K, V, S>>, options: SharedOptions, key: K, work: W) -> Self {
        Self { router, stage: Stage::Idle { key, work, options }, waiting: None }
    }
}

impl<K, V, W, S> Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A poll that isn't the first.
    pub(super) fn poll_concluding(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let polled = self.poll_entered(cx);
        self.conclude(polled, cx)
    }

    /// Runs the flight's blocking work here, or that which it waits for, if no thread has begun it.
    pub(super) fn run_unbegun(&self) {
        let Stage::Waiting { record, .. } = &self.stage else { return };
        let first = record.predecessor().filter(|_| !record.is_shared());
        if let Some((first, work)) = first.and_then(|first| Some((first.flight(), first.claim()?))) {
            let engine = &self.router.engine;
            // This thread's work waits for it up to its end, even if the flight that was joined begins before, beside it.
            let _waiting =
                current::get().map(|current| Waiting::begin(&engine.waits, current.node(), engine.node(first)));
            work();
        } else if let Some(work) = record.claim() {
            work();
        }
    }

    pub(super) fn poll_entered(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        match &self.stage {
            Stage::Queued { .. } => self.poll_queued(cx),
            Stage::Waiting { record, in_place, .. } => {
                let in_place = *in_place;
                let current = current::get();
                // Nearly always neither.
                let is_nested = current.is_some() || self.waiting.is_some();
                let record = (is_nested && !record.is_over()).then(|| Arc::clone(record));
                if record.is_some_and(|record| self.closes_cycle(current, &record, cx)) {
                    self.reject(cx)
                } else if in_place {
                    self.poll_in_place(cx)
                } else {
                    self.poll_outcome(cx)
                }
            }
            Stage::Bypassing { .. } => self.poll_bypassed(cx),
            Stage::Idle { .. } | Stage::Done => panic!("a join was polled after it had given its answer"),
        }
    }

    /// Ends a join that has its answer, or whose wait is over.
    pub(super) fn conclude(&mut self, polled: Poll<Delivery<V>>, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let (Stage::Queued { timeout, .. } | Stage::Waiting { timeout, .. } | Stage::Bypassing { timeout, .. }) =
            &mut self.stage
        else {
            return polled;
        };
        if polled.is_pending() {
            let after = ready!(WaitTimeout::poll(timeout, cx));
            self.time_out();
            return Poll::Ready(Err(JoinError::TimedOut { after }));
        }
        let since = WaitTimeout::since(timeout.as_deref());
        let end = if matches!(self.stage, Stage::Bypassing { .. }) { WaitEnd::Bypassed } else { WaitEnd::Answered };
        self.stage = Stage::Done;
        self.waiting = None;
        self.router.waited(since, end);
        polled
    }

    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Queued { reply, waker, timeout, .. } = &mut self.stage else { return Poll::Pending };
        let mut answer = reply.try_recv();
        if matches!(answer, Err(oneshot::TryRecvError::Empty)) {
            // Polled for a reason of its caller's, perhaps with another waker than before.
            waker.register(cx.waker());
            answer = reply.try_recv();
        }
        match answer {
            Ok(Answer::Slot { held, unused }) => {
                let (number, record) = held.take_over();
                if !record.slot(number).is_leader() {
                    task::follow(&record);
                }
                self.stage = Stage::Waiting { number, record, in_place: false, timeout: timeout.take() };
                drop(unused);
                self.poll_entered(cx)
            }
            Ok(Answer::Refused { error, unused }) => {
                drop(unused);
                Poll::Ready(Err(error))
            }
            Err(oneshot::TryRecvError::Disconnected) => Poll::Ready(Err(JoinError::Closed)),
            Err(oneshot::TryRecvError::Empty) => Poll::Pending,
        }
    }

    /// Waits for the flight's outcome.
    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Waiting { number, record, .. } = &self.stage else { return Poll::Pending };
        let slot = record.slot(*number);
        // If it is over, its outcome was published in the turn that unmapped it.
        if !record.is_over() && self.renew(slot, cx.waker()) {
            return Poll::Pending;
        }
        let Stage::Waiting { record, timeout, .. } = mem::replace(&mut self.stage, Stage::Done) else {
            return Poll::Pending;
        };
        if !slot.is_leader() {
            trace::followed(slot.flight.id);
        }
        self.router.waited(WaitTimeout::since(timeout.as_deref()), WaitEnd::Answered);
        Poll::Ready(Ok(Delivered::Recorded(record)))
    }

    /// Has the flight wake this waker from now on. False if it is over.
    fn renew(&self, slot: Slot, waker: &Waker) -> bool {
        let engine = &self.router.engine;
        // Cloning and dropping wakers runs user code: before and after the turn.
        let mut unsent = Some(waker.clone());
        let renewed = engine.visit(slot.flight.id.shard(), |state| Some(state.shard.renew(slot, unsent.take()?)));
        match (renewed.flatten(), unsent) {
            (Some(Renewed::Replaced(older)), _) => drop_contained(older),
            (Some(Renewed::Over(waker)), _) => {
                drop_contained(waker);
                return false;
            }
            (None, Some(waker)) => engine.post(slot.flight.id.shard(), Message::Renew { slot, waker }),
            (None, None) => {}
        }
        true
    }

    pub(super) fn poll_bypassed(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Bypassing { work, .. } = &mut self.stage else { return Poll::Pending };
        let output = ready!(task::poll_contained(Pin::new(work), cx));
        Poll::Ready(output.map(|output| Delivered::Own(output.value)))
    }

    /// Leaves because the caller's wait is over. A join that is still queued counts as begun: its shard starts or joins a
    /// flight for it, and frees its slot before it handles what was sent later (G7).
    pub(super) fn time_out(&mut self) {
        if let Stage::Queued { shard, .. } = self.stage
            && let Stage::Queued { reply, timeout, .. } = mem::replace(&mut self.stage, Stage::Done)
        {
            self.router.engine.post(shard.into(), Message::GiveUp(reply));
            self.router.waited(WaitTimeout::since(timeout.as_deref()), WaitEnd::Left);
        }
        self.leave();
    }

    /// Leaves, in whichever stage the join is.
    pub(super) fn leave(&mut self) {
        self.waiting = None;
        let timeout = match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Idle { key, work, .. } => {
                drop_contained(key);
                drop_contained(work);
                None
            }
            // If the answer is in it, its slot is given up where it is dropped.
            Stage::Queued { reply, waker, timeout, .. } => {
                drop(reply);
                drop_contained(waker);
                timeout
            }
            Stage::Waiting { number, record, in_place, timeout } => {
                if !record.is_over() {
                    self.leave_flight(record.slot(number), &record, in_place, Leaves::ByItself);
                } else if in_place {
                    drop_parked(&self.router.engine, &record);
                }
                timeout
            }
            Stage::Bypassing { work, timeout } => {
                drop_contained(work);
                timeout
            }
            Stage::Done => None,
        };
        self.router.waited(WaitTimeout::since(timeout.as_deref()), WaitEnd::Left);
    }

    pub(super) fn leave_flight(&self, slot: Slot, record: &Arc<Record<V>>, in_place: bool, why: Leaves) -> After {
        let engine = &self.router.engine;
        let after = engine.leave(slot, why);
        if !in_place {
            return after;
        }
        if matches!(after, After::Over | After::Aborted) {
            drop_parked(engine, record);
        } else if let Some(work) = record.share() {
            // The flight outlives its leader's polling.
            work.launch(Completer::new(Arc::clone(engine), Arc::clone(record)));
        }
        after
    }
}

// Work is pinned in its task, or in a box of its own; nothing in here is pinned.
impl<K, V, W, S> Unpin for Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
}

impl<K, V, W, S> Drop for Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        // Nearly always: a caller that has its answer has nothing to leave.
        if !matches!(self.stage, Stage::Done) {
            self.leave();
        }
    }
}

impl<K, V, W, S> fmt::Debug for Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Idle { .. } => "idle",
            Stage::Queued { .. } => "queued",
            Stage::Waiting { .. } => "waiting",
            Stage::Bypassing { .. } => "bypassing",
            Stage::Done => "done",
        })
    }
}

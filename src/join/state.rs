//! One join, from its first poll to its answer: lazy, and safe to drop at any moment (G2).

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use super::timeout::WaitTimeout;
use crate::{
    config::{Freshness, RunWork, SharedOptions},
    engine::{
        After, Answer, BoxedFuture, Completer, Engine, InPlaceEnd, Key, LatestWaker, Launch, Live, Message, Needed,
        ParkedWork, QueuedJoin, Record, Reply, Value, Watch,
    },
    error::{JoinError, TryJoinError},
    observer::WaitEnd,
    router::{self, CallContext, Router},
    shard::{self, Joined, Leaves, Renewed, Report, Slot},
    sync::{now, oneshot},
    task::{
        self, AsyncWork, BoxedWork, FlightSpan, JoinKind, Work,
        current::{self, Current},
    },
    trace,
    unwind::{catch, drop_contained},
    wait_graph::{Node, Waiting},
};

/// The state machine of every join future.
pub(crate) struct Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    router: Arc<Router<K, V, S>>,
    stage: Stage<K, V, W>,
    /// While it is polled by the work of a flight, and has joined another.
    waiting: Option<Box<Waiting>>,
}

enum Stage<K: Key, V: Value, W> {
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

/// Where a caller's value is.
pub(crate) enum Delivered<V> {
    /// No other caller waited for it.
    Own(V),
    /// In the record of a flight that is over, with the flight's own error if it has failed.
    Recorded(Arc<Record<V>>),
}

type Delivery<V> = Result<Delivered<V>, JoinError>;

impl<V> Delivered<V> {
    pub(crate) fn into_value(self, clone: fn(&V) -> V) -> Result<V, JoinError> {
        match self {
            Self::Own(value) => Ok(value),
            Self::Recorded(record) => record.into_value(clone),
        }
    }

    /// For a join that [takes](crate::engine::Takes::Arc) it.
    pub(crate) fn into_arc(self) -> Result<Arc<V>, JoinError> {
        match self {
            Self::Own(value) => Ok(Arc::new(value)),
            Self::Recorded(record) => record.into_arc(),
        }
    }
}

impl<T: Clone, E: Send + Sync + 'static> Delivered<Result<T, E>> {
    /// For a join that [takes](crate::engine::Takes::SharedError) the error in an `Arc`.
    pub(crate) fn into_result(self) -> Result<T, TryJoinError<Arc<E>>> {
        match self {
            Self::Own(Ok(value)) => Ok(value),
            Self::Own(Err(error)) => Err(TryJoinError::Work(Arc::new(error))),
            Self::Recorded(record) => record.into_result(),
        }
    }
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

impl<K, V, F, C, Fut, S> Joining<K, V, AsyncWork<F, C>, S>
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = V> + Send + 'static,
    C: JoinKind<V>,
    S: BuildHasher,
{
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, watch: Option<&Arc<Watch>>) -> Poll<Delivery<V>> {
        let begins = matches!(self.stage, Stage::Idle { .. });
        let polled = if begins { self.begin(cx, watch) } else { self.poll_entered(cx) };
        self.conclude(polled, cx)
    }

    /// The first poll.
    fn begin(&mut self, cx: &mut Context<'_>, watch: Option<&Arc<Watch>>) -> Poll<Delivery<V>> {
        // All of this may be user code and panic, so it comes before key and work are in hand.
        let (context, waker) = (self.router.call_context(), cx.waker().clone());
        let Stage::Idle { key, work, options } = mem::replace(&mut self.stage, Stage::Done) else {
            return Poll::Pending;
        };
        let (place, key, work) = self.router.admit(key, work, &context)?;
        let timeout = WaitTimeout::new(options.max_wait, self.router.since());
        if !self.router.coalesces(place.hash) {
            self.router.count_bypass(place);
            drop_contained(key);
            watch.into_iter().for_each(|watch| watch.bypass());
            self.stage = Stage::Bypassing { work: Some(work.into_boxed(None)), timeout };
            return self.poll_bypassed(cx);
        }
        let watch = watch.cloned();
        self.enter(Entry { place, key, work, options, context, timeout, waker, watch }, cx)
    }
}

/// All that a join takes to its shard.
pub(super) struct Entry<K, W> {
    pub(super) place: router::Place,
    pub(super) key: K,
    pub(super) work: W,
    pub(super) options: SharedOptions,
    pub(super) context: CallContext,
    pub(super) timeout: Option<Box<WaitTimeout>>,
    pub(super) waker: Waker,
    pub(super) watch: Option<Arc<Watch>>,
}

impl<K, V, W, S> Joining<K, V, W, S>
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
    W: Work<V>,
{
    /// A join whose first poll has begun: it is given to its shard.
    pub(super) fn entered(
        router: Arc<Router<K, V, S>>,
        entry: Entry<K, W>,
        cx: &mut Context<'_>,
    ) -> (Self, Poll<Delivery<V>>) {
        let mut joining = Self { router, stage: Stage::Done, waiting: None };
        let polled = joining.enter(entry, cx);
        (joining, polled)
    }

    /// Gives the join to its shard, or to the shard's queue.
    fn enter(&mut self, entry: Entry<K, W>, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Entry { place, key, work, options, context, timeout, waker, watch } = entry;
        let engine = &self.router.engine;
        let own = context.current.filter(|current| current.coalescer == engine.identity());
        let origin = own.map(|current| current.flight.id);
        let in_place = W::IN_PLACE && self.router.run_work == RunWork::InPlace;
        let description = self.router.describe(&key);
        let now = now();
        let fresh = options.freshness == Freshness::StartedAfterCall;
        let limit = options.max_flight_duration;
        let join = shard::Join { hash: place.hash, description, key, waker, origin, in_place, fresh, limit };
        let mut unsent = Some(join);
        let joined = engine
            .visit(place.shard, |state| unsent.take().map(|join| state.join(join, W::TAKES, watch.as_deref(), now)));
        match joined.flatten() {
            Some(Joined::Leads { slot, record }) => {
                if record.begins_later() {
                    return self.begin_later(slot.number, record, work, &context, timeout, cx);
                }
                // A flight that is new waits for nothing, so no cycle is closed, but one may be later.
                self.closes_cycle(context.current, &record, cx);
                let span = FlightSpan::open(context.span.as_ref(), &record);
                if in_place {
                    return self.drive(slot.number, record, timeout, work.park(span), true, cx);
                }
                let engine = &self.router.engine;
                let completer = Completer::new(Arc::clone(engine), Arc::clone(&record));
                work.launch(span, completer, &engine.runtime);
                self.stage = Stage::Waiting { number: slot.number, record, in_place: false, timeout };
                Poll::Pending
            }
            Some(Joined::Follows { slot, record, key, detaches }) => {
                if detaches {
                    engine.detach(&record);
                }
                let closes_cycle = self.closes_cycle(context.current, &record, cx);
                task::follow(&record);
                self.stage = Stage::Waiting { number: slot.number, record, in_place: false, timeout };
                // Never called, and of no use any more.
                drop_contained(work);
                drop_contained(key);
                if closes_cycle { self.reject(cx) } else { Poll::Pending }
            }
            Some(Joined::Refused { error, key, waker }) => {
                self.router.waited(WaitTimeout::since(timeout.as_deref()), WaitEnd::Answered);
                drop_contained(work);
                drop_contained(key);
                drop_contained(waker);
                Poll::Ready(Err(error))
            }
            None => match unsent {
                Some(join) => self.queue(place.shard, join, work, context, timeout, watch),
                None => Poll::Pending,
            },
        }
    }

    /// The leader of a flight whose work is not to begin yet.
    #[cold]
    fn begin_later(
        &mut self,
        number: u64,
        record: Arc<Record<V>>,
        work: W,
        context: &CallContext,
        timeout: Option<Box<WaitTimeout>>,
        cx: &mut Context<'_>,
    ) -> Poll<Delivery<V>> {
        let closes_cycle = self.closes_cycle(context.current, &record, cx);
        let span = FlightSpan::open(context.span.as_ref(), &record);
        self.router.engine.begin_later(&record, work.park(span));
        self.stage = Stage::Waiting { number, record, in_place: false, timeout };
        if closes_cycle { self.reject(cx) } else { Poll::Pending }
    }

    #[cold]
    fn queue(
        &mut self,
        shard: usize,
        mut join: shard::Join<Live<K, V>>,
        work: W,
        context: CallContext,
        timeout: Option<Box<WaitTimeout>>,
        watch: Option<Arc<Watch>>,
    ) -> Poll<Delivery<V>> {
        let waker = match catch(|| LatestWaker::new(&join.waker)) {
            Ok(waker) => waker,
            Err(panic) => {
                drop_contained(work);
                drop_contained(join.key);
                drop_contained(join.waker);
                return Poll::Ready(Err(JoinError::Panicked(panic)));
            }
        };
        drop_contained(mem::replace(&mut join.waker, Arc::clone(&waker).into()));
        // The thread that handles it launches the work: this caller may never be polled again (G2).
        join.in_place = false;
        let (sender, reply) = oneshot::channel();
        let reply_to = Reply::new(sender, Arc::clone(&waker).into());
        let (takes, is_nested) = (W::TAKES, context.current.is_some());
        let work: Box<dyn Launch<K, V>> = Box::new(BoxedWork { work, leader: context.span });
        let number = u16::try_from(shard).expect("fewer than MAX_SHARDS");
        self.stage = Stage::Queued { shard: number, reply, waker, timeout };
        self.router
            .engine
            .post(shard, Message::Join(Box::new(QueuedJoin { join, takes, watch, is_nested, work, reply: reply_to })));
        Poll::Pending
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
        if let Stage::Waiting { record, .. } = &self.stage {
            let work = record.predecessor().and_then(|first| first.claim()).or_else(|| record.claim());
            work.into_iter().for_each(|work| work());
        }
    }

    fn poll_entered(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
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
    fn conclude(&mut self, polled: Poll<Delivery<V>>, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
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
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
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

    /// Tells the wait graph whose work polls this join now, if any, and so waits for the flight that it has joined. True if
    /// that closes a cycle (G12).
    #[inline]
    fn closes_cycle(&mut self, waiting: Option<Current>, awaited: &Record<V>, cx: &Context<'_>) -> bool {
        // Nearly always.
        if waiting.is_none() && self.waiting.is_none() {
            return false;
        }
        self.update_waiting(waiting.map(Current::node), awaited, cx.waker())
    }

    #[cold]
    fn update_waiting(&mut self, waiting: Option<Node>, awaited: &Record<V>, waker: &Waker) -> bool {
        let engine = &self.router.engine;
        if self.waiting.as_ref().map(|before| before.waiting()) != waiting {
            let begin = |waiting| {
                let beyond = awaited.predecessor().map(|first| engine.node(first.flight()));
                Box::new(Waiting::begin(&engine.waits, waiting, engine.node(awaited.flight()), beyond))
            };
            self.waiting = waiting.map(begin);
        }
        self.waiting.as_ref().is_some_and(|waiting| waiting.closes_cycle(waker))
    }

    /// Ends a join whose wait closed a cycle, unless its flight has ended meanwhile.
    fn reject(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Waiting { number, record, in_place, .. } = &self.stage else { return Poll::Pending };
        let (slot, record, in_place) = (record.slot(*number), Arc::clone(record), *in_place);
        self.waiting = None;
        if self.leave_flight(slot, &record, in_place, Leaves::Rejected) == After::Over {
            return self.poll_outcome(cx);
        }
        let error = JoinError::Reentrant;
        trace::report(&Report::Rejected { reason: error.kind().as_str() });
        Poll::Ready(Err(error))
    }

    /// The leader's poll of its own work.
    fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Waiting { number, record, timeout, in_place } = &mut self.stage else { return Poll::Pending };
        if record.is_over() {
            drop_parked(&self.router.engine, record);
        }
        let Some(work) = record.unpark() else {
            // It has become a task, or the flight was cut short.
            *in_place = false;
            return self.poll_outcome(cx);
        };
        let (number, record, timeout) = (*number, Arc::clone(record), timeout.take());
        self.drive(number, record, timeout, work, false, cx)
    }

    /// Polls work that was taken out of the record, and parks it again if it is pending.
    fn drive(
        &mut self,
        number: u64,
        record: Arc<Record<V>>,
        timeout: Option<Box<WaitTimeout>>,
        work: ParkedWork<V>,
        first: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Delivery<V>> {
        // In this poll's hands alone: whatever happens here, dropping this completes the flight (G5).
        let mut completer = Completer::new(Arc::clone(&self.router.engine), record);
        self.stage = Stage::Done;
        let mut work = Some(work);
        let polled = task::poll_in_place(&mut work, &mut completer, cx);
        if let Poll::Ready(output) = polled {
            let own = match completer.complete_in_place(output) {
                InPlaceEnd::Own(value) => value.map(Delivered::Own),
                InPlaceEnd::Elsewhere(record) => {
                    self.stage = Stage::Waiting { number, record, in_place: false, timeout };
                    return self.poll_outcome(cx);
                }
            };
            self.router.waited(WaitTimeout::since(timeout.as_deref()), WaitEnd::Answered);
            return Poll::Ready(own);
        }
        let needed = work.and_then(|work| completer.record().park(work));
        let in_place = needed.is_none();
        let record = match needed {
            Some((work, Needed::AsTask)) => {
                let record = completer.share_record();
                work.launch(completer);
                record
            }
            Some((work, Needed::Dropped)) => {
                let record = completer.share_record();
                completer.drop_first(work);
                record
            }
            None => completer.disarm(),
        };
        self.stage = Stage::Waiting { number, record, in_place, timeout };
        // The waker of the first poll is with the flight since its turn.
        if first && in_place { Poll::Pending } else { self.poll_outcome(cx) }
    }

    fn poll_bypassed(&mut self, cx: &mut Context<'_>) -> Poll<Delivery<V>> {
        let Stage::Bypassing { work, .. } = &mut self.stage else { return Poll::Pending };
        let output = ready!(task::poll_contained(Pin::new(work), cx));
        Poll::Ready(output.map(|output| Delivered::Own(output.value)))
    }

    /// Leaves because the caller's wait is over. A join that is still queued counts as begun: its shard starts or joins a
    /// flight for it, and frees its slot after that.
    pub(super) fn time_out(&mut self) {
        if let Stage::Queued { shard, .. } = self.stage
            && let Stage::Queued { reply, timeout, .. } = mem::replace(&mut self.stage, Stage::Done)
        {
            self.router.engine.leave_queued(shard.into(), reply);
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

    fn leave_flight(&self, slot: Slot, record: &Arc<Record<V>>, in_place: bool, why: Leaves) -> After {
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

/// Drops work of a leader whose flight is over.
fn drop_parked<K, V>(engine: &Arc<Engine<K, V>>, record: &Arc<Record<V>>)
where
    K: Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    if let Some(work) = record.unpark() {
        Completer::new(Arc::clone(engine), Arc::clone(record)).drop_first(work);
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

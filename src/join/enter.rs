//! The first poll: the join is given to its shard, or to the shard's queue.

use std::{
    hash::{BuildHasher, Hash},
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    delivered::Delivery,
    state::{Joining, Stage},
    timeout::WaitTimeout,
};
use crate::{
    config::{CallOptions, Freshness, SharedOptions},
    engine::{Completer, LatestWaker, Launch, Live, Message, QueuedJoin, Record, Reply, Spares, Value, Watch},
    error::JoinError,
    observer::WaitEnd,
    router::{self, CallContext, Router},
    shard::{self, Joined},
    sync::{now, oneshot},
    task::{self, AsyncWork, BoxedWork, FlightSpan, JoinKind, Work},
    unwind::{catch, drop_contained},
};

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
            self.stage = Stage::Bypassing { work: Some(work.into_boxed()), timeout };
            return self.poll_bypassed(cx);
        }
        let watch = watch.cloned();
        self.enter(Entry { place, key, work, options, context, timeout, waker, watch }, cx)
    }
}

/// What a join takes to its shard's queue beside its key and its work.
struct Aside {
    timeout: Option<Box<WaitTimeout>>,
    watch: Option<Arc<Watch>>,
    leaves_work: bool,
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
        let in_place = W::IN_PLACE && self.router.runs_in_place();
        let description = self.router.describe(&key);
        let now = now();
        let CallOptions { max_flight_duration, freshness, priority: class, leaves_work, .. } = *options;
        let fresh = freshness == Freshness::StartedAfterCall;
        let limit = max_flight_duration.or_else(|| engine.learned_limit(now));
        let join = shard::Join { hash: place.hash, description, key, waker, origin, in_place, fresh, limit, class };
        let mut unsent = Some(join);
        let joined = engine
            .visit(place.shard, |state| unsent.take().map(|join| state.join(join, W::TAKES, watch.as_deref(), now)));
        match joined.flatten() {
            Some(Joined::Leads { slot, record }) => {
                // First: whatever unwinds from here on, as a waker or a subscriber, the flight is completed (G5).
                let completer = Completer::new(Arc::clone(engine), record);
                if completer.record().begins_later() {
                    return self.begin_later(slot.number, completer, work, &context, timeout, cx);
                }
                // A flight that is new waits for nothing, so no cycle is closed, but one may be later.
                self.closes_cycle(context.current, completer.record(), cx);
                let span = FlightSpan::open(context.span.as_ref(), completer.record());
                if in_place {
                    let work = work.park(span);
                    return self.drive(slot.number, completer, timeout, work, true, cx);
                }
                let (record, engine) = (completer.share_record(), &self.router.engine);
                work.launch(span, completer, &engine.runtime);
                self.stage = Stage::Waiting { number: slot.number, record, in_place: false, timeout };
                Poll::Pending
            }
            Some(Joined::Follows { slot, record, key, detaches }) => {
                if detaches {
                    engine.detach(&record);
                }
                task::follow(&record);
                let needs_more = context.current.is_some() || record.spares().is_some();
                let needed = needs_more.then(|| Arc::clone(&record));
                // Whatever unwinds from here on, as the clone of a waker, the slot has its owner (G7).
                self.stage = Stage::Waiting { number: slot.number, record, in_place: false, timeout };
                let needed = needed.as_deref();
                let closes_cycle = needed.is_some_and(|record| self.closes_cycle(context.current, record, cx));
                // Of no use any more, unless its flight may be taken over.
                match needed.and_then(Record::spares) {
                    Some(spares) if leaves_work && !closes_cycle => leave_spare(spares, work),
                    _ => drop_contained(work),
                }
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
                Some(join) => {
                    let aside = Aside { timeout, watch, leaves_work };
                    self.queue(place.shard, join, work, context, aside)
                }
                None => Poll::Pending,
            },
        }
    }

    /// The leader of a flight whose work is not to begin yet.
    #[cold]
    fn begin_later(
        &mut self,
        number: u64,
        completer: Completer<K, V>,
        work: W,
        context: &CallContext,
        timeout: Option<Box<WaitTimeout>>,
        cx: &mut Context<'_>,
    ) -> Poll<Delivery<V>> {
        let record = completer.share_record();
        let closes_cycle = self.closes_cycle(context.current, &record, cx);
        let span = FlightSpan::open(context.span.as_ref(), &record);
        if let Some((unneeded, completer)) = completer.begin_later(work.park(span)) {
            completer.drop_first(unneeded);
        }
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
        aside: Aside,
    ) -> Poll<Delivery<V>> {
        let Aside { timeout, watch, leaves_work } = aside;
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
        // A join that makes a flight wait may learn only later that it closes a cycle.
        let leaves_work = leaves_work && !is_nested;
        let work: Box<dyn Launch<K, V>> = Box::new(BoxedWork { work, leader: context.span });
        let number = u16::try_from(shard).expect("fewer than MAX_SHARDS");
        self.stage = Stage::Queued { shard: number, reply, waker, timeout };
        self.router.engine.post(
            shard,
            Message::Join(Box::new(QueuedJoin { join, takes, watch, is_nested, leaves_work, work, reply: reply_to })),
        );
        Poll::Pending
    }
}

/// Leaves a follower's work for its flight, if there is a place left.
#[cold]
fn leave_spare<V: Value>(spares: &Spares<V>, work: impl Work<V>) {
    match spares.reserve() {
        Some(place) => drop_contained(spares.leave(place, work.park(None))),
        None => drop_contained(work),
    }
}

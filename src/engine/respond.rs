//! What is done outside a shard: waking callers, starting work, dropping what is the user's.
//!
//! Most of it may run user code (wakers, drops, tracing subscribers) that panics, blocks or never returns. What concerns other callers than the one on whose thread it comes up is given to
//! tasks, one per flight: whatever one flight's callers do to a thread, no other flight waits for it.

use std::{
    iter::Chain,
    mem, option,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::{
    Engine,
    complete::Completer,
    message::{Action, Discard, Key, Launch, Live, Value},
    record::Record,
};
use crate::{
    error::JoinError,
    flight_limit::FlightEnd,
    shard::{Cut, Ended, Flight, FlightId, Present, Report},
    sync::{self, bound, boxed_task, is_inside, now, off_the_workers, run_on_its_own_thread},
    trace,
    unwind::{Deferred, contain, drop_contained},
};

/// The most callers that are woken before the runtime's other tasks get their turn. Waking one spends nothing of Tokio's
/// cooperative budget, so the bound has to be ours.
const BATCH: usize = bound(256, 1);

/// A flight that was cut short: its work is dropped, and its callers get this error.
pub(super) fn cut_short<K: Key, V: Value>(
    engine: &Arc<Engine<K, V>>,
    cut: Cut<Live<K, V>>,
    error: JoinError,
    abort: bool,
    actions: &mut Vec<Action<K, V>>,
) {
    if abort {
        if let Some(work) = cut.record.abort() {
            actions.push(Action::DropWork(work, Arc::clone(&cut.record)));
        }
        if engine.admission.is_some() {
            actions.push(Action::Withdraw(cut.itself.id));
        }
        actions.extend(cut.record.spares().and_then(|spares| spares.take_left()).map(Action::Run));
        // Blocking work that no thread has begun: now it only drops what it came with, and its execution has ended.
        actions.extend(cut.record.claim().map(|unbegun| Action::Run(Deferred::new(unbegun))));
    }
    cut.times.iter().for_each(|times| times.end(now()));
    cut.record.publish(Err(error));
    actions.push(Action::Respond(Responding::to_cut(engine, cut)));
}

/// For a flight whose outcome is published, in the task or the caller that ran its work: wakes a batch of its callers. What
/// comes back is to be polled by that task, or [handed over](Responding::hand_over) to one.
#[expect(clippy::boxed_local, reason = "as it comes out of the map")]
#[must_use = "dropped, it wakes all others at once"]
pub(super) fn respond<K: Key, V: Value>(
    engine: &Engine<K, V>,
    ended: Ended<Live<K, V>>,
) -> Option<Box<Responding<K, V>>> {
    let Flight { itself, started, key, record, waiters, .. } = *ended;
    tell(engine, itself.id, started, || record.ran_since(started), record.error(), waiters.len());
    // Before any caller is woken, so that the last one to come finds that the value is its own.
    drop(record);
    let mut waiters = waiters.into_iter();
    if wake_batch(&mut waiters) {
        drop_contained(key);
        return None;
    }
    Some(Box::new(Responding { untold: None, record: None, waiters, key: Some(key) }))
}

/// The wakers of a flight that is over.
type Wakers = Chain<option::IntoIter<Waker>, Present<Waker>>;

/// True if that was all.
fn wake_batch(wakers: &mut Wakers) -> bool {
    for _ in 0..BATCH {
        match wakers.next() {
            // The panic hook has reported it, and the caller's answer is published.
            Some(waker) => contain(|| waker.wake()),
            None => return true,
        }
    }
    false
}

/// Tells tracing, the observer and a limit that learns of a flight that is over.
pub(super) fn tell<K: Key, V: Value>(
    engine: &Engine<K, V>,
    flight: FlightId,
    started: Instant,
    ran_since: impl FnOnce() -> Option<Instant>,
    error: Option<&JoinError>,
    waiters: usize,
) {
    // First, as tracing and the observer run code of the user's, which takes its time. All that is learned is measured here.
    // Nothing can be learned from work that was never called, and the time in the queue says nothing of work.
    if let Some(limit) = &engine.flight_limit
        && let Some(since) = ran_since()
    {
        let now = now();
        let took = now.saturating_duration_since(since);
        let end = if error.is_none() { FlightEnd::Returned(took) } else { FlightEnd::Cut(took) };
        limit.ended(flight.shard(), end, now);
    }
    let latency = || now().saturating_duration_since(started);
    trace::completed(flight, latency, error, waiters);
    if let Some(observer) = &engine.observer {
        observer.completed(latency(), error, waiters);
    }
}

/// Has what concerns other callers done in tasks of its own.
pub(super) fn hand_over<K: Key, V: Value>(engine: &Arc<Engine<K, V>>, actions: Vec<Action<K, V>>) {
    let mut tasks = Tasks::new(engine);
    for action in actions {
        match action {
            Action::Respond(responding) => tasks.responding.push(responding),
            Action::Park(work, completer) => tasks.parks.push((work, completer)),
            Action::Spare(work, record, place) => tasks.spares.push((work, record, place)),
            Action::RunWork(record) => {
                let work = record.share();
                if engine.admission.is_none() {
                    engine.awaits_no_more(&record);
                }
                if let Some(work) = work {
                    tasks.launches.push((work, Completer::new(Arc::clone(engine), record)));
                }
            }
            // No user code, and no later than this: the next caller is to find the queue as it is now.
            Action::Reclass(flight) => engine.admission.iter().for_each(|admission| admission.reclass(flight)),
            Action::Withdraw(flight) => engine.admission.iter().for_each(|admission| admission.withdraw(flight)),
            Action::Launch(work, completer) => tasks.launches.push((work, completer)),
            Action::Run(deferred) => tasks.deferred.push(deferred),
            Action::Drop(discard) => tasks.discards.push(discard),
            Action::DropWork(work, record) => {
                let completer = Completer::new(Arc::clone(engine), record);
                tasks.deferred.push(Deferred::new(move || completer.drop_first(work)));
            }
            Action::Report(report) => tasks.reports.push(report),
            Action::CallActor { shard } => tasks.calls.push(shard),
        }
    }
    tasks.hand_over();
}

/// Work, and the duty to complete its flight.
type LaunchOf<K, V> = (Box<dyn Launch<K, V>>, Completer<K, V>);

/// Work of a follower, and its place.
type SpareOf<K, V> = (Box<dyn Launch<K, V>>, Arc<Record<V>>, usize);

/// What is about to be spawned. It is spawned when this is dropped, however that comes: a runtime that shuts down drops
/// what it was given to run.
struct Tasks<K: Key, V: Value> {
    engine: Arc<Engine<K, V>>,
    responding: Vec<Box<Responding<K, V>>>,
    launches: Vec<LaunchOf<K, V>>,
    parks: Vec<LaunchOf<K, V>>,
    spares: Vec<SpareOf<K, V>>,
    deferred: Vec<Deferred>,
    discards: Vec<Discard<K, V>>,
    reports: Vec<Report>,
    calls: Vec<usize>,
}

impl<K: Key, V: Value> Tasks<K, V> {
    fn new(engine: &Arc<Engine<K, V>>) -> Self {
        Self {
            engine: Arc::clone(engine),
            responding: Vec::new(),
            launches: Vec::new(),
            parks: Vec::new(),
            spares: Vec::new(),
            deferred: Vec::new(),
            discards: Vec::new(),
            reports: Vec::new(),
            calls: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.responding.is_empty()
            && self.launches.is_empty()
            && self.parks.is_empty()
            && self.spares.is_empty()
            && self.deferred.is_empty()
            && self.discards.is_empty()
            && self.reports.is_empty()
            && self.calls.is_empty()
    }

    /// A worker of Tokio's multi-thread runtime keeps the task that it woke last in a slot from which no other worker takes
    /// it. A caller on this worker may block it next, and so may the wakers of a flight's callers; what waits in the slot
    /// would wait for as long (G4). So this is spawned from another thread, into the queue that all workers share.
    fn hand_over(self) {
        let engine = Arc::clone(&self.engine);
        if engine.many_workers && !self.is_empty() && is_inside(&engine.runtime) {
            let passed_on = PassedOn(Some(self));
            let task = boxed_task(async move { drop(passed_on.take()) });
            off_the_workers(move || drop(engine.runtime.spawn(task)));
        }
    }
}

/// Tasks on their way to a worker. Where the runtime has shut down meanwhile, they would be dropped on the thread that all
/// coalescers share, and run user code there: then they get threads of their own.
struct PassedOn<K: Key, V: Value>(Option<Tasks<K, V>>);

impl<K: Key, V: Value> PassedOn<K, V> {
    fn take(mut self) -> Option<Tasks<K, V>> {
        self.0.take()
    }
}

impl<K: Key, V: Value> Drop for PassedOn<K, V> {
    fn drop(&mut self) {
        if let Some(tasks) = self.0.take() {
            run_on_its_own_thread(move || do_on_threads(tasks));
        }
    }
}

/// What would be tasks, if there were a runtime. Each has a thread, which passes the others on before it may be blocked.
fn do_on_threads<K: Key, V: Value>(mut tasks: Tasks<K, V>) {
    let deferred = tasks.deferred.pop();
    let responding = if deferred.is_none() { tasks.responding.pop() } else { None };
    if (deferred.is_some() || responding.is_some()) && !tasks.is_empty() {
        run_on_its_own_thread(move || do_on_threads(tasks));
    }
    drop(deferred);
    drop(responding);
}

impl<K: Key, V: Value> Drop for Tasks<K, V> {
    fn drop(&mut self) {
        let runtime = &self.engine.runtime;
        let defer = |deferred| sync::defer(runtime, deferred);
        for responding in self.responding.drain(..) {
            drop(runtime.spawn(boxed_task(responding)));
        }
        self.deferred.drain(..).for_each(defer);
        for shard in self.calls.drain(..) {
            self.engine.call_actor(shard);
        }
        for (work, completer) in self.launches.drain(..) {
            in_a_task_if_traced(defer, move || work.launch(completer));
        }
        for (work, completer) in self.parks.drain(..) {
            in_a_task_if_traced(defer, move || {
                let parked = work.park(completer.record());
                if let Some((unneeded, completer)) = completer.begin_later(parked) {
                    let engine = Arc::clone(completer.engine());
                    sync::defer(&engine.runtime, Deferred::new(move || completer.drop_first(unneeded)));
                }
            });
        }
        for (work, record, place) in self.spares.drain(..) {
            let left = record.spares().and_then(|spares| spares.leave(place, work.spare()));
            left.into_iter().for_each(|unneeded| defer(Deferred::new(move || drop(unneeded))));
        }
        if !self.discards.is_empty() || !self.reports.is_empty() {
            let (discards, reports) = (mem::take(&mut self.discards), mem::take(&mut self.reports));
            defer(Deferred::new(move || {
                reports.iter().for_each(trace::report);
                discards.into_iter().for_each(Discard::run);
            }));
        }
    }
}

/// A flight's span is made here, where a subscriber wants it: by code of the user's, which no other flight is to wait for.
fn in_a_task_if_traced(defer: impl FnOnce(Deferred), action: impl FnOnce() + Send + 'static) {
    if trace::is_on() { defer(Deferred::new(action)) } else { contain(action) }
}

/// A flight whose outcome is published and whose callers are being woken. All of them are, however this is dropped.
pub(crate) struct Responding<K: Key, V: Value> {
    /// What tracing and the observer haven't been told yet.
    untold: Option<Untold<K, V>>,
    /// Let go of before any caller is woken, so that the last one finds that the value is its own; and never in a turn, as a flight
    /// without callers has its value dropped here.
    record: Option<Arc<Record<V>>>,
    waiters: Wakers,
    key: Option<K>,
}

struct Untold<K: Key, V: Value> {
    engine: Arc<Engine<K, V>>,
    flight: FlightId,
    started: Instant,
    /// `None` where nothing is learned of it.
    ran_since: Option<Instant>,
    waiters: usize,
    error: Option<JoinError>,
}

impl<K: Key, V: Value> Responding<K, V> {
    #[expect(clippy::boxed_local, reason = "as it comes out of the map")]
    pub(super) fn to_ended(engine: &Arc<Engine<K, V>>, ended: Ended<Live<K, V>>) -> Box<Self> {
        Self::to_cut(engine, ended.into_cut())
    }

    /// To the callers of a flight that was cut short.
    pub(super) fn to_cut(engine: &Arc<Engine<K, V>>, cut: Cut<Live<K, V>>) -> Box<Self> {
        let Cut { itself, key, started, record, waiters, .. } = cut;
        let error = record.error().cloned();
        let (engine, waiting) = (Arc::clone(engine), waiters.len());
        let ran_since = engine.flight_limit.as_ref().and_then(|_| record.ran_since(started));
        let untold = Untold { engine, flight: itself.id, started, ran_since, waiters: waiting, error };
        Box::new(Self { untold: Some(untold), record: Some(record), waiters: waiters.into_iter(), key })
    }

    /// Before any caller is woken.
    fn tell(&mut self) {
        if let Some(Untold { engine, flight, started, ran_since, waiters, error }) = self.untold.take() {
            tell(&engine, flight, started, || ran_since, error.as_ref(), waiters);
        }
        self.record = None;
    }

    /// Has a task of its own wake them.
    pub(crate) fn hand_over(self: Box<Self>, engine: &Arc<Engine<K, V>>) {
        let mut tasks = Tasks::new(engine);
        tasks.responding.push(self);
        tasks.hand_over();
    }
}

// Nothing in it is pinned.
impl<K: Key, V: Value> Unpin for Responding<K, V> {}

/// Wakes a batch at each poll, and lets the runtime's other tasks run in between.
impl<K: Key, V: Value> Future for Responding<K, V> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.tell();
        if wake_batch(&mut self.waiters) {
            return Poll::Ready(());
        }
        // A task that wakes itself goes to where another worker can take it, should a caller that runs next block this one (G4).
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<K: Key, V: Value> Drop for Responding<K, V> {
    fn drop(&mut self) {
        self.tell();
        while !wake_batch(&mut self.waiters) {}
        drop_contained(self.key.take());
    }
}

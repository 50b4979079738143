//! The task that owns the collector: it hears of keys, lets other tasks bring more, and spawns batches.

use std::{
    hash::Hash,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use super::{
    collector::{Collector, Limits, Next},
    cycle::BatchRecord,
    demand::{Demand, End},
    entry::Entry,
    inner::Refusal,
    observer::BatchReporter,
    port::{Channel, Message},
    run::{Run, Setting},
    slot::{Answer, Slot},
};
use crate::{
    actor::Timer,
    engine::new_identity,
    error::JoinError,
    sync::{defer, now},
    unwind::{Deferred, drop_contained},
    wait_graph::WaitGraph,
};

/// The most messages of one poll.
const MOST_MESSAGES: usize = 4096;

pub(super) struct Dispatcher<K, T, E> {
    channel: Arc<Channel<K, T, E>>,
    collector: Collector<Entry<K, T, E>, Arc<Refusal>>,
    setting: Setting<K, T, E>,
    graph: Arc<WaitGraph>,
    /// Rings at the end of a window.
    timer: Timer,
    reporter: Option<Arc<dyn BatchReporter>>,
    /// It has asked to be polled after other tasks.
    again: bool,
}

impl<K, T, E> Unpin for Dispatcher<K, T, E> {}

impl<K, T, E> Dispatcher<K, T, E> {
    pub(super) fn new(
        channel: Arc<Channel<K, T, E>>,
        limits: Limits,
        setting: Setting<K, T, E>,
        graph: Arc<WaitGraph>,
        reporter: Option<Arc<dyn BatchReporter>>,
    ) -> Self {
        let timer = Timer::new(setting.timers.clone());
        Self { channel, collector: Collector::new(limits), setting, graph, timer, reporter, again: true }
    }

    fn handle(&mut self, message: Message<K, T, E>, gone: &mut Vec<Entry<K, T, E>>) {
        match message {
            Message::Ask(entry) => self.collector.ask(entry, now),
            Message::Left => gone.append(&mut self.collector.left()),
            Message::Ended(batch) => self.collector.ended(batch),
            Message::InnerBegan { batch, load, refusal } => self.collector.inner_began(batch, load, refusal),
            Message::InnerEnded(load) => self.collector.inner_ended(load),
            Message::Joins(batch) => self.collector.joins(batch),
        }
    }

    /// True if there may be more.
    fn receive(&mut self, gone: &mut Vec<Entry<K, T, E>>) -> bool {
        for _ in 0..MOST_MESSAGES {
            let Some(message) = self.channel.receive() else {
                self.channel.shrink().into_iter().for_each(|message| self.handle(message, gone));
                return false;
            };
            self.handle(message, gone);
        }
        true
    }
}

impl<K, T, E> Dispatcher<K, T, E>
where
    K: Hash + Eq + Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// Spawns what may begin. Says when to look again by itself, and whether that is after other tasks.
    fn dispatch(&mut self, gone: &mut Vec<Entry<K, T, E>>) -> (Option<Instant>, bool) {
        loop {
            match self.collector.next(now, gone) {
                Next::Wait => return (None, false),
                Next::Settle => return (None, true),
                Next::Until(at) => return (Some(at), false),
                Next::Dispatch(entries) => self.spawn(entries, gone),
                Next::Refuse(inner) => inner.refuse().into_iter().for_each(|waker| self.defer(Deferred::wake(waker))),
            }
        }
    }

    fn spawn(&mut self, mut entries: Vec<Entry<K, T, E>>, gone: &mut Vec<Entry<K, T, E>>) {
        let demand = Arc::new(Demand::new());
        let taken = entries.len();
        // Those whose flights ended meanwhile.
        gone.extend(entries.extract_if(.., |entry| !entry.slot.assign(&demand)));
        (entries.len()..taken).for_each(|_| self.collector.was_gone());
        demand.end(End::Left);
        if entries.is_empty() {
            return;
        }
        let batch = new_identity();
        self.collector.began(batch);
        let flights = entries.iter().filter_map(|entry| entry.slot.flight()).collect();
        let channel = Arc::clone(&self.channel);
        let tell = move || _ = channel.send(Message::Joins(batch));
        let record = BatchRecord::new(batch, flights, Arc::clone(&self.graph), tell);
        let run = Run::new(entries, demand, record, batch, Arc::clone(&self.channel), &self.setting);
        drop(self.channel.runtime.spawn(run));
    }

    /// Their keys' drops are user code, which the dispatcher doesn't wait for.
    fn discard(&self, gone: Vec<Entry<K, T, E>>) {
        self.channel.counters.abandoned.add(gone.len() as u64);
        if !gone.is_empty() {
            self.defer(Deferred::new(move || gone.into_iter().for_each(drop_contained)));
        }
    }

    fn defer(&self, deferred: Deferred) {
        defer(&self.channel.runtime, deferred);
    }
}

impl<K, T, E> Future for Dispatcher<K, T, E>
where
    K: Hash + Eq + Send + Sync + 'static,
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Both are asked, as both have to know whom to wake.
        let is_called = this.channel.call().poll(cx.waker());
        let rings = this.timer.poll(cx).is_ready();
        if !(is_called || rings || mem::take(&mut this.again)) {
            return Poll::Pending;
        }
        if this.channel.is_closed() {
            return Poll::Ready(());
        }
        let mut gone = Vec::new();
        let has_more = this.receive(&mut gone);
        let (at, settles) = this.dispatch(&mut gone);
        if !gone.is_empty() {
            this.discard(gone);
        }
        this.channel.counters.set_gauges(this.collector.queued(), this.collector.running());
        this.timer.set(at);
        let rings = at.is_some() && this.timer.poll(cx).is_ready();
        // By its waker and not by Tokio's `yield_now`, which may leave the task with a worker that is then blocked.
        if has_more || settles || rings || this.channel.call().poll(cx.waker()) {
            this.again = true;
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<K, T, E> Drop for Dispatcher<K, T, E> {
    /// The runtime shuts down, or no caller is left.
    fn drop(&mut self) {
        self.channel.call().end();
        let queued = std::iter::from_fn(|| self.channel.receive()).filter_map(|message| match message {
            Message::Ask(entry) => Some(entry),
            _ => None,
        });
        for Entry { key, slot, .. } in self.collector.drain().chain(queued) {
            Slot::answer(slot, Answer::Join(JoinError::Closed));
            drop_contained(key);
        }
        self.channel.counters.set_gauges(0, 0);
        if let Some(reporter) = &self.reporter {
            reporter.report(&self.channel.counters.snapshot(), true);
        }
    }
}

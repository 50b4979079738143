//! One turn of a shard: taken out, told something, put back, and looked after.

use std::{sync::Arc, time::Instant};

use super::{
    Engine, Port,
    drain::Drain,
    message::{Action, Discard, Key, Live, Message, Value},
    published::Takes,
    respond,
    watch::Watch,
};
use crate::{
    observer::Observer,
    shard::{Completion, Effect, Ended, FlightRef, Join, Joined, Leaves, Left, Report, Shard, Slot},
    stats::Stats,
    sync::{bound, now},
    tally::Tally,
    trace,
    unwind::catch,
};

/// How often a shard that is out is tried before the message goes into the queue. A turn takes some 50 ns.
const TRIES: usize = bound(30, 1);

/// The most queued messages that are handled between taking a shard out and putting it back.
pub(super) const BATCH: usize = bound(256, 2);

/// The most of other callers' messages that one caller handles, about 0.2 ms of work. The actor takes what is left.
pub(super) const MOST_OF_OTHERS: usize = bound(4096, 2);

/// What is in a shard's cell. What turns ask for is in here until the shard is back, so that one that unwinds loses
/// nothing of it (G5).
pub(crate) struct State<K: Key, V: Value> {
    pub(super) number: usize,
    pub(crate) shard: Shard<Live<K, V>>,
    tallies: Arc<[Tally]>,
    /// What the shard asks for.
    pub(crate) effects: Vec<Effect<Live<K, V>>>,
    /// What else is to be done outside.
    pub(crate) actions: Vec<Action<K, V>>,
    /// `Some` from the beginning of a shutdown to its end.
    pub(super) drain: Option<Drain>,
    /// Until the shard is closed.
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl<K: Key, V: Value> State<K, V> {
    pub(super) fn new(
        number: usize,
        shard: Shard<Live<K, V>>,
        tallies: Arc<[Tally]>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self { number, shard, tallies, effects: Vec::new(), actions: Vec::new(), drain: None, observer }
    }

    #[inline]
    pub(crate) fn join(
        &mut self,
        join: Join<Live<K, V>>,
        takes: Takes<V>,
        watch: Option<&Watch>,
        now: Instant,
    ) -> Joined<Live<K, V>> {
        let joined = self.shard.join(join, now, &mut self.effects);
        match &joined {
            Joined::Leads { record, .. } => record.note(takes, true),
            Joined::Follows { record, .. } => record.note(takes, false),
            Joined::Refused { .. } => {}
        }
        if let Some(watch) = watch {
            watch.joined(&joined, self);
        }
        joined
    }

    pub(crate) fn stats(&mut self) -> Stats {
        self.tallies[self.number].complete(self.shard.stats(now()), self.shard.led())
    }

    pub(crate) fn totals(&mut self) -> Stats {
        self.tallies[self.number].complete_totals(self.shard.totals(now()))
    }

    pub(crate) fn reset_stats(&mut self) {
        self.shard.reset_stats();
        self.tallies[self.number].reset(self.shard.led());
    }

    pub(crate) fn complete(&mut self, flight: FlightRef, completion: Completion) -> Option<Ended<Live<K, V>>> {
        self.shard.complete(flight, completion, now, &mut self.effects)
    }

    pub(crate) fn leave(&mut self, slot: Slot, why: Leaves) -> Left<Live<K, V>> {
        self.shard.leave(slot, why, now, &mut self.effects)
    }
}

/// What turns leave to do once the shards are back in their cells.
struct Todo<K: Key, V: Value> {
    /// What concerns this thread's own message, and may be told from here.
    reports: Vec<Report>,
    /// What concerns other callers.
    actions: Vec<Action<K, V>>,
}

impl<K: Key, V: Value> Todo<K, V> {
    const fn new() -> Self {
        Self { reports: Vec::new(), actions: Vec::new() }
    }

    fn append(&mut self, later: &mut Self) {
        self.reports.append(&mut later.reports);
        self.actions.append(&mut later.actions);
    }

    /// Takes out of a shard's state what is to be done. `own`: it is about this thread's own message.
    #[cold]
    fn take_from(&mut self, engine: &Arc<Engine<K, V>>, state: &mut State<K, V>, own: bool) {
        self.actions.append(&mut state.actions);
        for effect in state.effects.drain(..) {
            match effect {
                Effect::End { cut, error, abort } => respond::cut_short(engine, cut, error, abort, &mut self.actions),
                Effect::Run(record) => self.actions.push(Action::RunWork(record)),
                Effect::Reclass(flight) => self.actions.push(Action::Reclass(flight)),
                Effect::Discard(flight) => self.actions.push(Action::Drop(Discard::Flight(flight))),
                Effect::SetAlarm => self.actions.push(Action::CallActor { shard: state.number }),
                Effect::Report(report) if own => self.reports.push(report),
                Effect::Report(report) => self.actions.push(Action::Report(report)),
            }
        }
    }
}

/// A shard that is out of its cell.
struct Out<'a, K: Key, V: Value> {
    port: &'a Port<K, V>,
    /// `None` once it is back.
    state: Option<Box<State<K, V>>>,
}

impl<'a, K: Key, V: Value> Out<'a, K, V> {
    /// `None` if it is out already.
    #[inline]
    fn take(port: &'a Port<K, V>) -> Option<Self> {
        Some(Self { port, state: Some(port.shard.take()?) })
    }

    fn state(&mut self) -> &mut State<K, V> {
        self.state.as_mut().expect("it is put back where this ends")
    }

    /// Handles messages of the queue, up to a batch. Says how many. What they leave to do stays in the state.
    #[cold]
    fn handle_queued(&mut self, engine: &Arc<Engine<K, V>>) -> usize {
        let queue = &self.port.queue;
        let (mut handled, now) = (0, now());
        while handled < BATCH
            && let Some(message) = queue.pop()
        {
            handled += 1;
            handle(engine, self.state(), message, now);
        }
        if handled < BATCH {
            queue.shrink().into_iter().for_each(|message| handle(engine, self.state(), message, now));
        }
        handled
    }

    /// Puts the shard back, and takes out what it has left to do.
    ///
    /// After this, the queue has to be looked at once more, and no fence and no flag is needed for the look. A sender puts its
    /// message into the queue and then swaps the cell. If its swap found the cell empty, it came before ours that fills it, in
    /// the one order that all swaps of a cell have. Each swap acquires and releases, so ours sees what was done before the
    /// sender's: the message is in the queue when we look. If the sender's swap came later, it found the shard, and handles
    /// its message itself.
    #[inline]
    fn put_back(mut self, engine: &Arc<Engine<K, V>>, own: bool, todo: &mut Option<Todo<K, V>>) {
        let state = self.state();
        if state.drain.is_some() {
            state.end_drain(now);
        }
        if !state.effects.is_empty() || !state.actions.is_empty() {
            todo.get_or_insert_with(Todo::new).take_from(engine, state, own);
        }
        if let Some(state) = self.state.take() {
            let second = self.port.shard.put(state);
            debug_assert!(second.is_none(), "there is one of each shard");
        }
    }
}

/// Where a turn unwinds: the shard goes back, and its actor looks after all that the turn has left undone (G5).
impl<K: Key, V: Value> Drop for Out<'_, K, V> {
    #[inline]
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.port.shard.put(state);
            self.port.actor.call();
        }
    }
}

/// A message that waited in the queue. It must take neither others nor the turn with it: its sender has gone on.
fn handle<K: Key, V: Value>(engine: &Arc<Engine<K, V>>, state: &mut State<K, V>, message: Message<K, V>, now: Instant) {
    if let Err(panic) = catch(|| message.handle(engine, state, now)) {
        state.actions.push(Action::Report(Report::Recovered { shard: state.number, panic }));
    }
    // A report of this message is not one of the next visitor's.
    for effect in state.effects.extract_if(.., |effect| matches!(effect, Effect::Report(_))) {
        if let Effect::Report(report) = effect {
            state.actions.push(Action::Report(report));
        }
    }
}

impl<K: Key, V: Value> Engine<K, V> {
    /// Runs a turn on the spot. `None`, and nothing was run, if the shard is out, or if more messages wait than one turn
    /// handles: then ours has to be [posted](Self::post), behind them.
    #[inline]
    pub(crate) fn visit<T>(self: &Arc<Self>, shard: usize, turn: impl FnOnce(&mut State<K, V>) -> T) -> Option<T> {
        let port = &self.ports[shard];
        let mut out = Out::take(port).or_else(|| Self::try_again(port))?;
        // What was sent before is handled before.
        let is_next = port.queue.is_empty() || out.handle_queued(self) < BATCH;
        let answer = is_next.then(|| turn(out.state()));
        let mut todo = None;
        out.put_back(self, true, &mut todo);
        if !port.queue.is_empty() {
            self.catch_up(shard, MOST_OF_OTHERS, todo.get_or_insert_with(Todo::new));
        }
        if let Some(todo) = todo {
            self.carry_out(todo);
        }
        answer
    }

    #[cold]
    fn try_again(port: &Port<K, V>) -> Option<Out<'_, K, V>> {
        (1..TRIES).find_map(|_| {
            std::hint::spin_loop();
            Out::take(port)
        })
    }

    /// Puts a message into a shard's queue, and sees to it that it is handled: by the owner of the shard, or here.
    #[cold]
    pub(crate) fn post(self: &Arc<Self>, shard: usize, message: Message<K, V>) {
        let mut todo = Todo::new();
        self.ports[shard].queue.push(message);
        self.catch_up(shard, MOST_OF_OTHERS, &mut todo);
        self.carry_out(todo);
    }

    /// Has the actor handle what was left in the queue. If it is gone, it is handled here, without a limit.
    pub(super) fn call_actor(self: &Arc<Self>, shard: usize) {
        if !self.call(shard).call() {
            let mut todo = Todo::new();
            self.catch_up(shard, usize::MAX, &mut todo);
            self.carry_out(todo);
        }
    }

    /// Handles what is in a shard's queue, up to a limit, for as long as no other thread takes the shard.
    #[cold]
    fn catch_up(self: &Arc<Self>, shard: usize, most: usize, todo: &mut Todo<K, V>) {
        let port = &self.ports[shard];
        let mut handled = 0;
        // If it is out, its owner looks after the queue.
        while let Some(mut out) = Out::take(port) {
            handled += out.handle_queued(self);
            let mut more = None;
            out.put_back(self, false, &mut more);
            if let Some(mut more) = more {
                todo.append(&mut more);
            }
            // The count first, which costs less. A message that is counted and not there yet is sent after this look, so
            // after the shard was put back: its sender finds it, or finds out another thread that looks afterwards.
            if port.queue.is_empty() || !port.queue.has_message() {
                return;
            }
            if handled >= most {
                todo.actions.push(Action::CallActor { shard });
                return;
            }
        }
    }

    /// Does what turns have asked for.
    fn carry_out(self: &Arc<Self>, todo: Todo<K, V>) {
        if !todo.actions.is_empty() {
            respond::hand_over(self, todo.actions);
        }
        // Last, as it runs a subscriber, which is user code: on its own caller's time.
        todo.reports.iter().for_each(trace::report);
    }
}

//! Which keys go into the next batch, and when: a state machine that knows neither tasks nor clocks.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

/// How long all loaders wait for others' loads before one of them is refused. No loader that has its answer takes longer to be polled,
/// unless all threads are busy.
const REFUSE_AFTER: Duration = Duration::from_millis(1);

/// How often the dispatcher lets other tasks run before a batch begins that isn't full: until so many times in a row have brought no
/// key, and so many times at most.
const QUIET_TURNS: u32 = 3;
const MOST_TURNS: u32 = 32;

/// The queue is searched for keys whose flights are gone when there may be so many of them, and they are more than half.
const LEAST_GONE: usize = 32;

pub(super) trait Queued {
    /// Its flight is gone, so it needs no answer.
    fn is_gone(&self) -> bool;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_batch: usize,
    pub(super) min_batch: usize,
    pub(super) max_concurrent: usize,
    pub(super) window: Duration,
}

/// Of keys `T`, and of what tells a loader's own load that it is refused.
pub(super) struct Collector<T, R> {
    limits: Limits,
    queue: VecDeque<T>,
    /// How many in the queue are gone, as far as is known. Less than 0 if one was taken out whose departure is still to be told.
    gone: isize,
    running: HashMap<u64, Running>,
    /// Those loads by their number, which ascends, with their batches.
    inner: BTreeMap<u64, (u64, R)>,
    /// How many of those that run wait for such loads, and so don't end by themselves.
    waiting_inside: usize,
    /// A batch has ended since the first key in the queue came.
    is_due: bool,
    /// When the first key in the queue came. Not noted without a window.
    since: Option<Instant>,
    settling: Settling,
    /// When a load is to be refused, as all loaders wait for others.
    stuck: Option<Instant>,
    /// The batch whose loads are being refused.
    refused: Option<u64>,
}

/// What the loader of a batch does beside its batch.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    /// How many loads of its own it waits for.
    loads: usize,
    /// It has joined flights.
    joins: bool,
}

/// Turns of the other tasks, to see whether they bring more keys.
#[derive(Clone, Copy, Debug, Default)]
struct Settling {
    quiet: u32,
    all: u32,
    has_new: bool,
}

#[derive(Debug)]
pub(super) enum Next<T, R> {
    /// To be called again after a message.
    Wait,
    /// To be called again after other tasks.
    Settle,
    /// To be called again at this time.
    Until(Instant),
    /// These are a batch. It is to be reported as begun.
    Dispatch(Vec<T>),
    /// This load could wait for ever: it is made by a loader, and so are the loads that all others that run wait for.
    Refuse(R),
}

impl<T: Queued, R> Collector<T, R> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            queue: VecDeque::new(),
            gone: 0,
            running: HashMap::new(),
            inner: BTreeMap::new(),
            waiting_inside: 0,
            is_due: false,
            since: None,
            settling: Settling::default(),
            stuck: None,
            refused: None,
        }
    }

    pub(super) fn ask(&mut self, key: T, now: impl FnOnce() -> Instant) {
        if self.queue.is_empty() && !self.limits.window.is_zero() {
            self.since = Some(now());
        }
        self.queue.push_back(key);
        self.settling.has_new = true;
    }

    /// The flight of a key that was in the queue is gone. Gives back those that are.
    pub(super) fn left(&mut self) -> Vec<T> {
        self.gone += 1;
        let gone = usize::try_from(self.gone).unwrap_or(0);
        if gone < LEAST_GONE || gone <= self.queue.len() / 2 {
            return Vec::new();
        }
        let (gone, rest): (VecDeque<T>, VecDeque<T>) =
            std::mem::take(&mut self.queue).into_iter().partition(T::is_gone);
        self.queue = rest;
        self.gone -= gone.len().cast_signed();
        gone.into()
    }

    pub(super) fn began(&mut self, batch: u64) {
        self.running.insert(batch, Running::default());
    }

    pub(super) fn ended(&mut self, batch: u64) {
        if let Some(batch) = self.running.remove(&batch) {
            self.waiting_inside -= usize::from(batch.loads > 0);
            self.is_due = !self.queue.is_empty();
        }
    }

    /// The loader of a batch loads. (Of another batcher's if it isn't known.)
    pub(super) fn inner_began(&mut self, batch: u64, load: u64, refusal: R) {
        if let Some(running) = self.running.get_mut(&batch) {
            running.loads += 1;
            self.waiting_inside += usize::from(running.loads == 1);
            self.inner.insert(load, (batch, refusal));
        }
    }

    pub(super) fn inner_ended(&mut self, load: u64) {
        if let Some((batch, _)) = self.inner.remove(&load) {
            self.waits_for_one_less(batch);
            self.stuck = None;
        }
    }

    fn waits_for_one_less(&mut self, batch: u64) {
        if let Some(running) = self.running.get_mut(&batch) {
            running.loads -= 1;
            self.waiting_inside -= usize::from(running.loads == 0);
        }
    }

    /// The loader of a batch has joined a flight. What that waits for isn't known, and may be a key in the queue.
    pub(super) fn joins(&mut self, batch: u64) {
        if let Some(running) = self.running.get_mut(&batch) {
            running.joins = true;
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// How many keys wait for a batch.
    pub(super) fn queued(&self) -> usize {
        self.queue.len().saturating_sub(usize::try_from(self.gone).unwrap_or(0))
    }

    /// What is to be done now. Keys that are gone and in the way are put into `gone`.
    pub(super) fn next(&mut self, now: impl FnOnce() -> Instant, gone: &mut Vec<T>) -> Next<T, R> {
        let (queued, limits) = (self.queued(), self.limits);
        let has_place = self.running() < limits.max_concurrent;
        let is_stuck = !has_place && self.waiting_inside >= self.running();
        if queued == 0 || !is_stuck {
            (self.stuck, self.refused) = (None, None);
        }
        if queued == 0 {
            self.gone -= self.queue.len().cast_signed();
            gone.extend(self.queue.drain(..));
            self.start_anew();
            return Next::Wait;
        }
        if !has_place {
            return if is_stuck { self.refuse(now) } else { Next::Wait };
        }
        if queued < limits.max_batch {
            if let Some(until) = self.since.and_then(|since| since.checked_add(limits.window))
                && now() < until
            {
                return Next::Until(until);
            }
            let will_end = |running: &Running| running.loads == 0 && !running.joins;
            if queued < limits.min_batch && !self.is_due && self.running.values().any(will_end) {
                return Next::Wait;
            }
            if limits.window.is_zero() && !self.settling.is_over() {
                return Next::Settle;
            }
        }
        self.take(gone)
    }

    fn take(&mut self, gone: &mut Vec<T>) -> Next<T, R> {
        let mut batch = Vec::with_capacity(self.queue.len().min(self.limits.max_batch));
        while batch.len() < self.limits.max_batch
            && let Some(key) = self.queue.pop_front()
        {
            if key.is_gone() {
                self.gone -= 1;
                gone.push(key);
            } else {
                batch.push(key);
            }
        }
        self.settling = Settling { has_new: self.settling.has_new, ..Settling::default() };
        // What is left has waited for the end of a batch as well.
        if self.queue.is_empty() {
            self.start_anew();
        }
        if batch.is_empty() { Next::Wait } else { Next::Dispatch(batch) }
    }

    fn start_anew(&mut self) {
        self.is_due = false;
        self.since = None;
        self.settling = Settling { has_new: self.settling.has_new, ..Settling::default() };
    }

    /// Refuses the last load of a loader, as no batch ends before such a load has its answer. A load that has one already counts as one
    /// that waits until its loader has been polled, for which there is some time.
    fn refuse(&mut self, now: impl FnOnce() -> Instant) -> Next<T, R> {
        // All loads of a loader at once: there may be many.
        let further =
            |refused| self.inner.iter().rev().find(|(_, (batch, _))| *batch == refused).map(|(load, _)| *load);
        let load = self.refused.and_then(further).or_else(|| {
            let now = now();
            let until = *self.stuck.get_or_insert(now + REFUSE_AFTER);
            if now < until { None } else { self.inner.keys().next_back().copied() }
        });
        let Some((batch, refusal)) = load.and_then(|load| self.inner.remove(&load)) else {
            return self.stuck.map_or(Next::Wait, Next::Until);
        };
        (self.stuck, self.refused) = (None, Some(batch));
        self.waits_for_one_less(batch);
        Next::Refuse(refusal)
    }

    /// One that was taken out turned out to be gone. Its departure is still to be told.
    pub(super) fn was_gone(&mut self) {
        self.gone -= 1;
    }

    /// All that is in the queue, at the end.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.queue.drain(..)
    }
}

impl Settling {
    /// To be asked once after each turn of the others.
    fn is_over(&mut self) -> bool {
        self.quiet = if self.has_new { 0 } else { self.quiet + 1 };
        self.all += 1;
        self.has_new = false;
        self.quiet >= QUIET_TURNS || self.all > MOST_TURNS
    }
}

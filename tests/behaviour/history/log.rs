//! Writes down what happens while it happens.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use shardflight::Closed;

use super::record::{Answer, Call, Ending, Execution, Forget, History, Moment, Quiet, Rules, Sighting, Span};

pub(super) struct Log {
    ticks: AtomicU64,
    birth: Instant,
    calls: Mutex<Vec<Call>>,
    executions: Mutex<Vec<Execution>>,
    forgets: Mutex<Vec<Forget>>,
    sightings: Mutex<Vec<Sighting>>,
    closing: Mutex<Option<Moment>>,
    pub(super) values_alive: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            ticks: AtomicU64::new(0),
            birth: Instant::now(),
            calls: Mutex::default(),
            executions: Mutex::default(),
            forgets: Mutex::default(),
            sightings: Mutex::default(),
            closing: Mutex::default(),
            values_alive: AtomicUsize::new(0),
        })
    }

    pub(super) fn now(&self) -> Moment {
        Moment { tick: self.ticks.fetch_add(1, SeqCst), at: self.birth.elapsed() }
    }

    pub(super) fn call(&self, key: u8, inside: Option<usize>, max_wait: Option<Duration>) -> usize {
        let mut calls = lock(&self.calls);
        calls.push(Call { key, inside, max_wait, begin: None, sent: None, answer: None, left: None });
        calls.len() - 1
    }

    pub(super) fn begin(&self, call: usize) {
        let now = self.now();
        lock(&self.calls)[call].begin = Some(now);
    }

    pub(super) fn answered(&self, call: usize, answer: Answer) {
        let now = self.now();
        lock(&self.calls)[call].answer = Some((now, answer));
    }

    pub(super) fn start(self: &Arc<Self>, key: u8, leader: usize) -> Running {
        let begin = self.now();
        let mut executions = lock(&self.executions);
        executions.push(Execution { key, leader, begin, end: None });
        Running { log: Arc::clone(self), execution: executions.len() - 1, ended: false }
    }

    pub(super) fn forget(&self, key: Option<u8>) -> usize {
        let begin = self.now();
        let mut forgets = lock(&self.forgets);
        forgets.push(Forget { key, begin, end: None });
        forgets.len() - 1
    }

    pub(super) fn forgot(&self, forget: usize, detached: Result<usize, Closed>) {
        let now = self.now();
        lock(&self.forgets)[forget].end = Some((now, detached));
    }

    pub(super) fn look(&self) -> usize {
        let begin = self.now();
        let mut sightings = lock(&self.sightings);
        sightings.push(Sighting { begin, end: None });
        sightings.len() - 1
    }

    pub(super) fn saw(&self, sighting: usize, timeouts: Result<u64, Closed>) {
        let now = self.now();
        lock(&self.sightings)[sighting].end = Some((now, timeouts));
    }

    /// From now on callers may be sent away.
    pub(super) fn close(&self) {
        let now = self.now();
        lock(&self.closing).get_or_insert(now);
    }

    pub(super) fn history(&self, rules: Rules, quiet: Quiet, stall: Duration) -> History {
        History {
            rules,
            calls: lock(&self.calls).clone(),
            executions: lock(&self.executions).clone(),
            forgets: lock(&self.forgets).clone(),
            sightings: lock(&self.sightings).clone(),
            closing: *lock(&self.closing),
            quiet,
            stall,
        }
    }
}

/// Work under way. Logs its end, however it comes.
pub(super) struct Running {
    log: Arc<Log>,
    pub(super) execution: usize,
    ended: bool,
}

impl Running {
    /// The last thing that work does: what comes after is no drop.
    pub(super) fn ends(&mut self, ending: Ending) {
        self.ended = true;
        let now = self.log.now();
        lock(&self.log.executions)[self.execution].end = Some((now, ending));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.ends(Ending::Dropped);
        }
    }
}

/// The value of an execution, which knows when the last of it is gone.
pub(super) struct Value {
    pub(super) execution: usize,
    log: Arc<Log>,
}

impl Value {
    pub(super) fn of(running: &Running) -> Self {
        running.log.values_alive.fetch_add(1, SeqCst);
        Self { execution: running.execution, log: Arc::clone(&running.log) }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        self.log.values_alive.fetch_add(1, SeqCst);
        Self { execution: self.execution, log: Arc::clone(&self.log) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.log.values_alive.fetch_sub(1, SeqCst);
    }
}

/// A join, boxed with the reading of its result.
pub(super) type Joining = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A join that logs its own begin and end, or its being dropped.
pub(super) struct Logged {
    log: Arc<Log>,
    call: usize,
    joining: Option<Joining>,
    begun: bool,
}

impl Logged {
    pub(super) fn new(log: &Arc<Log>, call: usize, joining: Joining) -> Self {
        Self { log: Arc::clone(log), call, joining: Some(joining), begun: false }
    }
}

impl Future for Logged {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(joining) = &mut this.joining else { return Poll::Ready(()) };
        let first = !this.begun;
        if first {
            this.begun = true;
            this.log.begin(this.call);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| joining.as_mut().poll(cx)));
        match polled.unwrap_or_else(|_| Poll::Ready(Answer::Unexpected("a panic out of the join".into()))) {
            Poll::Ready(answer) => {
                this.log.answered(this.call, answer);
                this.joining = None;
                Poll::Ready(())
            }
            Poll::Pending => {
                if first {
                    let now = this.log.now();
                    lock(&this.log.calls)[this.call].sent = Some(now);
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let Some(joining) = self.joining.take() else { return };
        let begin = self.log.now();
        drop(joining);
        let end = self.log.now();
        if self.begun {
            lock(&self.log.calls)[self.call].left = Some(Span { begin, end });
        }
    }
}

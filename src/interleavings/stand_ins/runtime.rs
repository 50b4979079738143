//! The runtime and its clock, which a scenario controls.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::{Future, poll_fn},
    io, mem,
    pin::Pin,
    slice::SliceIndex,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::point;

thread_local! {
    /// An execution runs on one thread, and begins with a runtime of its own.
    static CURRENT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Spawns tasks, keeps the time, and can shut down.
#[derive(Clone)]
pub(crate) struct Runtime(Arc<Inner>);

struct Inner {
    began: Instant,
    many_workers: bool,
    /// Never held across a scheduling point.
    state: Mutex<State>,
    sleeps: AtomicU64,
}

#[derive(Default)]
struct State {
    passed: Duration,
    /// By the number of its [`Sleep`].
    sleepers: HashMap<u64, (Instant, Waker)>,
    tasks: Vec<AbortHandle>,
    alive: usize,
    /// How many of them are being polled.
    running: usize,
    /// Woken whenever a task has been polled or has ended.
    watchers: Vec<Waker>,
    shut_down: bool,
}

impl Runtime {
    pub(crate) fn try_current() -> io::Result<Self> {
        CURRENT.with_borrow(Clone::clone).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    #[expect(clippy::unused_self, reason = "as Tokio has it")]
    pub(crate) fn enter(&self) -> Inside {
        Inside
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A runtime that has shut down drops what it is given, as Tokio's do.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        point();
        self.state().alive += 1;
        let task = Task { future: Box::pin(future), alive: Alive(self.clone()) };
        if self.state().shut_down {
            drop(task);
            return AbortHandle(None);
        }
        let abort = AbortHandle(Some(shuttle::future::spawn(task).abort_handle()));
        let shut_down = {
            let mut state = self.state();
            state.tasks.push(abort.clone());
            state.shut_down
        };
        // Spawning lets other tasks act, and a shutdown in between has not seen this one.
        if shut_down {
            abort.abort();
        }
        abort
    }

    /// A thread of the crate's own, which no shutdown ends.
    fn spawn_thread(&self, action: impl FnOnce() + Send + 'static) {
        point();
        self.state().alive += 1;
        drop(shuttle::future::spawn(Task { future: Box::pin(async move { action() }), alive: Alive(self.clone()) }));
    }
}

impl Runtime {
    pub(crate) fn spawn_blocking(&self, action: impl FnOnce() + Send + 'static) -> AbortHandle {
        self.spawn(async move { action() })
    }
}

/// For scenarios alone.
impl Runtime {
    /// A new runtime, which is the current one from now on.
    pub(crate) fn begin(many_workers: bool) -> Self {
        let state = Mutex::default();
        let runtime = Self(Arc::new(Inner { began: Instant::now(), many_workers, state, sleeps: AtomicU64::new(0) }));
        CURRENT.set(Some(runtime.clone()));
        runtime
    }

    /// Drops these tasks, counted in the order of their spawning.
    pub(crate) fn drop_tasks(&self, which: impl SliceIndex<[AbortHandle], Output = [AbortHandle]>) {
        let tasks = self.state().tasks[which].to_vec();
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Drops all tasks, in whatever order, and takes no more.
    pub(crate) fn shut_down(&self) {
        point();
        self.state().shut_down = true;
        self.drop_tasks(0..);
    }

    /// When no task is being polled, and this is so of how many there are and of what else they change.
    pub(crate) async fn until(&self, mut condition: impl FnMut(usize) -> bool) {
        poll_fn(|cx| {
            let (alive, running) = {
                let state = self.state();
                (state.alive, state.running)
            };
            if running == 0 && condition(alive) {
                return Poll::Ready(());
            }
            self.state().watchers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets time pass, and wakes those who have slept long enough.
    pub(crate) fn advance(&self, by: Duration) {
        point();
        let due: Vec<_> = {
            let mut state = self.state();
            state.passed += by;
            let now = self.0.began + state.passed;
            state.sleepers.extract_if(|_, (at, _)| *at <= now).map(|(number, (_, waker))| (number, waker)).collect()
        };
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn tell_watchers(&self) {
        let watchers = mem::take(&mut self.state().watchers);
        watchers.into_iter().for_each(Waker::wake);
    }
}

/// Whether tasks that a caller wakes or spawns may have to wait for that caller's worker.
pub(crate) fn has_many_workers(runtime: &Runtime) -> bool {
    runtime.0.many_workers
}

/// All of a scenario's tasks are the runtime's.
pub(crate) fn is_inside(_: &Runtime) -> bool {
    true
}

/// A thread is a task, too.
pub(crate) fn off_the_workers(action: impl FnOnce() + Send + 'static) {
    Runtime::try_current().expect("a scenario has a runtime").spawn_thread(action);
}

pub(crate) fn run_on_its_own_thread(action: impl FnOnce() + Send + 'static) {
    off_the_workers(action);
}

/// Stands for being inside a runtime.
pub(crate) struct Inside;

/// Stands for Tokio's `JoinHandle`. `None` for a task that a runtime refused.
#[derive(Clone)]
pub(crate) struct AbortHandle(Option<shuttle::future::AbortHandle>);

impl AbortHandle {
    /// The task's future is dropped in its own task, later, as with Tokio's.
    pub(crate) fn abort(&self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

struct Task {
    /// Before `alive`, hence dropped before it.
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    alive: Alive,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alive.0.state().running += 1;
        let polled = self.future.as_mut().poll(cx);
        self.alive.0.state().running -= 1;
        self.alive.0.tell_watchers();
        polled
    }
}

struct Alive(Runtime);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.state().alive -= 1;
        self.0.tell_watchers();
    }
}

/// Scenarios make no calls from there.
pub(crate) fn is_thread_ending() -> bool {
    false
}

/// The time of the current runtime.
pub(crate) fn now() -> Instant {
    CURRENT.with_borrow(|current| {
        let runtime = current.as_ref().expect("a scenario begins with a runtime");
        runtime.0.began + runtime.state().passed
    })
}

pub(crate) struct Sleep {
    runtime: Runtime,
    number: u64,
    until: Instant,
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    sleep_until((now() + duration).into())
}

pub(crate) fn sleep_until(until: tokio::time::Instant) -> Sleep {
    let runtime = Runtime::try_current().expect("a scenario begins with a runtime");
    let number = runtime.0.sleeps.fetch_add(1, Ordering::Relaxed);
    Sleep { runtime, number, until: until.into_std() }
}

impl Sleep {
    pub(crate) fn reset(mut self: Pin<&mut Self>, until: tokio::time::Instant) {
        point();
        self.until = until.into_std();
        if let Some((at, _)) = self.runtime.state().sleepers.get_mut(&self.number) {
            *at = until.into_std();
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        point();
        let mut state = self.runtime.state();
        if self.until <= self.runtime.0.began + state.passed {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.number, (self.until, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.runtime.state().sleepers.remove(&self.number);
    }
}

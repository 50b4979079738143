//! The runtime and the clock, at a scenario's mercy.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    io, mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::runtime::RuntimeFlavor;

use super::point;

thread_local! {
    /// A whole execution runs on one thread, and begins with a world of its own.
    static CURRENT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Spawns tasks, keeps the time, and can go away.
#[derive(Clone)]
pub(crate) struct Runtime(Arc<World>);

struct World {
    began: Instant,
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
    /// Whom it interests that a task has ended.
    mourners: Vec<Waker>,
    shut_down: bool,
}

impl Runtime {
    pub(crate) fn try_current() -> io::Result<Self> {
        CURRENT.with_borrow(Clone::clone).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The one without slots that only their own worker takes from, as no scenario has workers.
    #[expect(clippy::unused_self, reason = "as Tokio has it")]
    pub(crate) fn runtime_flavor(&self) -> RuntimeFlavor {
        RuntimeFlavor::CurrentThread
    }

    #[expect(clippy::unused_self, reason = "as Tokio has it")]
    pub(crate) fn enter(&self) -> Inside {
        Inside
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A runtime that has gone away drops what it is given, as Tokio's do.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        point();
        self.state().alive += 1;
        let task = Task { future: Box::pin(future), _alive: Alive(self.clone()) };
        if self.state().shut_down {
            drop(task);
            return AbortHandle(None);
        }
        let abort = AbortHandle(Some(shuttle::future::spawn(task).abort_handle()));
        self.state().tasks.push(abort.clone());
        abort
    }
}

/// For scenarios alone.
#[cfg(test)]
impl Runtime {
    /// A new world, in which this thread is from now on.
    pub(crate) fn begin() -> Self {
        let world = World { began: Instant::now(), state: Mutex::default(), sleeps: AtomicU64::new(0) };
        let runtime = Self(Arc::new(world));
        CURRENT.set(Some(runtime.clone()));
        runtime
    }

    /// Drops these tasks, counted in the order of their spawning.
    pub(crate) fn drop_tasks(&self, which: impl std::slice::SliceIndex<[AbortHandle], Output = [AbortHandle]>) {
        let tasks = self.state().tasks[which].to_vec();
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Drops all tasks, in whatever order, and takes no more.
    pub(crate) fn shut_down(&self) {
        point();
        self.state().shut_down = true;
        self.drop_tasks(0..);
    }

    /// When no more than so many tasks are left, their futures dropped and gone.
    pub(crate) async fn at_most(&self, alive: usize) {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            if state.alive <= alive {
                return Poll::Ready(());
            }
            state.mourners.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets time pass, and wakes whoever has slept long enough.
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
}

/// Stands for being inside a runtime.
pub(crate) struct Inside;

/// Stands for Tokio's `JoinHandle`. `None` for a task that a runtime refused.
#[derive(Clone)]
pub(crate) struct AbortHandle(Option<shuttle::future::AbortHandle>);

impl AbortHandle {
    pub(crate) fn abort_handle(&self) -> Self {
        self.clone()
    }

    /// The task's future is dropped in its own task, later, as with Tokio's.
    pub(crate) fn abort(&self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

struct Task {
    /// Before `_alive`, hence dropped before it.
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    _alive: Alive,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(cx)
    }
}

struct Alive(Runtime);

impl Drop for Alive {
    fn drop(&mut self) {
        let mourners = {
            let mut state = self.0.state();
            state.alive -= 1;
            mem::take(&mut state.mourners)
        };
        mourners.into_iter().for_each(Waker::wake);
    }
}

/// The time of the world that this thread is in.
pub(crate) fn now() -> Instant {
    CURRENT.with_borrow(|current| {
        let runtime = current.as_ref().expect("a scenario begins with a world");
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
    let runtime = Runtime::try_current().expect("a scenario begins with a world");
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

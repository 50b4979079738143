//! Gates, counters and limits.

use std::{
    any::Any,
    cell::RefCell,
    env,
    future::{Ready, poll_fn, ready},
    hash::Hash,
    panic::resume_unwind,
    pin::{Pin, pin},
    process::{self, Command},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use shardflight::{Coalescer, Handle, OnAbandon, Stats};
use tokio::{
    runtime::{self, Runtime},
    sync::watch,
    task::yield_now,
    time::{self, sleep},
};

/// How long a test may go without progress. Generous, and no bound on its total work: a loaded machine is slow, but only a
/// hang reaches it.
pub(crate) const LIMIT: Duration = Duration::new(60, 0);

/// Fails a test that hangs. Each poll of the test restarts the limit.
pub(crate) async fn limited<F: Future>(test: F) -> F::Output {
    let mut test = pin!(test);
    let mut limit = pin!(sleep(LIMIT));
    poll_fn(|cx| {
        // Before the poll: one that takes long is no hang.
        let is_hung = limit.is_elapsed();
        if let Poll::Ready(output) = test.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        assert!(!is_hung, "the test hangs");
        limit.as_mut().reset(time::Instant::now() + LIMIT);
        let _ = limit.as_mut().poll(cx);
        Poll::Pending
    })
    .await
}

thread_local! {
    /// Where a watched test reports its progress to.
    static STEPS: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
}

/// [`limited`] for tests that block threads: no runtime has to be alive for the limit to hold. Each [`step`] restarts it.
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let (steps, progress) = mpsc::channel();
    // The thread's end drops the sender.
    let thread = thread::spawn(move || {
        STEPS.set(Some(steps));
        test();
    });
    let end = loop {
        if let Err(end) = progress.recv_timeout(LIMIT) {
            break end;
        }
    };
    assert_eq!(end, RecvTimeoutError::Disconnected, "the test hangs");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// Reports progress of a [`watched`] test, from its own thread.
pub(crate) fn step() {
    STEPS.with_borrow(|steps| {
        if let Some(steps) = steps {
            let _ = steps.send(());
        }
    });
}

const CHILD: &str = "SHARDFLIGHT_BEHAVIOUR_CHILD";

/// Runs the test of that name in a child process; in the child, runs its body, limited. For what would end the process,
/// and for what is the process's own and not to be had in peace beside other tests.
pub(crate) fn in_a_child_process<F: Future>(test: &str, body: impl FnOnce() -> F) {
    if env::var_os(CHILD).is_some() {
        // For a body that blocks its thread, where `limited` has no say.
        thread::spawn(|| {
            thread::sleep(4 * LIMIT);
            eprintln!("the test hangs");
            process::exit(1);
        });
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(limited(body()));
        return;
    }
    let child = Command::new(env::current_exe().unwrap()).args(["--exact", test]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("running 1 test"), "no such test: {test}");
    assert!(child.status.success(), "{}\n{said}\n{}", child.status, String::from_utf8_lossy(&child.stderr));
}

/// A runtime with two workers that a test may block, drop or leave to itself.
pub(crate) fn two_workers() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Builds inside a runtime that the calling thread doesn't drive.
pub(crate) fn inside<T>(runtime: &Runtime, build: impl FnOnce() -> T) -> T {
    let _inside = runtime.enter();
    build()
}

/// All keys on one shard: what one of them does wrong hits the others if it can.
pub(crate) fn one_shard<K: Eq + Send + 'static, V: Send + Sync + 'static>() -> Handle<K, V> {
    Coalescer::builder().shards(1).build().expect("inside a runtime").handle()
}

/// [`one_shard`] where abandoned work is dropped.
pub(crate) fn one_aborting_shard<K: Eq + Send + 'static, V: Send + Sync + 'static>() -> Handle<K, V> {
    Coalescer::builder().shards(1).on_abandon(OnAbandon::Abort).build().expect("inside a runtime").handle()
}

/// Work that is done at once. All of a value's type are of one type, and each type of work is compiled anew.
pub(crate) fn returning<V>(value: V) -> impl FnOnce() -> Ready<V> {
    move || ready(value)
}

/// Closed until opened, then open for good.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn pass(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut state = self.0.subscribe();
        let keep_alive = Arc::clone(&self.0);
        async move {
            state.wait_for(|open| *open).await.expect("the gate keeps its own sender");
            drop(keep_alive);
        }
    }

    /// Work that returns once the gate is open.
    pub(crate) fn then<T: Send + 'static>(
        &self,
        value: T,
    ) -> impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send>> + Send + use<T> {
        let passed = self.pass();
        move || {
            Box::pin(async move {
                passed.await;
                value
            })
        }
    }
}

/// A gate that blocks the thread. It opens when its [`Opener`] goes, so that a failing test blocks no thread for good.
#[derive(Clone, Debug)]
pub(crate) struct Wall(Arc<(Mutex<bool>, Condvar)>);

#[derive(Debug)]
pub(crate) struct Opener(Wall);

impl Wall {
    pub(crate) fn new() -> (Self, Opener) {
        let wall = Self(Arc::default());
        (wall.clone(), Opener(wall))
    }

    pub(crate) fn block(&self) {
        let (open, changed) = &*self.0;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let (open, changed) = &*self.0.0;
        *open.lock().unwrap() = true;
        changed.notify_all();
    }
}

/// Blocks the thread that drops it.
#[derive(Debug)]
pub(crate) struct BlocksInDrop(pub(crate) Wall);

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        self.0.block();
    }
}

/// How often something happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts when it is dropped.
    pub(crate) fn on_drop(&self) -> CountsDrop {
        CountsDrop(self.clone())
    }
}

#[derive(Debug)]
pub(crate) struct CountsDrop(Count);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.up();
    }
}

/// Waits until the statistics say so, and returns them. The limit is for the time without a change.
pub(crate) async fn until<K, V, S>(handle: &Handle<K, V, S>, condition: impl Fn(&Stats) -> bool) -> Stats
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    let mut deadline = Instant::now() + LIMIT;
    let mut seen = None;
    loop {
        let stats = handle.stats().await.expect("the shards are there");
        if condition(&stats) {
            step();
            return stats;
        }
        let gauges = (stats.waiters, stats.flights, stats.lingering);
        let now = Some((stats.joins, stats.executions, stats.departures, gauges));
        if seen != now {
            step();
            (seen, deadline) = (now, Instant::now() + LIMIT);
        }
        assert!(Instant::now() < deadline, "never came true; last seen: {stats:?}");
        yield_now().await;
    }
}

/// Waits for quiescence, and checks the books: nothing under way, and every join accounted for once (G6, G14).
pub(crate) async fn at_rest<K, V, S>(handle: &Handle<K, V, S>) -> Stats
where
    K: Hash + Eq + Send + 'static,
    V: Send + Sync + 'static,
{
    let stats = until(handle, |stats| stats.flights == 0 && stats.waiters == 0 && stats.lingering == 0).await;
    assert_eq!(stats.joins, stats.executions + stats.coalesced + stats.rejections + stats.bypasses, "{stats:?}");
    assert_eq!(stats.oldest_flight, None);
    stats
}

pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true");
        yield_now().await;
    }
}

/// [`eventually`] on a plain thread.
pub(crate) fn eventually_blocking(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true");
        thread::yield_now();
    }
}

/// Polls once and never arranges to be woken: a caller that is alive, and not looking.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The first poll of a join whose work can't have ended.
pub(crate) fn assert_pending<F: Future + Unpin>(join: &mut F) {
    assert!(poll_once(join).is_pending(), "there can be no answer yet");
}

/// Lets every task that is ready have its turn, on a `current_thread` runtime.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Counts how often the future inside is polled.
pub(crate) async fn counting_polls<F: Future + Unpin>(mut future: F, polls: Count) -> F::Output {
    poll_fn(|cx| {
        polls.up();
        Pin::new(&mut future).poll(cx)
    })
    .await
}

/// Panics without a word on stderr.
pub(crate) fn panic_quietly(payload: impl Any + Send) -> ! {
    resume_unwind(Box::new(payload))
}

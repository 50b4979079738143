//! What is measured in this process, in microseconds or nanoseconds.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use redis::{Client, aio::MultiplexedConnection};
use shardflight::{
    Coalescer, Handle, JoinError,
    redis::{Cluster, ClusterHandle},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::yield_now,
    time::sleep,
};

use crate::{command::Fallible, median::median, server::free_port};

const UNFAILING: &str = "nothing here fails";
const NAMESPACE: &str = "bench";
/// Longer than a busy machine takes.
const OP_TIMEOUT: Duration = Duration::from_secs(2);
/// For what was woken by the preparations to have gone back to sleep.
const SETTLE: Duration = Duration::from_millis(1);

pub(crate) type Node = ClusterHandle<u64, u64>;

pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime")
}

fn handle() -> Handle<u64, u64> {
    Coalescer::new().handle()
}

/// A replica: a coalescer and a connection of its own.
pub(crate) fn node(url: &str) -> Fallible<Node> {
    let cluster = Cluster::builder(url).namespace(NAMESPACE).op_timeout(OP_TIMEOUT).lease(OP_TIMEOUT * 3).build()?;
    Ok(handle().across(cluster))
}

/// The round trips of one server.
pub(crate) struct Trips {
    /// Driven by the runtime of the tasks that ask.
    here: MultiplexedConnection,
    elsewhere: Elsewhere,
    leader: Node,
    follower: Node,
    next: u64,
}

impl Trips {
    pub(crate) async fn to(url: &str) -> Fallible<Self> {
        let here = connect(url).await?;
        let elsewhere = Elsewhere::connect(url)?;
        let (leader, follower) = (node(url)?, node(url)?);
        // Connects, and has the server load the scripts.
        for node in [&leader, &follower] {
            node.join(u64::MAX, || async { 0 }).await?;
        }
        Ok(Self { here, elsewhere, leader, follower, next: 0 })
    }

    /// The median join that leads, whose work is ready at once: it takes the lease and gives it back. Then the two PINGs. They take turns,
    /// as which of the cores the server is on makes a difference to all three.
    pub(crate) async fn lead(&mut self, calls: u64) -> [f64; 3] {
        let (node, keys) = (self.leader.clone(), self.next..self.next + calls);
        self.next += calls;
        let led = node.cluster().stats().led;
        let (here, elsewhere) = (self.here.clone(), self.elsewhere.clone());
        let turns = async move {
            let mut took = [const { Vec::new() }; 3];
            for key in keys {
                took[0]
                    .push(timed(async { assert_eq!(node.join(key, move || async move { key }).await, Ok(key)) }).await);
                took[1].push(timed(ping(here.clone())).await);
                took[2].push(timed(elsewhere.ping()).await);
            }
            took.map(|took| middle(&took))
        };
        let took = tokio::spawn(turns).await.expect(UNFAILING);
        assert_eq!(self.leader.cluster().stats().led - led, calls, "each of them led");
        took
    }

    /// The median time from the end of the leader's work to the follower's answer, and the two PINGs, all of them after a pause.
    pub(crate) async fn wake(&mut self, calls: u64) -> [f64; 3] {
        let mut took = [const { Vec::new() }; 3];
        for _ in 0..calls {
            took[0].push(self.wake_once().await);
            let (here, elsewhere) = (self.here.clone(), self.elsewhere.clone());
            let pings = async move {
                sleep(SETTLE).await;
                let here = timed(ping(here)).await;
                sleep(SETTLE).await;
                [here, timed(elsewhere.ping()).await]
            };
            let pings = tokio::spawn(pings).await.expect(UNFAILING);
            took[1].push(pings[0]);
            took[2].push(pings[1]);
        }
        took.map(|took| middle(&took))
    }

    async fn wake_once(&mut self) -> f64 {
        let key = self.next;
        self.next += 1;
        let (open, opened) = oneshot::channel::<()>();
        let ended = Arc::new(Mutex::new(None));
        let end = Arc::clone(&ended);
        let led = tokio::spawn(self.leader.join(key, move || async move {
            opened.await.expect(UNFAILING);
            *end.lock().expect(UNFAILING) = Some(Instant::now());
            key
        }));
        self.until_fields(key, 1).await;
        let follower = self.follower.join(key, || async { panic!("it follows") });
        let answering = tokio::spawn(async move { (follower.await, Instant::now()) });
        self.until_fields(key, 2).await;
        sleep(SETTLE).await;
        open.send(()).expect(UNFAILING);
        let (answer, woken) = answering.await.expect(UNFAILING);
        assert_eq!(answer, Ok(key));
        assert_eq!(led.await.expect(UNFAILING), Ok(key));
        let ended = ended.lock().expect(UNFAILING).expect("the work has ended");
        microseconds(woken.duration_since(ended))
    }

    /// Until the key's lease is there, which is a field, with so many flights less one that follow it.
    async fn until_fields(&mut self, key: u64, fields: usize) {
        let text = key.to_string();
        let lease = format!("{{{NAMESPACE}:{}:{text}}}:lease", text.len());
        let mut query = redis::cmd("HLEN");
        query.arg(lease);
        while query.query_async::<usize>(&mut self.here).await.expect(UNFAILING) < fields {
            yield_now().await;
        }
    }
}

/// A connection on a thread of its own, where the crate has its own: two changes of threads more.
#[derive(Clone)]
struct Elsewhere {
    runtime: tokio::runtime::Handle,
    connection: MultiplexedConnection,
    /// Its drop ends the thread.
    _stop: Arc<oneshot::Sender<()>>,
}

impl Elsewhere {
    fn connect(url: &str) -> Fallible<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (url, (sender, connected)) = (url.to_owned(), std::sync::mpsc::channel());
        thread::spawn(move || {
            runtime.block_on(async {
                let _ = sender.send(connect(&url).await.map_err(|error| error.to_string()));
                let _ = stopped.await;
            });
        });
        Ok(Self { runtime: handle, connection: connected.recv()??, _stop: Arc::new(stop) })
    }

    async fn ping(&self) {
        self.runtime.spawn(ping(self.connection.clone())).await.expect(UNFAILING);
    }
}

async fn connect(url: &str) -> Fallible<MultiplexedConnection> {
    Ok(Client::open(url)?.get_multiplexed_async_connection().await?)
}

async fn ping(mut connection: MultiplexedConnection) {
    redis::cmd("PING").exec_async(&mut connection).await.expect(UNFAILING);
}

/// In µs.
async fn timed(call: impl Future<Output = ()>) -> f64 {
    let began = Instant::now();
    call.await;
    microseconds(began.elapsed())
}

/// A coalescer, and another one across a cluster whose Redis is gone.
pub(crate) struct Outage {
    plain: Handle<u64, u64>,
    open: Node,
    next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Ready,
    Suspended,
}

impl Outage {
    pub(crate) async fn begin() -> Fallible<Self> {
        let op_timeout = Duration::from_millis(20);
        let cluster = Cluster::builder(format!("redis://127.0.0.1:{}", free_port()?))
            .namespace(NAMESPACE)
            .op_timeout(op_timeout)
            .lease(op_timeout * 3)
            .build()?;
        let mut outage = Self { plain: handle(), open: handle().across(cluster), next: 0 };
        while !outage.open.cluster().stats().is_open {
            outage.next += 1;
            outage.open.join(outage.next, || async { 0 }).await?;
        }
        Ok(outage)
    }

    /// Nanoseconds per call with a new key each time, in one task: plain, and with the breaker open.
    pub(crate) async fn calls(&mut self, work: Work, calls: u64, is_open_first: bool) -> (f64, f64) {
        let first = self.next + 1;
        self.next += calls;
        let keys = first..first + calls;
        let (plain, open) = if is_open_first {
            let open = self.open(work, keys.clone()).await;
            (self.plain(work, keys).await, open)
        } else {
            let plain = self.plain(work, keys.clone()).await;
            (plain, self.open(work, keys).await)
        };
        assert!(self.open.cluster().stats().is_open);
        (plain, open)
    }

    async fn plain(&self, work: Work, keys: Range<u64>) -> f64 {
        let handle = self.plain.clone();
        per_call(keys, move |key| handle.join(key, move || value(work, key))).await
    }

    async fn open(&self, work: Work, keys: Range<u64>) -> f64 {
        let handle = self.open.clone();
        per_call(keys, move |key| handle.join(key, move || value(work, key))).await
    }
}

/// Nanoseconds per call, in a task.
async fn per_call<F>(keys: Range<u64>, call: impl Fn(u64) -> F + Send + 'static) -> f64
where
    F: Future<Output = Result<u64, JoinError>> + Send,
{
    let calls = keys.end - keys.start;
    let timed = async move {
        let began = Instant::now();
        for key in keys {
            assert_eq!(call(key).await, Ok(key));
        }
        began.elapsed().as_secs_f64() * 1e9 / calls as f64
    };
    tokio::spawn(timed).await.expect(UNFAILING)
}

async fn value(work: Work, key: u64) -> u64 {
    if work == Work::Suspended {
        yield_now().await;
    }
    key
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn middle(took: &[f64]) -> f64 {
    median(took).expect("a call or more")
}

//! Nodes that are processes: this test binary, started again as a test that does what it is told by its standard input.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use shardflight::{
    Coalescer, JoinError,
    redis::{Cluster, ClusterHandle, FailOpen, Server},
};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::{
    history::{Entry, Event, Log},
    server::signal,
    support::{LEASE, LIMIT, LONG_LEASE},
};

const NODE: &str = "SHARDFLIGHT_REDIS_NODE";

/// How a process is built.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// One for a server, several for a Redis Cluster.
    pub(crate) urls: Vec<String>,
    pub(crate) lease: Duration,
    pub(crate) op_timeout: Duration,
    pub(crate) version: u32,
}

impl Options {
    /// Generous timeouts, so that a busy machine is no failing Redis.
    pub(crate) fn of(url: String) -> Self {
        Self { urls: vec![url], lease: LONG_LEASE, op_timeout: LONG_LEASE / 3, version: 0 }
    }

    /// For those that wait for the end of a lease.
    pub(crate) fn with_a_short_lease(self) -> Self {
        Self { lease: LEASE * 3, op_timeout: LEASE, ..self }
    }

    fn to_text(&self) -> String {
        let urls = self.urls.join(",");
        format!("{urls} {} {} {}", self.lease.as_millis(), self.op_timeout.as_millis(), self.version)
    }

    fn from_text(text: &str) -> Self {
        let parts: Vec<_> = text.split(' ').collect();
        let [urls, lease, op_timeout, version] = parts[..] else { panic!("{text}") };
        let millis = |text: &str| Duration::from_millis(text.parse().expect("a number"));
        Self {
            urls: urls.split(',').map(ToOwned::to_owned).collect(),
            lease: millis(lease),
            op_timeout: millis(op_timeout),
            version: version.parse().expect("a number"),
        }
    }

    fn node(&self) -> ClusterHandle<String, String> {
        let server = match &self.urls[..] {
            [url] => Server::single(url.as_str()),
            urls => Server::cluster(urls),
        };
        let cluster = Cluster::builder(server)
            .namespace("processes")
            .version(self.version)
            .lease(self.lease)
            .op_timeout(self.op_timeout)
            .build()
            .expect("the options make sense");
        Coalescer::<String, String>::builder().build().expect("inside a runtime").handle().across(cluster)
    }
}

fn log(text: &str) {
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_micros();
    let line = format!("log {at} {text}\n");
    let mut out = std::io::stdout().lock();
    // The parent may be gone.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// Not a test by itself: the body of each process.
#[test]
fn node_process() {
    let Ok(options) = env::var(NODE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Options::from_text(&options).node();
        let (commands, mut received) = tokio::sync::mpsc::unbounded_channel();
        thread::spawn(move || {
            let lines = std::io::stdin().lock().lines();
            lines.map_while(Result::ok).for_each(|line| drop(commands.send(line)));
        });
        // So that no scenario depends on how long the first connection takes.
        while node.cluster().stats().led == 0 && !received.is_closed() {
            let _ = node.join(name(), || async { String::new() }).await;
            sleep(Duration::from_millis(1)).await;
        }
        let (alone, joined) = (node.cluster().stats().fail_opens(), joins(&node).await);
        // Work goes on with the next opening after its call.
        let gate = watch::Sender::new(());
        let mut bursts = JoinSet::new();
        println!();
        log("stats ready 1");
        while let Some(command) = received.recv().await {
            let parts: Vec<_> = command.split(' ').collect();
            match parts[..] {
                ["burst", key, callers] => {
                    for _ in 0..callers.parse::<usize>().unwrap() {
                        bursts.spawn(call(node.clone(), key.to_owned(), gate.subscribe()));
                    }
                }
                ["open"] => gate.send_replace(()),
                ["joined", calls] => {
                    while joins(&node).await - joined < calls.parse().unwrap() {
                        sleep(Duration::from_millis(1)).await;
                    }
                    log("stats joined 1");
                }
                ["connected"] => {
                    while !node.cluster().stats().is_connected {
                        sleep(Duration::from_millis(1)).await;
                    }
                    log("stats connected 1");
                }
                ["rest"] => {
                    while bursts.join_next().await.is_some() {}
                    let stats = node.cluster().stats();
                    for (name, value) in [
                        ("led", stats.led),
                        ("followed", stats.followed),
                        ("takeovers", stats.takeovers),
                        ("fenced_out", stats.fenced_out),
                        ("fail_opens", stats.fail_opens() - alone),
                        ("undecodable", stats.fail_opens_by(FailOpen::Undecodable)),
                        ("waiting", stats.waiting as u64),
                        ("rest", 1),
                    ] {
                        log(&format!("stats {name} {value}"));
                    }
                }
                _ => panic!("{command}"),
            }
        }
    });
}

/// Callers and runs are named by the process and a number.
fn name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NUMBERS.fetch_add(1, Ordering::Relaxed))
}

async fn joins(node: &ClusterHandle<String, String>) -> u64 {
    node.local().stats().await.expect("the shards are there").joins
}

async fn call(node: ClusterHandle<String, String>, key: String, mut gate: watch::Receiver<()>) {
    let caller = name();
    log(&format!("call {caller} {key}"));
    let ran = key.clone();
    let answer = node.join_fenced(key, move |fence| async move {
        let run = name();
        let token = fence.token().map_or_else(|| "-".to_owned(), |token| token.to_string());
        log(&format!("run {run} {ran} {token}"));
        // It's the process that ends otherwise.
        let _ = gate.changed().await;
        log(&format!("end {run}"));
        run
    });
    match answer.await {
        Ok(run) => log(&format!("got {caller} {run}")),
        Err(JoinError::Panicked(_)) => log(&format!("failed {caller} panicked")),
        Err(error) => log(&format!("failed {caller} {}", error.kind().as_str())),
    }
}

type Lines = Arc<(Mutex<Vec<Entry>>, Condvar)>;

/// A node in a process of its own. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    commands: ChildStdin,
    lines: Lines,
    calls: usize,
    was_killed: bool,
}

impl Process {
    pub(crate) fn start(options: &Options) -> Self {
        let mut child = Command::new(env::current_exe().expect("this test's binary"))
            .args(["--exact", "process::node_process", "--nocapture", "--quiet"])
            .env(NODE, options.to_text())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let (commands, out) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let lines = Lines::default();
        let heard = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Ok(entry) = line.parse() {
                    heard.0.lock().unwrap().push(entry);
                    heard.1.notify_all();
                }
            }
        });
        let process = Self { child, commands, lines, calls: 0, was_killed: false };
        process.until("ready", |event| matches!(event, Event::Stats { name, .. } if name == "ready"), 1);
        process
    }

    /// So many callers at once, whose work waits for [`open`](Self::open).
    pub(crate) fn burst(&mut self, key: &str, callers: usize) {
        self.calls += callers;
        self.tell(&format!("burst {key} {callers}"));
    }

    /// Until all that were told to call share a flight.
    pub(crate) fn until_joined(&mut self) {
        self.until_it_is("joined", &format!(" {}", self.calls));
    }

    pub(crate) fn until_connected(&mut self) {
        self.until_it_is("connected", "");
    }

    /// Until it has logged that it has done so.
    fn until_it_is(&mut self, done: &str, how: &str) {
        let is_done = |event: &Event| matches!(event, Event::Stats { name, .. } if name == done);
        let before = self.count(is_done);
        self.tell(&format!("{done}{how}"));
        self.until(done, is_done, before + 1);
    }

    /// The work of all calls so far may end.
    pub(crate) fn open(&mut self) {
        if !self.was_killed {
            self.tell("open");
        }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the process listens");
    }

    /// Until so many of its entries are such.
    fn until(&self, what: &str, is_such: impl Fn(&Event) -> bool, count: usize) {
        let deadline = Instant::now() + LIMIT;
        let mut lines = self.lines.0.lock().unwrap();
        while lines.iter().filter(|entry| is_such(&entry.event)).count() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never came true: {what}; last of {}: {:?}", lines.len(), lines.last());
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// How often it has run the key's work.
    pub(crate) fn runs(&self, key: &str) -> usize {
        self.count(|event| matches!(event, Event::Run { key: other, .. } if other == key))
    }

    fn count(&self, is_such: impl Fn(&Event) -> bool) -> usize {
        self.lines.0.lock().unwrap().iter().filter(|entry| is_such(&entry.event)).count()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// As by the kernel: at once, and without a word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
        self.was_killed = true;
    }

    /// Waits until all its callers have their answers, and gives its log so far.
    pub(crate) fn rest(&mut self) -> Log {
        if !self.was_killed {
            self.until_it_is("rest", "");
        }
        Log { entries: self.lines.0.lock().unwrap().clone(), was_killed: self.was_killed }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

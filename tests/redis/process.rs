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
use tokio::time::sleep;

use crate::{
    history::{Entry, Event, Log},
    server::signal,
    support::LIMIT,
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
    pub(crate) fn of(url: String) -> Self {
        Self { urls: vec![url], lease: Duration::from_secs(2), op_timeout: Duration::from_millis(600), version: 0 }
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
        let mut herds = tokio::task::JoinSet::new();
        println!();
        log("stats ready 1");
        while let Some(command) = received.recv().await {
            let parts: Vec<_> = command.split(' ').collect();
            match parts[..] {
                ["herd", key, callers, work] => {
                    let callers: usize = callers.parse().unwrap();
                    let work = Duration::from_millis(work.parse().unwrap());
                    (0..callers).for_each(|_| drop(herds.spawn(call(node.clone(), key.to_owned(), work))));
                }
                ["keys", count, work] => {
                    let work = Duration::from_millis(work.parse().unwrap());
                    for key in 0..count.parse::<usize>().unwrap() {
                        herds.spawn(call(node.clone(), format!("key-{key}"), work));
                    }
                }
                ["rest"] => {
                    while herds.join_next().await.is_some() {}
                    let stats = node.cluster().stats();
                    for (name, value) in [
                        ("led", stats.led),
                        ("followed", stats.followed),
                        ("takeovers", stats.takeovers),
                        ("fenced_out", stats.fenced_out),
                        ("fail_opens", stats.fail_opens()),
                        ("undecodable", stats.fail_opens_by(FailOpen::Undecodable)),
                        ("waiting", stats.waiting as u64),
                        ("rested", 1),
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

async fn call(node: ClusterHandle<String, String>, key: String, work: Duration) {
    let caller = name();
    log(&format!("call {caller} {key}"));
    let ran = key.clone();
    let answer = node.join_fenced(key, move |fence| async move {
        let run = name();
        let token = fence.token().map_or_else(|| "-".to_owned(), |token| token.to_string());
        log(&format!("run {run} {ran} {token}"));
        sleep(work).await;
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
        let process = Self { child, commands, lines, was_killed: false };
        process.until("it is ready", |event| matches!(event, Event::Stats { name, .. } if name == "ready"), 1);
        process
    }

    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the process listens");
    }

    /// Until so many of its entries are such.
    pub(crate) fn until(&self, what: &str, is_such: impl Fn(&Event) -> bool, count: usize) {
        let deadline = Instant::now() + LIMIT;
        let mut lines = self.lines.0.lock().unwrap();
        while lines.iter().filter(|entry| is_such(&entry.event)).count() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never came true: {what}; last of {}: {:?}", lines.len(), lines.last());
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub(crate) fn count(&self, is_such: impl Fn(&Event) -> bool) -> usize {
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
            let rests = self.count(is_rested);
            self.tell("rest");
            self.until("it rests", is_rested, rests + 1);
        }
        Log { entries: self.lines.0.lock().unwrap().clone(), was_killed: self.was_killed }
    }
}

fn is_rested(event: &Event) -> bool {
    matches!(event, Event::Stats { name, .. } if name == "rested")
}

pub(crate) fn is_run(event: &Event) -> bool {
    matches!(event, Event::Run { .. })
}

pub(crate) fn is_call(event: &Event) -> bool {
    matches!(event, Event::Call { .. })
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

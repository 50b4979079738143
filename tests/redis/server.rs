//! A redis-server of a test's own, on a free port of the loopback, with nothing on disk.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Commands, Connection, ConnectionLike, RedisResult};

/// For whatever is awaited of a server, on a machine that is busy.
const LIMIT: Duration = Duration::from_mins(1);

/// All fields of all leases, but for those that name the leader.
const FOLLOWERS: &str = "local count = 0 \
    for _, key in ipairs(redis.call('KEYS', '*lease')) do count = count + redis.call('HLEN', key) - 1 end \
    return count";

/// Whether there is a `redis-server` to start. Says so, once per test, where there is none.
pub(crate) fn is_missing() -> bool {
    let is_there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_missing = is_there.is_err();
    if is_missing {
        assert!(env::var_os("CI").is_none(), "there is no redis-server, and this is CI");
        println!("SKIPPED: there is no redis-server to test with; Debian's package redis-server has it");
    }
    is_missing
}

/// Stopped and gone when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    /// For questions that are put again and again: a connection each would use up the machine's ports.
    kept: Mutex<Option<Connection>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        static SERVERS: AtomicU32 = AtomicU32::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("shardflight-redis-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server");
        let port = free_port();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let child = spawn(port, &folder, &arguments);
        let server = Self { child, port, folder, arguments, kept: Mutex::default() };
        server.wait_until_it_answers();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A plain connection, beside the crate's.
    pub(crate) fn connect(&self) -> Connection {
        Client::open(self.url()).and_then(|client| client.get_connection()).expect("the server answers")
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.connect().keys("*").expect("the server answers")
    }

    /// Waits until nothing is left, and fails if something is after so long.
    pub(crate) fn assert_empty_within(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let keys = self.keys();
            if keys.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left in Redis: {keys:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all that is left are results, for followers that missed their push. They expire within a lease.
    pub(crate) fn assert_only_results_for(&self, lease: Duration) {
        let mut connection = self.connect();
        let deadline = Instant::now() + LIMIT;
        while let Some(key) = self.keys().iter().find(|key| !key.contains(":result:")) {
            assert!(Instant::now() < deadline, "{key} is left");
            thread::sleep(Duration::from_millis(20));
        }
        for key in self.keys() {
            let left: i64 = connection.pttl(&key).expect("the server answers");
            // -2: it has expired since.
            assert!(
                left != -1 && u128::try_from(left).unwrap_or(0) <= lease.as_millis(),
                "{key} is left for {left} ms"
            );
        }
    }

    /// How many flights wait at leases. None at a server that isn't there, nor at a replica in a Redis Cluster.
    pub(crate) fn followers(&self) -> usize {
        let mut kept = self.kept.lock().unwrap();
        let connect = || Client::open(self.url()).and_then(|client| client.get_connection());
        let Some(mut connection) = kept.take().or_else(|| connect().ok()) else { return 0 };
        let followers = redis::cmd("EVAL").arg(FOLLOWERS).arg(0).query(&mut connection);
        *kept = Some(connection).filter(ConnectionLike::is_open);
        followers.unwrap_or(0)
    }

    /// Processes that are told of the ends of leases.
    pub(crate) fn subscribers(&self) -> usize {
        let channels: Vec<String> =
            redis::cmd("PUBSUB").arg("CHANNELS").query(&mut self.connect()).expect("the server answers");
        channels.len()
    }

    pub(crate) fn flush(&self) {
        redis::cmd("FLUSHALL").exec(&mut self.connect()).expect("the server answers");
    }

    /// Cuts off all clients but the one that says so.
    pub(crate) fn kill_clients(&self) {
        let mut connection = self.connect();
        for kind in ["normal", "pubsub"] {
            redis::cmd("CLIENT")
                .arg("KILL")
                .arg("TYPE")
                .arg(kind)
                .arg("SKIPME")
                .arg("yes")
                .exec(&mut connection)
                .expect("killed");
        }
    }

    /// It answers no more, and its connections stay.
    pub(crate) fn pause(&self) {
        signal(self.child.id(), "STOP");
    }

    pub(crate) fn resume(&self) {
        signal(self.child.id(), "CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }

    /// The same port, and empty.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port, &self.folder, &self.arguments);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + LIMIT;
        let ping = || -> RedisResult<String> {
            redis::cmd("PING")
                .query(&mut Client::open(self.url())?.get_connection_with_timeout(Duration::from_secs(1))?)
        };
        while ping().is_err() {
            assert!(Instant::now() < deadline, "redis-server doesn't start on port {}", self.port);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &PathBuf, arguments: &Vec<String>) -> Child {
    let port = port.to_string();
    Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(["--loglevel", "warning", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}

/// A port that nothing listens on, nor on the one that a node of a Redis Cluster adds to it. Both are below those that outgoing
/// connections get, of which one may get it meanwhile. No two tests get the same.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(..)));
    loop {
        let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 12_000;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let is_silent =
            TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_millis(100))
                .is_err();
        if is_free(port) && is_free(port + 10_000) && is_silent {
            return port;
        }
    }
}

/// Of a process that this test started.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()), "can't send {name} to {process}");
}
